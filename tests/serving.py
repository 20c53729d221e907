"""A real server in a thread, for tests that ask over a socket."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette

from gateway.application import create_application
from gateway.settings import GatewaySettings
from projections.redis_rankings import RedisRankings
from projections.worker import ReadModel


class Served(NamedTuple):
    """Where a server answers, and the event loop that it runs in."""

    url: str
    loop: asyncio.AbstractEventLoop


@contextmanager
def serving(application: Starlette) -> Iterator[Served]:
    """Serve an application on a free port of this machine, until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = threading.Event()
    servers: list[tuple[asyncio.AbstractEventLoop, Server]] = []

    async def serve() -> None:
        server = Server(
            application,
            address="127.0.0.1",
            port=port,
            interface=Interfaces.ASGI,
            log_enabled=False,
        )
        servers.append((asyncio.get_running_loop(), server))
        running.set()
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    running.wait()
    _until_listening(port)
    loop, server = servers[0]
    try:
        yield Served(f"http://127.0.0.1:{port}", loop)
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(10)
    assert not thread.is_alive()


@contextmanager
def serving_rankings(model: ReadModel, redis_url: str) -> Iterator[str]:
    """A server in a thread, over what a worker writes."""
    rankings = RedisRankings(redis_url, model.store, model.store_id)
    settings = GatewaySettings(secret_keys=(b"secret",))
    with serving(create_application(rankings, settings, running=lambda: rankings)) as server:
        yield server.url


def _until_listening(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"no server came up on port {port}")
