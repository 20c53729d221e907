"""From an event store's URL to the store."""

from pathlib import Path
from typing import Final

from write_side.errors import EventStoreUnavailable
from write_side.event_store import EventStore
from write_side.memory_event_store import MemoryEventStore
from write_side.sqlite_event_store import SqliteEventStore

_SQLITE: Final = "sqlite:///"
_MEMORY: Final = "memory://"
_KNOWN: Final = f"Use {_SQLITE}relative/events.db, {_SQLITE}/absolute/events.db or {_MEMORY}"


def open_event_store(url: str) -> EventStore:
    """Open the store of a URL: `sqlite:///path`, made where it is missing, or a new `memory://`.

    The path is what follows the third slash, as it stands: nothing in it is decoded. Raises
    `EventStoreUnavailable`, which says what to do.
    """
    if url == _MEMORY:
        return MemoryEventStore()
    if url.startswith(_SQLITE):
        path = url.removeprefix(_SQLITE)
        if not path or path.endswith("/"):
            raise EventStoreUnavailable(f"event store URL {url} names no file. {_KNOWN}")
        return SqliteEventStore(Path(path))
    # Never the whole of it: another store's URL may hold a password.
    scheme, mark, _ = url.partition("://")
    if not mark:
        raise EventStoreUnavailable(f"the event store URL has no scheme. {_KNOWN}")
    raise EventStoreUnavailable(f"no event store has a URL of the form {scheme}://…. {_KNOWN}")
