"""The list blocks: first rows and previous ranks, compared with what the sales say."""

from typing import Final

import duckdb
import numpy as np
import polars as pl

from projections.errors import BlockMissing
from projections.ranking_lists import (
    FIRST_POSITIONS,
    LISTS_PER_CATEGORY,
    METRICS,
    WINDOWS,
    RankingMetric,
    RankingWindow,
    list_offset,
)
from projections.verify_blocks import StoredPartition, read_lists
from projections.verify_partitions import ComparedPartitions
from projections.verify_rows import row_differences
from projections.verify_sales import ExpectedWindow
from projections.verify_tables import starts_of

_LIST: Final = pl.col("category") * LISTS_PER_CATEGORY


def first_of(
    compared: ComparedPartitions,
    window: RankingWindow,
    metric: RankingMetric,
    by_total: pl.DataFrame,
) -> pl.DataFrame:
    """Return the first 100 rows of each category, with `list` (code x 10 + offset) in its place."""
    starts = starts_of(by_total, compared)
    positions = np.arange(by_total.height) - np.repeat(starts[:-1], np.diff(starts))
    first = by_total[np.flatnonzero(positions < FIRST_POSITIONS)]
    return _listed(first, window, metric)


def previous_ranks(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Return `list`, `product_id`, `rank` of the first 100 at the version that ranks come from."""
    parts = []
    for window in WINDOWS:
        expected = ExpectedWindow(connection, window, before=True)
        parts += [_listed(expected.first(metric), window, metric) for metric in METRICS]
    return pl.concat(parts)


def compare_lists(
    connection: duckdb.DuckDBPyConnection,
    compared: ComparedPartitions,
    first: pl.DataFrame,
    previous: pl.DataFrame,
) -> None:
    """Compare the list blocks of all partitions with all first rows and previous ranks."""
    first = first.sort("list", maintain_order=True)
    previous = previous.sort("list", "product_id")
    for stored in compared.stored:
        try:
            found = read_lists(stored)
        except BlockMissing as error:
            compared.differs(stored, "the lists", "all of them", error)
            continue
        numbers = pl.DataFrame({"list": found.unreadable.keys()}, schema={"list": pl.UInt32})
        unreadable = compared.found_of(stored, numbers, LISTS_PER_CATEGORY).get_column("list")
        for number, reason in zip(unreadable, found.unreadable.values(), strict=True):
            compared.list_differs(stored, number, "the list's block", "to be read", reason)
        _compare(connection, compared, stored, first, found.rows, unreadable, is_ordered=True)
        _compare(
            connection,
            compared,
            stored,
            previous,
            found.previous,
            unreadable,
            is_ordered=False,
        )


def _compare(
    connection: duckdb.DuckDBPyConnection,
    compared: ComparedPartitions,
    stored: StoredPartition,
    expected: pl.DataFrame,
    found: pl.DataFrame,
    unreadable: pl.Series,
    *,
    is_ordered: bool,
) -> None:
    wanted = compared.expected_of(stored, expected, LISTS_PER_CATEGORY)
    if len(unreadable):
        wanted = wanted.filter(~pl.col("list").is_in(unreadable.implode()))
    there = compared.found_of(stored, found, LISTS_PER_CATEGORY)
    if not is_ordered:
        there = there.sort("list", "product_id")
    compared.rows += there.height
    if there.equals(wanted):
        return
    some, count = row_differences(
        connection, wanted, there, is_ordered=is_ordered, keep=compared.differences.room
    )
    prefix = "the first 100, " if is_ordered else "previous ranks, "
    for one in some:
        compared.list_differs(stored, one.list, prefix + one.what, one.expected, one.found)
    compared.differences.extend((), count - len(some))


def _listed(rows: pl.DataFrame, window: RankingWindow, metric: RankingMetric) -> pl.DataFrame:
    number = (_LIST + list_offset(window, metric)).cast(pl.UInt32).alias("list")
    return rows.select(number, pl.exclude("category"))
