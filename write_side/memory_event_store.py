"""The event store in memory: for tests, and for trying things out. Nothing outlives the process."""

import time
from collections.abc import Iterator, Sequence
from threading import Condition
from typing import Final

import msgspec
import polars as pl

from write_side.errors import EventStoreCorrupted, EventStoreUnavailable, WrongExpectedVersion
from write_side.event_store import NO_STREAM, Metadata, RecordedEvent, StreamAppend
from write_side.events import SCHEMA_VERSION, Event, SaleRecorded, decode, encode, type_of
from write_side.sale_rows import check_sales, frame_of_sales, sales_of_frame

_PLAIN: Final = Metadata()

_Encoded = list[tuple[str, bytes]]


class _Batch(msgspec.Struct, frozen=True):
    """What one append brought: events as type and bytes, or a frame of sales."""

    first_version: int
    content: _Encoded | pl.DataFrame
    metadata: Metadata

    @property
    def next_version(self) -> int:
        return self.first_version + len(self.content)

    def events(self, start: int, stop: int) -> Iterator[Event]:
        """Yield the events of versions `start` up to, and without, `stop`."""
        first = self.first_version
        if isinstance(self.content, pl.DataFrame):
            yield from sales_of_frame(self.content[start - first : stop - first])
            return
        for event_type, data in self.content[start - first : stop - first]:
            yield decode(event_type, data, self.metadata.schema_version)


class MemoryEventStore:
    """An `EventStore` whose streams are lists of batches; `append_many` is atomic."""

    def __init__(self) -> None:
        self._streams: dict[str, list[_Batch]] = {}
        self._changed = Condition()
        self._closed = False

    def append(
        self,
        stream: str,
        events: Sequence[Event],
        expected_version: int,
        metadata: Metadata = _PLAIN,
    ) -> int:
        """Append events and return the stream's new version; see `EventStore.append`."""
        self.append_many([StreamAppend(stream, events, expected_version)], metadata)
        return expected_version + len(events)

    def append_sales(self, stream: str, sales: pl.DataFrame, expected_version: int) -> int:
        """Append one `SaleRecorded` a row; see `EventStore.append_sales`."""
        self.append_many([StreamAppend(stream, sales, expected_version)])
        return expected_version + len(sales)

    def append_many(self, appends: Sequence[StreamAppend], metadata: Metadata = _PLAIN) -> None:
        """Append to several streams, all or none; see `EventStore.append_many`."""
        if len({append.stream for append in appends}) < len(appends):
            raise ValueError("each stream may be named once in an append to many")
        contents = [_content(append.events) for append in appends]
        with self._changed:
            self._check_open()
            for append in appends:
                actual = self._version(append.stream)
                if actual != append.expected_version:
                    raise WrongExpectedVersion(append.stream, append.expected_version, actual)
            for append, content in zip(appends, contents, strict=True):
                if len(content):
                    batch = _Batch(append.expected_version + 1, content, metadata)
                    self._streams.setdefault(append.stream, []).append(batch)
            self._changed.notify_all()

    def read(
        self, stream: str, from_version: int = 0, limit: int | None = None
    ) -> Iterator[RecordedEvent]:
        """Yield a stream's events from a version on; see `EventStore.read`."""
        start = max(from_version, 0)
        end = None if limit is None else start + limit
        for batch in self._batches(stream, from_version):
            if end is not None and start >= end:
                return
            _check_readable(stream, batch)
            stop = batch.next_version if end is None else min(batch.next_version, end)
            for version, event in enumerate(batch.events(start, stop), start):
                yield RecordedEvent(stream, version, event, batch.metadata)
            start = stop

    def read_sales(self, stream: str, from_version: int = 0) -> Iterator[pl.DataFrame]:
        """Yield a sale stream as frames; see `EventStore.read_sales`."""
        for batch in self._batches(stream, from_version):
            _check_readable(stream, batch)
            start = max(from_version, batch.first_version)
            if isinstance(batch.content, pl.DataFrame):
                yield batch.content[start - batch.first_version :]
            else:
                yield frame_of_sales(_only_sales(stream, batch, start))

    def subscribe(
        self, stream: str, from_version: int = 0, timeout: float | None = None
    ) -> Iterator[RecordedEvent]:
        """Yield a stream's events, then each new one; see `EventStore.subscribe`."""
        version = max(from_version, 0)
        while self._await_version(stream, version, timeout):
            for recorded in self.read(stream, version):
                version = recorded.version + 1
                yield recorded

    def last_version(self, stream: str) -> int:
        """Return the version of a stream's last event; see `EventStore.last_version`."""
        with self._changed:
            self._check_open()
            return self._version(stream)

    def close(self) -> None:
        """End the store; its events are gone."""
        with self._changed:
            self._closed = True
            self._streams.clear()
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise EventStoreUnavailable("the event store in memory is closed. Open a new one")

    def _version(self, stream: str) -> int:
        batches = self._streams.get(stream)
        return batches[-1].next_version - 1 if batches else NO_STREAM

    def _batches(self, stream: str, from_version: int) -> list[_Batch]:
        with self._changed:
            self._check_open()
            batches = self._streams.get(stream, [])
            return [batch for batch in batches if batch.next_version > from_version]

    def _await_version(self, stream: str, version: int, timeout: float | None) -> bool:
        """Wait until a stream has a version; return false where `timeout` seconds passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while True:
                self._check_open()
                if self._version(stream) >= version:
                    return True
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    return False
                self._changed.wait(remaining)


def _content(events: Sequence[Event] | pl.DataFrame) -> _Encoded | pl.DataFrame:
    """Return what is kept of an append, sharing nothing that its caller could change."""
    if isinstance(events, pl.DataFrame):
        check_sales(events)
        return events.clone()
    return [(type_of(event), encode(event)) for event in events]


def _check_readable(stream: str, batch: _Batch) -> None:
    schema_version = batch.metadata.schema_version
    if not 1 <= schema_version <= SCHEMA_VERSION:
        raise EventStoreCorrupted(
            f"{stream}@{batch.first_version} has schema version {schema_version}, unknown to this "
            "release. Use the release that wrote it"
        )


def _only_sales(stream: str, batch: _Batch, start: int) -> Iterator[SaleRecorded]:
    for version, event in enumerate(batch.events(start, batch.next_version), start):
        if not isinstance(event, SaleRecorded):
            raise EventStoreCorrupted(
                f"{stream}@{version} is {type_of(event)}, no sale. Read it as events"
            )
        yield event
