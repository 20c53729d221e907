"""The batches in which SQLite keeps a stream, and how they become bytes.

A batch holds the events of consecutive versions: either single events, as a MessagePack list of
(type, bytes) pairs, zstd-compressed where that makes them smaller, or sales, as an encoded frame.
Its checksum covers its place, its metadata and its bytes, so that a batch that was changed or
moved is noticed.
"""

import zlib
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final

import msgspec
import polars as pl
import zstandard

from write_side.event_store import Metadata, RecordedEvent
from write_side.events import SCHEMA_VERSION, Event, SaleRecorded, decode, encode, type_of
from write_side.sale_frames import decode_frame, encode_frame
from write_side.sale_rows import check_sales, frame_of_sales, sales_of_frame

SALES_IN_BATCH: Final = 65_536
"""Rows in a batch of sales at most: one sale is read by decoding its batch."""

_EVENTS_IN_BATCH: Final = 1_024
_WORTH_COMPRESSING: Final = 256
"""Bytes below which zstd's own overhead eats what it saves."""
_ZSTD_LEVEL: Final = 3

_Packed = list[tuple[str, bytes]]


class BatchKind(IntEnum):
    """How a batch's bytes are to be read; part of the stored format."""

    EVENTS = 0
    COMPRESSED_EVENTS = 1
    SALES = 2


class StoredBatch(msgspec.Struct, frozen=True):
    """The events of versions `first_version` up to `first_version + count`, as stored."""

    first_version: int
    count: int
    kind: int
    schema_version: int
    traceparent: str | None
    checksum: int
    data: bytes

    @property
    def next_version(self) -> int:
        """The version that follows the batch's last."""
        return self.first_version + self.count


def encode_batches(
    stream: str,
    first_version: int,
    events: Sequence[Event] | pl.DataFrame,
    metadata: Metadata,
    sales_in_batch: int = SALES_IN_BATCH,
) -> list[StoredBatch]:
    """Return the batches of events that follow each other from `first_version` on.

    Nothing but sales is stored as a frame, however it came. Raises `ValueError` for a frame that
    is none of sales, and for sales that do not fit its columns.
    """
    if isinstance(events, pl.DataFrame):
        check_sales(events)
    elif events and all(isinstance(event, SaleRecorded) for event in events):
        events = frame_of_sales(event for event in events if isinstance(event, SaleRecorded))
    size = sales_in_batch if isinstance(events, pl.DataFrame) else _EVENTS_IN_BATCH
    batches = []
    for start in range(0, len(events), size):
        part = events[start : start + size]
        kind, data = _encode_content(part)
        place = (first_version + start, len(part), int(kind))
        stored = (metadata.schema_version, metadata.traceparent)
        checksum = _checksum(stream, *place, *stored, data)
        batches.append(StoredBatch(*place, *stored, checksum, data))
    return batches


def verify(stream: str, batch: StoredBatch) -> None:
    """Raise `ValueError` where a batch is not what was stored at its place in the stream."""
    if not isinstance(batch.data, bytes) or batch.checksum != _checksum(
        stream,
        batch.first_version,
        batch.count,
        batch.kind,
        batch.schema_version,
        batch.traceparent,
        batch.data,
    ):
        raise ValueError("the stored batch does not match its checksum")


def events_of(
    stream: str, batch: StoredBatch, from_version: int, limit: int | None = None
) -> Iterator[RecordedEvent]:
    """Yield a verified batch's events from a version on, `limit` at most.

    Raises `ValueError` for bytes or a schema version that this release cannot read.
    """
    start = max(from_version - batch.first_version, 0)
    stop = batch.count if limit is None else min(batch.count, start + limit)
    metadata = Metadata(batch.schema_version, batch.traceparent)
    events: Iterator[Event]
    if batch.kind == BatchKind.SALES:
        events = sales_of_frame(_sales(batch)[start:stop])
    else:
        packed = _unpack(batch)[start:stop]
        events = (decode(name, data, batch.schema_version) for name, data in packed)
    for version, event in enumerate(events, batch.first_version + start):
        yield RecordedEvent(stream, version, event, metadata)


def sales_of(stream: str, batch: StoredBatch, from_version: int) -> pl.DataFrame:
    """Return a verified batch's sales from a version on, as a frame.

    Raises `ValueError` as `events_of`, and for an event that is no sale.
    """
    if batch.kind == BatchKind.SALES:
        return _sales(batch)[max(from_version - batch.first_version, 0) :]
    sales = []
    for recorded in events_of(stream, batch, from_version):
        if not isinstance(recorded.event, SaleRecorded):
            raise ValueError(f"version {recorded.version} is {type_of(recorded.event)}, no sale")
        sales.append(recorded.event)
    return frame_of_sales(sales)


def _encode_content(events: Sequence[Event] | pl.DataFrame) -> tuple[BatchKind, bytes]:
    if isinstance(events, pl.DataFrame):
        return BatchKind.SALES, encode_frame(events.rechunk())
    packed = msgspec.msgpack.encode([(type_of(event), encode(event)) for event in events])
    if len(packed) >= _WORTH_COMPRESSING:
        compressed = zstandard.compress(packed, _ZSTD_LEVEL)
        if len(compressed) < len(packed):
            return BatchKind.COMPRESSED_EVENTS, compressed
    return BatchKind.EVENTS, packed


def _unpack(batch: StoredBatch) -> _Packed:
    try:
        data = batch.data
        if batch.kind == BatchKind.COMPRESSED_EVENTS:
            data = zstandard.decompress(data)
        elif batch.kind != BatchKind.EVENTS:
            raise ValueError(f"batch kind {batch.kind} is unknown to this release")
        packed = msgspec.msgpack.decode(data, type=_Packed)
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise ValueError(f"the stored batch cannot be decoded: {error}") from error
    _check_count(batch, len(packed))
    return packed


def _sales(batch: StoredBatch) -> pl.DataFrame:
    if not 1 <= batch.schema_version <= SCHEMA_VERSION:
        raise ValueError(f"sales of schema version {batch.schema_version} are unknown")
    try:
        frame = decode_frame(batch.data)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"the stored batch cannot be decoded: {error}") from error
    check_sales(frame)
    _check_count(batch, len(frame))
    return frame


def _check_count(batch: StoredBatch, found: int) -> None:
    if found != batch.count:
        raise ValueError(f"the stored batch holds {found} events in place of {batch.count}")


def _checksum(
    stream: str,
    first_version: int,
    count: int,
    kind: int,
    schema_version: int,
    traceparent: str | None,
    data: bytes,
) -> int:
    place = (stream, first_version, count, kind, schema_version, traceparent)
    return zlib.crc32(data, zlib.crc32(msgspec.msgpack.encode(place)))
