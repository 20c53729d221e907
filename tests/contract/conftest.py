"""The adapters of the event store that the contract suite runs over, one line each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from write_side.event_store import EventStore
from write_side.open_event_store import open_event_store


class Adapter(msgspec.Struct, frozen=True):
    name: str
    url: Callable[[Path], str]
    """The URL of a store of the test, which may keep its files in a folder."""
    atomic: bool
    """Whether an append to several streams is written whole or not at all."""
    shared: bool
    """Whether its streams are there for other processes, and for those that come later."""


ADAPTERS = [
    Adapter("memory", lambda _: "memory://", atomic=True, shared=False),
    Adapter("sqlite", lambda folder: f"sqlite:///{folder}/events.db", atomic=True, shared=True),
]


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: adapter.name)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    adapter: Adapter = request.param
    return adapter


@pytest.fixture
def url(adapter: Adapter, tmp_path: Path) -> str:
    return adapter.url(tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    store = open_event_store(url)
    yield store
    store.close()


@pytest.fixture(
    params=[adapter for adapter in ADAPTERS if adapter.shared], ids=lambda adapter: adapter.name
)
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    adapter: Adapter = request.param
    return adapter.url(tmp_path)


@pytest.fixture
def atomic(adapter: Adapter) -> bool:
    return adapter.atomic


@pytest.fixture
def stream() -> str:
    """Return a stream that no other test writes to, on a server that several tests share, too."""
    return f"contract-{uuid4().hex}"
