"""Writes builds of the read model.

A build lies under keys of its own, with a time to live, until a flip makes it the version that
readers see; so nothing is ever overwritten, and what a dead worker left goes by itself.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from projections.blocks import BLOCK_ROWS, BlockWriter, new_compressor
from projections.errors import ReadModelUnavailable
from projections.fold import Tables
from projections.head import (
    SEGMENT_BLOCKS,
    Head,
    Segment,
    StoredTable,
    StoredWindow,
    TableOrder,
    segment_key,
)
from projections.list_blocks import ListBlockWriter
from projections.ranking import RankedOrder, RankedOrders
from projections.ranking_lists import LISTS_PER_CATEGORY, WINDOWS, RankingMetric, RankingWindow
from projections.redis_connection import REDIS_FAILURES, RedisClient

BUILD_SECONDS: Final = 3600
"""How long a build's keys live unless it is flipped live, or renewed."""
_BYTES_AT_ONCE: Final = 8 << 20


@dataclass(frozen=True)
class Build:
    """What is to be written for some partitions, all at one version."""

    tables: Tables
    orders: RankedOrders
    first_rows: pl.DataFrame
    """`ranking.FIRST_ROWS_SCHEMA`."""
    previous: pl.DataFrame
    """`list`, `product_id`, `rank` of the lists that previous ranks compare with."""


def write_build(
    redis: RedisClient,
    build: Build,
    heads: Sequence[Head],
    reusable: Mapping[tuple[int, RankingWindow], StoredWindow],
    threads: ThreadPoolExecutor,
) -> list[Head]:
    """Write the blocks of a build and return its heads, complete; nothing is live yet.

    `heads` say all but where blocks lie, one for each partition of the build; `reusable` names
    the stored windows whose rows did not change. Blocks are encoded by `threads`. Raises
    `ReadModelUnavailable`; what was written is then removed, where Redis can be reached.
    """
    sink = _Sink(redis, threads)
    try:
        return _write(sink, build, heads, reusable)
    except Exception:
        sink.remove()
        raise


def _write(
    sink: "_Sink",
    build: Build,
    heads: Sequence[Head],
    reusable: Mapping[tuple[int, RankingWindow], StoredWindow],
) -> list[Head]:
    categories = build.tables.categories
    windows: dict[int, dict[str, StoredWindow]] = {head.partition: {} for head in heads}
    for window in WINDOWS:
        layouts = _layouts(build, window)
        for head in heads:
            span = categories.range_of(head.partition)
            old = reusable.get((head.partition, window))
            stored = [
                layout.store(sink, head, window, span, table)
                for layout, table in zip(
                    layouts, old if old is not None else (None, None, None), strict=True
                )
            ]
            windows[head.partition][window.value] = StoredWindow(*stored)
    writer = ListBlockWriter(build.first_rows, build.previous)
    complete: list[Head] = []
    for head in heads:
        first, end = categories.range_of(head.partition)
        lists = _store_lists(
            sink, head, writer, first * LISTS_PER_CATEGORY, end * LISTS_PER_CATEGORY
        )
        complete.append(
            Head(
                store_id=head.store_id,
                partition=head.partition,
                generation=head.generation,
                version=head.version,
                build=head.build,
                hour=head.hour,
                as_of_hour=head.as_of_hour,
                categories=head.categories,
                windows=windows[head.partition],
                lists=lists,
            )
        )
    sink.flush()
    return complete


