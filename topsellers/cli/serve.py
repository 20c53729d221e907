"""`topsellers serve`: GraphQL, REST and the live board."""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Final

from cyclopts import Parameter

from topsellers.cli.options import ServerOptions, given_environment, settings_of
from topsellers.errors import RoleFailed, WrongUse
from topsellers.listening import Address, free_address
from topsellers.logging_setup import set_up_logging
from topsellers.parent_process import end_with_parent
from topsellers.settings import Settings, settings_without_effect

WORKER: Final = "topsellers.gateway_worker:application"
MOST_WORKERS: Final = 256
OPEN_REQUESTS: Final = 20_000
"""Requests that a worker has open at once: each watcher of a list holds one."""
BACKLOG: Final = 4_096
KILL_SECONDS: Final = 15
"""How long a worker may take to end before it is killed."""

_LOGGER = logging.getLogger("topsellers.serve")


def serve(
    *,
    host: Annotated[
        str, Parameter(help="The address to serve at; 0.0.0.0 is every one of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port, 0 for any that is free.")] = 8080,
    workers: Annotated[int, Parameter(help="Processes that answer.")] = 1,
    parent: Annotated[int | None, Parameter(show=False)] = None,
    options: ServerOptions = ServerOptions(),  # noqa: B008  (frozen)
) -> None:
    """Serve GraphQL, REST and the live board until it is ended."""
    if not 1 <= workers <= MOST_WORKERS:
        raise WrongUse(f"{workers} workers can't serve. Ask for 1 to {MOST_WORKERS}.")
    settings = settings_of(options)
    end_with_parent(parent)
    for name in settings_without_effect(os.environ):
        _LOGGER.warning("%s has no effect in this release: it comes with identity", name)
    address = free_address(host, port)
    from topsellers.composition import opened_store, redis_address
    from topsellers.secret_keys import secret_keys

    with opened_store(settings):
        secret_keys(settings)
    with redis_address(settings) as redis_url:
        # Workers begin with this process's environment: this is how they get its settings.
        os.environ.update(given_environment(options))
        os.environ["TOPSELLERS_REDIS_URL"] = redis_url
        os.environ["TOPSELLERS_LOG_FORMAT"] = settings.log_format
        _serve(settings, address, workers)


def _serve(settings: Settings, address: Address, workers: int) -> None:
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    # A fork would copy the threads' locks, held or not, of all that was imported here.
    multiprocessing.set_start_method("spawn", force=True)
    server = Granian(
        WORKER,
        address=address.host,
        port=address.port,
        interface=Interfaces.ASGI,
        workers=workers,
        factory=True,
        backlog=BACKLOG,
        backpressure=OPEN_REQUESTS,
        respawn_failed_workers=True,
        workers_kill_timeout=KILL_SECONDS,
        log_level=LogLevels.debug if settings.log_level == "debug" else LogLevels.warning,
        log_dictconfig={"formatters": {}, "handlers": {}, "loggers": {}},
    )
    set_up_logging(settings.log_level, settings.log_format)
    ended_by: list[int] = []
    # It has no annotations.
    interrupt: Callable[[int, FrameType | None], None] = server.signal_handler_interrupt

    def end(number: int, frame: FrameType | None) -> None:
        ended_by.append(number)
        interrupt(number, frame)

    hang_up = signal.SIG_IGN if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else end

    def started() -> None:
        # The server has set its own handlers by now, which don't tell one signal from another.
        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGTERM, end)
        # Its own would start all workers anew where the terminal is closed.
        signal.signal(signal.SIGHUP, hang_up)
        _LOGGER.info("Serving at %s", address.url)

    server.on_startup(started)
    try:
        server.serve()
    except SystemExit as error:
        raise RoleFailed(
            "the workers that serve don't stay alive. Their last words stand in the log above."
        ) from error
    if signal.SIGINT in ended_by:
        raise KeyboardInterrupt
    _LOGGER.info("Ended")
