"""Whole tables out of Redis, for those who fold or check them; blocking."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from projections.blocks import BLOCK_ROWS, decode_rows
from projections.errors import BlockCorrupted, BlockMissing, ReadModelUnavailable
from projections.head import (
    Head,
    Segment,
    StoredTable,
    decode_head,
    decode_segments,
    head_key,
)
from projections.redis_connection import REDIS_FAILURES, RedisClient

TOTALS_COLUMNS: Final = ("units", "amount_minor")
_SEGMENTS_AT_ONCE: Final = 64


class LiveHead(NamedTuple):
    """What a partition shows now."""

    identity: str
    """What a flip has to name; empty where there is no head."""
    head: Head | None
    """Null where there is none, or none that can be decoded."""
    damaged: tuple[Segment, ...] = ()
    """What a head named that can't be decoded."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All that is live, whether the head can be decoded or not."""
        return self.damaged if self.head is None else tuple(self.head.segments())


def read_identities(redis: RedisClient, partitions: Iterable[int]) -> dict[int, str]:
    """Return the identities of what partitions show; empty where there is no head.

    Raises `ReadModelUnavailable`.
    """
    wanted = list(partitions)
    try:
        pipeline = redis.pipeline(transaction=False)
        for partition in wanted:
            pipeline.hget(head_key(partition), "identity")
        answers = pipeline.execute()
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"the heads can't be read: {error}") from error
    return {
        partition: (identity or b"").decode()
        for partition, identity in zip(wanted, answers, strict=True)
    }


def read_live_heads(redis: RedisClient, partitions: Iterable[int]) -> dict[int, LiveHead]:
    """Return what partitions show now; raises `ReadModelUnavailable`."""
    wanted = list(partitions)
    try:
        pipeline = redis.pipeline(transaction=False)
        for partition in wanted:
            pipeline.hmget(head_key(partition), "identity", "head")
        answers = pipeline.execute()
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"the heads can't be read: {error}") from error
    live = {
        partition: LiveHead((identity or b"").decode(), _decoded(data))
        for partition, (identity, data) in zip(wanted, answers, strict=True)
    }
    damaged = [p for p, one in live.items() if one.identity and one.head is None]
    return live | _read_damaged(redis, damaged) if damaged else live


def _read_damaged(redis: RedisClient, partitions: Sequence[int]) -> dict[int, LiveHead]:
    try:
        pipeline = redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hmget(head_key(partition), "identity", "segments")
        answers = pipeline.execute()
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"the heads can't be read: {error}") from error
    return {
        partition: LiveHead((identity or b"").decode(), None, _segments(data))
        for partition, (identity, data) in zip(partitions, answers, strict=True)
    }


def _segments(data: bytes | None) -> tuple[Segment, ...]:
    try:
        return () if data is None else decode_segments(data)
    except BlockCorrupted:
        return ()


def _decoded(data: bytes | None) -> Head | None:
    if data is None:
        return None
    try:
        return decode_head(data)
    except BlockCorrupted:
        return None


def read_segments(redis: RedisClient, segments: Sequence[Segment]) -> list[bytes]:
    """Return all blocks of segments, in order; raises `BlockMissing`, `ReadModelUnavailable`."""
    blocks: list[bytes] = []
    number = 0
    for start in range(0, len(segments), _SEGMENTS_AT_ONCE):
        some = segments[start : start + _SEGMENTS_AT_ONCE]
        try:
            pipeline = redis.pipeline(transaction=False)
            for segment in some:
                pipeline.hgetall(segment.key)
            answers = pipeline.execute()
        except REDIS_FAILURES as error:
            raise ReadModelUnavailable(f"blocks can't be read: {error}") from error
        for segment, fields in zip(some, answers, strict=True):
            for field in range(number, number + segment.blocks):
                data = fields.get(str(field).encode())
                if data is None:
                    raise BlockMissing(f"block {field} of {segment.key} is not there")
                blocks.append(data)
            number += segment.blocks
    return blocks


def read_table(redis: RedisClient, table: StoredTable) -> pl.DataFrame:
    """Return a stored table's rows in its order, with `category` as its place in the head.

    Raises `BlockMissing`, `BlockCorrupted`, `ReadModelUnavailable`.
    """
    rows = decode_rows(read_segments(redis, table.segments), TOTALS_COLUMNS)
    counts = np.diff(table.starts)
    if rows.height != int(table.starts[-1]):
        raise BlockMissing(
            f"a table has {rows.height} rows instead of {table.starts[-1]} "
            f"in blocks of {BLOCK_ROWS}"
        )
    categories = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
    return rows.select(
        pl.Series("category", categories, dtype=pl.UInt32), "product_id", *TOTALS_COLUMNS
    )
