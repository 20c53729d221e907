"""One worker process of `serve`: the gateway over the real read model, made by its settings.

The settings come by the environment, which a worker inherits from `serve`.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from gateway.application import create_application
from gateway.settings import GatewaySettings
from projections.redis_rankings import RedisRankings
from topsellers.logging_setup import set_up_logging
from topsellers.secret_keys import secret_keys
from topsellers.settings import read_settings
from write_side.open_event_store import open_event_store
from write_side.store_identity import store_identity

_LOGGER = logging.getLogger("topsellers.serve")


def application() -> Starlette:
    """Return this process's application, and see to it that the process ends well."""
    settings = read_settings(os.environ, on_terminal=sys.stderr.isatty())
    set_up_logging(settings.log_level, settings.log_format)
    _end_with_main_process()
    store = open_event_store(settings.event_store_url)
    rankings = RedisRankings(settings.redis_url, store, store_identity(store).store_id)

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        try:
            async with rankings:
                _end_streams_on_sigterm(made)
                _LOGGER.debug("worker %d serves", os.getpid())
                yield
        finally:
            store.close()

    made = create_application(
        rankings,
        GatewaySettings(
            secret_keys=secret_keys(settings),
            currency=settings.currency,
            introspection=settings.introspection,
        ),
        running=running,
    )
    return made


def _end_streams_on_sigterm(application: Starlette) -> None:
    """End the open streams first: the server waits for its connections before it ends.

    The server has taken SIGTERM and SIGINT alike, before the application starts. SIGTERM becomes
    ours here, and when the streams have ended the server gets SIGINT.
    """
    loop = asyncio.get_running_loop()
    ending: set[asyncio.Task[None]] = set()

    async def end() -> None:
        await application.state.streams.close()
        os.kill(os.getpid(), signal.SIGINT)

    def begin() -> None:
        if not ending:
            ending.add(loop.create_task(end()))

    loop.add_signal_handler(signal.SIGTERM, begin)


def _end_with_main_process() -> None:
    """End this worker when `serve` is gone, also where it was killed."""
    main = multiprocessing.parent_process()
    if main is None:
        return

    def wait() -> None:
        main.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
