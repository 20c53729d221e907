"""The port to an event store, made for batches.

A stream is a sequence of events with versions 0, 1, 2…; a stream without events is at `NO_STREAM`.
Every write names the version that it expects, so that of two writers one is told. Calls block; the
servers make them from a thread.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
import polars as pl

from write_side.events import SCHEMA_VERSION, Event

NO_STREAM: Final = -1
_EVENT_IDS: Final = uuid5(NAMESPACE_URL, "https://topsellers.dev/events")


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored beside an event."""

    schema_version: int = SCHEMA_VERSION
    traceparent: str | None = None
    """W3C trace context of what caused the event."""


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event as it stands in a stream."""

    stream: str
    version: int
    event: Event
    metadata: Metadata = Metadata()

    @property
    def id(self) -> UUID:
        """The event's id: a function of its place, so that a retry writes the same event."""
        return event_id(self.stream, self.version)


class StreamAppend(msgspec.Struct, frozen=True):
    """Events for one stream, to follow `expected_version`: structs, or one frame of sales."""

    stream: str
    events: Sequence[Event] | pl.DataFrame
    expected_version: int


class EventStore(Protocol):
    """Append-only streams. All adapters pass `tests/contract/`; safe to share between threads."""

    def append(
        self, stream: str, events: Sequence[Event], expected_version: int, metadata: Metadata = ...
    ) -> int:
        """Append events and return the stream's new version.

        Raises `WrongExpectedVersion` where the stream is at another version; nothing is written
        then. An empty sequence only checks the version.
        """

    def append_many(self, appends: Sequence[StreamAppend], metadata: Metadata = ...) -> None:
        """Append to several streams, each named once; atomically where the store allows it.

        Raises `WrongExpectedVersion`; an atomic store has then written nothing, another may have
        written some of the streams whole.
        """

    def append_sales(self, stream: str, sales: pl.DataFrame, expected_version: int) -> int:
        """Append one `SaleRecorded` a row of a `SALES_SCHEMA` frame; else as `append`."""

    def read(
        self, stream: str, from_version: int = 0, limit: int | None = None
    ) -> Iterator[RecordedEvent]:
        """Yield a stream's events from a version on, in order; none where there are none.

        Raises `EventStoreCorrupted` where what is stored does not match its checksum.
        """

    def read_sales(self, stream: str, from_version: int = 0) -> Iterator[pl.DataFrame]:
        """Yield a sale stream as frames, in order, without an object for each row."""

    def subscribe(
        self, stream: str, from_version: int = 0, timeout: float | None = None
    ) -> Iterator[RecordedEvent]:
        """Yield a stream's events from a version on, then each new one as it is appended.

        Blocks between events; ends after `timeout` seconds without one, never where it is None.
        No lock or transaction is held while the caller works.
        """

    def last_version(self, stream: str) -> int:
        """Return the version of a stream's last event, `NO_STREAM` where it has none."""

    def close(self) -> None:
        """Give back what the store holds open; further calls raise `EventStoreUnavailable`."""


def event_id(stream: str, version: int) -> UUID:
    """Return the id of the event at a place: UUIDv5 of stream and version."""
    return uuid5(_EVENT_IDS, f"{stream}@{version}")
