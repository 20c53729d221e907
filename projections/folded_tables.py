"""Between a head and the tables that are folded: what it holds, what stays, and the next one."""

from collections.abc import Mapping, Sequence

import polars as pl

from projections.errors import BlockCorrupted, BlockMissing
from projections.fold import Categories, Tables
from projections.folding import Folded, unfolded
from projections.head import Head, StoredWindow, new_build
from projections.ranking_lists import WINDOWS, RankingWindow
from projections.read_model import ReadModel
from projections.read_model_tables import LiveHead, read_table
from projections.redis_connection import RedisClient
from write_side.report_history import ReportHistory


def read_tables(redis: RedisClient, heads: Sequence[Head]) -> tuple[Tables, list[int]]:
    """Return what heads hold, in one frame a window, and the partitions whose blocks are lost.

    `heads` are in the order of their partitions. Raises `ReadModelUnavailable`.
    """
    lost: list[int] = []
    ids: list[str] = []
    of: list[int] = []
    windows: dict[RankingWindow, list[pl.DataFrame]] = {window: [] for window in WINDOWS}
    for head in heads:
        try:
            tables = {window: read_table(redis, head.window(window).by_id) for window in WINDOWS}
        except (BlockMissing, BlockCorrupted):
            lost.append(head.partition)
            continue
        first = pl.lit(len(ids), pl.UInt32)
        for window, table in tables.items():
            windows[window].append(table.with_columns(pl.col("category") + first))
        ids += head.categories
        of += [head.partition] * len(head.categories)
    if len(lost) == len(heads):
        return unfolded().tables, lost
    together = {window: pl.concat(tables) for window, tables in windows.items()}
    return Tables(Categories(ids, of), together), lost


def next_head(
    model: ReadModel, history: ReportHistory, partition: int, folded: Folded, generation: str
) -> Head:
    """Return a partition's head at the folded version, but for where its blocks lie."""
    assert folded.version is not None  # noqa: S101  (nothing is written before version 0)
    first, end = folded.tables.categories.range_of(partition)
    return Head(
        store_id=model.store_id,
        partition=partition,
        generation=generation,
        version=folded.version,
        build=new_build(),
        hour=history.newest_at(folded.version),
        as_of_hour=history.as_of_hour_at(folded.version),
        categories=tuple(folded.tables.categories.ids[first:end]),
        windows={},
        lists=(),
    )


def unchanged_windows(
    base: Folded,
    folded: Folded,
    live: Mapping[int, LiveHead],
    partitions: Sequence[int],
) -> dict[tuple[int, RankingWindow], StoredWindow]:
    """Return the stored windows whose rows are the same in both, to be named again."""
    if base.version is None:
        return {}
    unchanged = {}
    for window in WINDOWS:
        before, after = base.tables.windows[window], folded.tables.windows[window]
        for partition in partitions:
            head = live[partition].head
            old_span = base.tables.categories.range_of(partition)
            new_span = folded.tables.categories.range_of(partition)
            if head is None or old_span[1] - old_span[0] != new_span[1] - new_span[0]:
                continue
            old, new = _rows_between(before, old_span), _rows_between(after, new_span)
            if old.equals(new):
                unchanged[partition, window] = head.window(window)
    return unchanged


def _rows_between(table: pl.DataFrame, span: tuple[int, int]) -> pl.DataFrame:
    category = table.get_column("category")
    first, end = category.search_sorted(pl.Series(span, dtype=pl.UInt32), side="left")
    return table.slice(first, end - first).with_columns(
        pl.col("category") - pl.lit(span[0], pl.UInt32)
    )