class _Sink:
    """Encodes blocks in threads, and sends segments to Redis some megabytes at a time."""

    def __init__(self, redis: RedisClient, threads: ThreadPoolExecutor) -> None:
        self._redis = redis
        self._threads = threads
        self._waiting: list[tuple[str, list[str | bytes]]] = []
        self._bytes = 0
        self._written: list[str] = []

    def encode(self, writer: BlockWriter, spans: list[tuple[int, int]]) -> list[bytes]:
        """Return the blocks of rows; in threads where there are many."""
        batches = [spans[n : n + SEGMENT_BLOCKS] for n in range(0, len(spans), SEGMENT_BLOCKS)]
        if len(batches) < 2:
            return _encode(writer, spans)
        encoded = self._threads.map(lambda batch: _encode(writer, batch), batches)
        return [block for blocks in encoded for block in blocks]

    def put(self, key: str, blocks: Sequence[bytes], fields: range) -> Segment:
        items: list[str | bytes] = []
        for field in fields:
            items += (str(field), blocks[field])
        size = sum(len(blocks[field]) for field in fields)
        self._waiting.append((key, items))
        self._bytes += size
        if self._bytes >= _BYTES_AT_ONCE:
            self.flush()
        return Segment(key, len(fields), size)

    def flush(self) -> None:
        if not self._waiting:
            return
        pipeline = self._redis.pipeline(transaction=False)
        self._written += [key for key, _ in self._waiting]
        for key, items in self._waiting:
            pipeline.hset(key, items=items)
            pipeline.expire(key, BUILD_SECONDS)
        try:
            pipeline.execute()
        except REDIS_FAILURES as error:
            raise ReadModelUnavailable(f"blocks can't be written: {error}") from error
        self._waiting, self._bytes = [], 0

    def remove(self) -> None:
        """Remove all that was written; what can't be reached goes by its time to live."""
        with contextlib.suppress(*REDIS_FAILURES):
            pipeline = self._redis.pipeline(transaction=False)
            for key in self._written:
                pipeline.unlink(key)
            pipeline.execute()


@dataclass(frozen=True)
class _Layout:
    """A window's rows of all partitions in one order."""

    order: TableOrder
    category: npt.NDArray[np.uint32]
    frame: pl.DataFrame
    writer: BlockWriter
    ranked: RankedOrder | None

    def store(
        self,
        sink: _Sink,
        head: Head,
        window: RankingWindow,
        span: tuple[int, int],
        reused: StoredTable | None,
    ) -> StoredTable:
        # Of the same type as the categories, or searching would convert them each time.
        codes = np.arange(span[0], span[1] + 1, dtype=np.uint32)
        starts = np.searchsorted(self.category, codes)
        first, end = int(starts[0]), int(starts[-1])
        starts_bytes = (starts - first).astype("<i8").tobytes()
        if reused is not None:
            return StoredTable(
                reused.segments,
                starts_bytes,
                reused.first_ids,
                reused.first_totals_bytes,
                reused.first_ranks_bytes,
            )
        spans = [(row, min(row + BLOCK_ROWS, end)) for row in range(first, end, BLOCK_ROWS)]
        blocks = sink.encode(self.writer, spans)
        part = f"{window.value}:{self.order.value}"
        segments = tuple(
            sink.put(
                segment_key(head.partition, head.build, part, number),
                blocks,
                fields,
            )
            for number, fields in _segments(len(blocks))
        )
        firsts = np.arange(first, end, BLOCK_ROWS)
        if self.ranked is None:
            ids = self.frame.get_column("product_id").gather(firsts).to_list()
            return StoredTable(segments, starts_bytes, tuple(i.encode() for i in ids), b"", b"")
        return StoredTable(
            segments,
            starts_bytes,
            (),
            self.ranked.total[firsts].astype("<i8").tobytes(),
            self.ranked.rank[firsts].astype("<i8").tobytes(),
        )


def _layouts(build: Build, window: RankingWindow) -> list[_Layout]:
    table = build.tables.windows[window]
    columns = ("units", "amount_minor")
    layouts = [
        _Layout(
            TableOrder.BY_ID,
            table.get_column("category").to_numpy(),
            table,
            BlockWriter(table, columns),
            None,
        )
    ]
    for order, metric in (
        (TableOrder.UNITS, RankingMetric.UNITS),
        (TableOrder.REVENUE, RankingMetric.REVENUE),
    ):
        ranked = build.orders[window, metric]
        rows = table.select("product_id", *columns)[ranked.rows]
        layouts.append(_Layout(order, ranked.category, rows, BlockWriter(rows, columns), ranked))
    return layouts


def _store_lists(
    sink: _Sink, head: Head, writer: ListBlockWriter, first: int, end: int
) -> tuple[Segment, ...]:
    blocks = writer.encode(first, end)
    return tuple(
        sink.put(
            segment_key(head.partition, head.build, "lists", number),
            blocks,
            fields,
        )
        for number, fields in _segments(len(blocks))
    )


def _encode(writer: BlockWriter, spans: Iterable[tuple[int, int]]) -> list[bytes]:
    compressor = new_compressor()
    return [writer.encode(first, end, compressor) for first, end in spans]


def _segments(blocks: int) -> Iterator[tuple[int, range]]:
    for number, first in enumerate(range(0, blocks, SEGMENT_BLOCKS)):
        yield number, range(first, min(first + SEGMENT_BLOCKS, blocks))
