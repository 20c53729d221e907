"""The application over rankings in memory: asked in this process, or over a real socket."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette

from gateway.application import create_application
from gateway.settings import GatewaySettings
from tests.gateway.rankings_in_memory import RankingsInMemory

HOUR = 498_776
"""2026-11-25 08:00, so that rankings are as of 09:00."""
ODD_CATEGORY = "a/b %41 \"ü'?#"


@pytest.fixture
def rankings() -> RankingsInMemory:
    """Some books, and a category whose name needs every escape."""
    rankings = RankingsInMemory()
    rankings.publish(
        HOUR,
        {
            "books": {f"b{n:03}": (1000 - n // 2, 12_345 + n) for n in range(250)},
            ODD_CATEGORY: {"b000": (2, 250), "x/y": (1, -5)},
        },
    )
    return rankings


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings(secret_keys=(b"secret",), keep_alive_seconds=0.2)


@pytest.fixture
def application(rankings: RankingsInMemory, settings: GatewaySettings) -> Starlette:
    return create_application(rankings, settings)


@pytest.fixture
async def client(application: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """A client in the test's own event loop, with no server between."""
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.fixture
def served(application: Starlette) -> Iterator[tuple[str, asyncio.AbstractEventLoop]]:
    """A real server in a thread: its address and its event loop."""
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
    yield f"http://127.0.0.1:{port}", loop
    loop.call_soon_threadsafe(server.stop)
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def address(served: tuple[str, asyncio.AbstractEventLoop]) -> str:
    return served[0]


@pytest.fixture
def server_loop(served: tuple[str, asyncio.AbstractEventLoop]) -> asyncio.AbstractEventLoop:
    return served[1]


def _until_listening(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"no server came up on port {port}")
