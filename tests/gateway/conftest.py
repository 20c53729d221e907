"""The application over rankings in memory: asked in this process, or over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette

from gateway.application import create_application
from gateway.settings import GatewaySettings
from tests.gateway.rankings_in_memory import RankingsInMemory
from tests.serving import Served, serving

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
def served(application: Starlette) -> Iterator[Served]:
    """A real server in a thread: its address and its event loop."""
    with serving(application) as served:
        yield served


@pytest.fixture
def address(served: Served) -> str:
    return served.url


@pytest.fixture
def server_loop(served: Served) -> asyncio.AbstractEventLoop:
    return served.loop
