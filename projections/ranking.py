"""Ranked orders and dense ranks of a window's table, on columns."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from projections.blocks import IntArray
from projections.fold import Tables
from projections.ranking_lists import (
    FIRST_POSITIONS,
    LISTS_PER_CATEGORY,
    METRICS,
    WINDOWS,
    RankingMetric,
    RankingWindow,
    list_offset,
)

_RANKED_TOTAL: Final = {RankingMetric.UNITS: "units", RankingMetric.REVENUE: "amount_minor"}
"""The column whose positive totals a metric ranks."""

FIRST_ROWS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "list": pl.UInt32(),
    "position": pl.Int32(),
    "rank": pl.Int32(),
    "product_id": pl.String(),
    "units": pl.Int64(),
    "amount_minor": pl.Int64(),
}
"""The first 100 rows of lists, in order; `list` is category x 10 + the list's offset in it."""


class RankedOrder:
    """A table's rows with a positive total, best first within each category.

    `rows` are indices into the table, `category`, `total`, `position` and `rank` (both from 1) go
    along with them. Equal totals stand in the table's order, which is that of the ids' bytes.
    """

    def __init__(self, table: pl.DataFrame, metric: RankingMetric) -> None:
        totals = table.get_column(_RANKED_TOTAL[metric]).to_numpy()
        categories = table.get_column("category").to_numpy()
        positive = np.flatnonzero(totals > 0)
        order = _best_first(categories[positive], totals[positive])
        self.rows: IntArray = positive[order]
        self.category: npt.NDArray[np.uint32] = categories[self.rows]
        self.total: IntArray = totals[self.rows]
        self.position, self.rank = _places(self.category, self.total)

    def counts(self, categories: int) -> IntArray:
        """Return how many products each of the categories ranks."""
        counts: IntArray = np.bincount(self.category, minlength=categories).astype(np.int64)
        return counts


RankedOrders = dict[tuple[RankingWindow, RankingMetric], RankedOrder]


def _best_first(category: npt.NDArray[np.uint32], total: IntArray) -> IntArray:
    """Return the order by category, then total descending, ties as they stand."""
    if len(total) and int(category[-1]) < 1 << 20 and int(total.max()) < 1 << 43:
        # Both in one integer: one sort instead of two.
        return np.argsort((category.astype(np.int64) << 43) - total, kind="stable")
    return np.lexsort((-total, category))


def _places(category: npt.NDArray[np.uint32], total: IntArray) -> tuple[IntArray, IntArray]:
    count = len(category)
    if count == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first_of_category = np.empty(count, np.bool_)
    first_of_category[0] = True
    np.not_equal(category[1:], category[:-1], out=first_of_category[1:])
    new_rank = first_of_category.copy()
    new_rank[1:] |= total[1:] != total[:-1]
    starts = np.flatnonzero(first_of_category)
    lengths = np.diff(starts, append=count)
    ranks = np.cumsum(new_rank)
    position = np.arange(1, count + 1) - np.repeat(starts, lengths)
    return position, ranks - np.repeat(ranks[starts] - 1, lengths)


def ranked_orders(tables: Tables) -> RankedOrders:
    """Return the ranked order of every window by every metric."""
    return {
        (window, metric): RankedOrder(tables.windows[window], metric)
        for window in WINDOWS
        for metric in METRICS
    }


def first_rows(tables: Tables, orders: RankedOrders) -> pl.DataFrame:
    """Return the first 100 rows of every list as a `FIRST_ROWS_SCHEMA` frame, sorted by list."""
    parts = []
    for (window, metric), order in orders.items():
        chosen = np.flatnonzero(order.position <= FIRST_POSITIONS)
        lists = order.category[chosen] * LISTS_PER_CATEGORY + list_offset(window, metric)
        rows = tables.windows[window].select("product_id", "units", "amount_minor")
        parts.append(
            rows[order.rows[chosen]].select(
                pl.Series("list", lists, dtype=pl.UInt32),
                pl.Series("position", order.position[chosen], dtype=pl.Int32),
                pl.Series("rank", order.rank[chosen], dtype=pl.Int32),
                "product_id",
                "units",
                "amount_minor",
            )
        )
    return pl.concat(parts).sort("list", "position")


def total_counts(tables: Tables, orders: RankedOrders) -> IntArray:
    """Return how many products each list ranks, by `list` index."""
    count = len(tables.categories.ids)
    counts = np.zeros((count, LISTS_PER_CATEGORY), np.int64)
    for (window, metric), order in orders.items():
        counts[:, list_offset(window, metric)] = order.counts(count)
    return counts.reshape(-1)
