"""The event store in a SQLite file: the embedded default, for all processes of one host."""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import polars as pl

from write_side.errors import EventStoreCorrupted, WrongExpectedVersion
from write_side.event_store import Metadata, RecordedEvent, StreamAppend
from write_side.events import Event
from write_side.sqlite_batches import (
    SALES_IN_BATCH,
    StoredBatch,
    encode_batches,
    events_of,
    sales_of,
    verify,
)
from write_side.sqlite_connections import SqliteConnections

_PLAIN: Final = Metadata()
_BUSY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
"""How often a subscription looks for what other processes appended."""

_FETCHED_BATCHES: Final = 256
_FETCHED_BYTES: Final = 4 << 20
"""What is read of a stream at once: after it no transaction is open while the caller works."""

_NEXT_VERSION: Final = "SELECT next_version FROM streams WHERE name = ?"
_ADVANCED_STREAM: Final = """
INSERT INTO streams (name, next_version) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET next_version = excluded.next_version
RETURNING id
"""
_NEW_BATCH: Final = """
INSERT INTO batches
    (stream_id, first_version, count, kind, schema_version, traceparent, checksum, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_BATCHES_FROM: Final = """
SELECT next_version, first_version, count, kind, schema_version, traceparent, checksum, data
FROM streams LEFT JOIN batches
    ON stream_id = id AND first_version + count > :version AND first_version >= coalesce(
        (SELECT max(first_version) FROM batches
         WHERE stream_id = streams.id AND first_version <= :version), 0)
WHERE name = :stream
ORDER BY first_version LIMIT :limit
"""
"""The batch that holds a version and those after it, or one row that says where the stream ends."""


class SqliteEventStore:
    """An `EventStore` in one file; `append_many` is atomic, and what returned is on the disk.

    A store may be made before a fork and used after it. `sales_in_batch` bounds what has to be
    decoded for a single sale; `busy_seconds` is how long an append waits for other writers. The
    file and its folder are made where they are missing; raises `EventStoreUnavailable` where that
    fails, or where the file is no event store of this release.
    """

    def __init__(
        self,
        path: Path,
        *,
        sales_in_batch: int = SALES_IN_BATCH,
        busy_seconds: float = _BUSY_SECONDS,
    ) -> None:
        self._path = path
        self._sales_in_batch = sales_in_batch
        self._connections = SqliteConnections(path, busy_seconds)

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
        """Append to several streams, all or none; see `EventStore.append_many`.

        Frames are encoded beforehand, in threads, so that others wait for the disk only.
        """
        if len({append.stream for append in appends}) < len(appends):
            raise ValueError("each stream may be named once in an append to many")
        encoded = self._encode(appends, metadata)
        with self._connections.writing() as connection:
            for append in appends:
                actual = self._next_version(connection, append.stream) - 1
                if actual != append.expected_version:
                    raise WrongExpectedVersion(append.stream, append.expected_version, actual)
            for append, batches in zip(appends, encoded, strict=True):
                _insert(connection, append.stream, batches)

    def read(
        self, stream: str, from_version: int = 0, limit: int | None = None
    ) -> Iterator[RecordedEvent]:
        """Yield a stream's events from a version on; see `EventStore.read`."""
        version = max(from_version, 0)
        end = None if limit is None else version + limit
        for batch in self._batches(stream, version, end):
            left = None if end is None else end - version
            try:
                yield from events_of(stream, batch, version, left)
            except ValueError as error:
                raise self._damaged(stream, batch.first_version, error) from error
            version = batch.next_version

    def read_sales(self, stream: str, from_version: int = 0) -> Iterator[pl.DataFrame]:
        """Yield a sale stream as frames; see `EventStore.read_sales`."""
        for batch in self._batches(stream, max(from_version, 0), None):
            try:
                sales = sales_of(stream, batch, from_version)
            except ValueError as error:
                raise self._damaged(stream, batch.first_version, error) from error
            yield sales

    def subscribe(
        self, stream: str, from_version: int = 0, timeout: float | None = None
    ) -> Iterator[RecordedEvent]:
        """Yield a stream's events, then each new one; see `EventStore.subscribe`.

        What this process appends is seen at once, what another does within 0.05 seconds.
        """
        version = max(from_version, 0)
        quiet_since = time.monotonic()
        while True:
            mark = self._connections.writes()
            unchanged = version
            for recorded in self.read(stream, version):
                version = recorded.version + 1
                yield recorded
            if version > unchanged:
                quiet_since = time.monotonic()
            wait = _POLL_SECONDS
            if timeout is not None:
                wait = min(wait, quiet_since + timeout - time.monotonic())
                if wait <= 0:
                    return
            self._connections.await_write(mark, wait)

    def last_version(self, stream: str) -> int:
        """Return the version of a stream's last event; see `EventStore.last_version`."""
        with self._connections.reading() as connection:
            return self._next_version(connection, stream) - 1

    def close(self) -> None:
        """Close the file; further calls raise `EventStoreUnavailable`."""
        self._connections.close()

    def _encode(
        self, appends: Sequence[StreamAppend], metadata: Metadata
    ) -> list[list[StoredBatch]]:
        def encode(append: StreamAppend) -> list[StoredBatch]:
            first = append.expected_version + 1
            return encode_batches(
                append.stream, first, append.events, metadata, self._sales_in_batch
            )

        frames = sum(isinstance(append.events, pl.DataFrame) for append in appends)
        if frames < 2:
            return [encode(append) for append in appends]
        with ThreadPoolExecutor(min(frames, os.cpu_count() or 1)) as encoders:
            return list(encoders.map(encode, appends))

    def _batches(self, stream: str, version: int, end: int | None) -> Iterator[StoredBatch]:
        """Yield a stream's batches that hold a version on, checked, in order and without a gap."""
        while end is None or version < end:
            limit = None if end is None else end - version
            fetched, stream_end = self._fetch(stream, version, limit)
            if not fetched and version < stream_end:
                raise self._damaged(stream, version, "all from here on is missing")
            if not fetched:
                return
            for batch in fetched:
                try:
                    verify(stream, batch)
                except ValueError as error:
                    raise self._damaged(stream, version, error) from error
                if not batch.first_version <= version < batch.next_version <= stream_end:
                    raise self._damaged(stream, version, "another version is in its place")
                yield batch
                version = batch.next_version
                if end is not None and version >= end:
                    return

    def _fetch(self, stream: str, version: int, limit: int | None) -> tuple[list[StoredBatch], int]:
        """Return the next batches of a stream, some megabytes at most, and the stream's end."""
        batches = _FETCHED_BATCHES if limit is None else min(limit, _FETCHED_BATCHES)
        sought = {"stream": stream, "version": version, "limit": batches}
        fetched: list[StoredBatch] = []
        size = 0
        stream_end: object = 0
        try:
            with self._connections.reading() as connection:
                rows = connection.execute(_BATCHES_FROM, sought)
                for row in rows:
                    stream_end = row[0]
                    if row[1] is None:
                        break
                    fetched.append(StoredBatch(*row[1:]))
                    size += len(row[-1] or b"")
                    if size >= _FETCHED_BYTES:
                        break
                rows.close()
        except EventStoreCorrupted as error:
            raise self._damaged(stream, version, error.__cause__ or error) from error
        return fetched, self._end(stream, stream_end)

    def _next_version(self, connection: sqlite3.Connection, stream: str) -> int:
        row = connection.execute(_NEXT_VERSION, (stream,)).fetchone()
        return 0 if row is None else self._end(stream, row[0])

    def _end(self, stream: str, stored: object) -> int:
        if not isinstance(stored, int):
            raise self._damaged(stream, 0, "where the stream ends cannot be read")
        return stored

    def _damaged(
        self, stream: str, version: int, reason: BaseException | str
    ) -> EventStoreCorrupted:
        return EventStoreCorrupted(
            f"event store {self._path} is damaged at {stream}@{version}: {reason}. Restore a backup"
        )


def _insert(connection: sqlite3.Connection, stream: str, batches: Sequence[StoredBatch]) -> None:
    if not batches:
        return
    place = (stream, batches[-1].next_version)
    (stream_id,) = connection.execute(_ADVANCED_STREAM, place).fetchone()
    connection.executemany(
        _NEW_BATCH,
        (
            (
                stream_id,
                batch.first_version,
                batch.count,
                batch.kind,
                batch.schema_version,
                batch.traceparent,
                batch.checksum,
                batch.data,
            )
            for batch in batches
        ),
    )
