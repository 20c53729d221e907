"""Pinned partitions that are verified together: their categories, and where theirs stand."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

import numpy as np
import polars as pl

from projections.differences import Difference, Differences
from projections.head import TableOrder
from projections.ranking_lists import (
    LISTS_PER_CATEGORY,
    METRICS,
    WINDOWS,
    RankingMetric,
    RankingWindow,
)
from projections.verify_blocks import StoredPartition
from projections.verify_sales import in_order
from write_side.partitioning import PARTITIONS, partition_of

ORDER_OF: Final = {
    RankingMetric.UNITS: TableOrder.UNITS,
    RankingMetric.REVENUE: TableOrder.REVENUE,
}
ORDER_NAMES: Final = {
    TableOrder.BY_ID: "product",
    TableOrder.UNITS: "units",
    TableOrder.REVENUE: "revenue",
}


class ComparedPartitions:
    """Partitions at one version; a category's *code* is its place in `categories`."""

    def __init__(
        self,
        stored: Sequence[StoredPartition],
        expected_categories: Sequence[str],
        differences: Differences,
    ) -> None:
        self.stored = stored
        self.differences = differences
        self.rows = 0
        """Rows that were compared."""
        # What a damaged head names beside its own stands there, so that no other is disturbed.
        home = {i: one.head.partition for one in stored for i in one.head.categories}
        home.update({i: partition_of(i) for i in expected_categories})
        self.categories = sorted(home, key=lambda i: (home[i], i.encode()))
        self._code = {category_id: code for code, category_id in enumerate(self.categories)}
        partitions = np.array([home[i] for i in self.categories], np.int64)
        self._starts = np.searchsorted(partitions, np.arange(PARTITIONS + 1))
        self._common = {
            one.head.partition: self._compare_categories(one, expected_categories) for one in stored
        }

    def span_of(self, stored: StoredPartition) -> tuple[int, int]:
        """Return the first code of a partition's categories, and the one after its last."""
        partition = stored.head.partition
        return int(self._starts[partition]), int(self._starts[partition + 1])

    def has_same_categories(self, stored: StoredPartition) -> bool:
        """Return whether the head has the very categories that it must have, in their order."""
        return self._common[stored.head.partition] is None

    def found_of(self, stored: StoredPartition, rows: pl.DataFrame, lists: int = 1) -> pl.DataFrame:
        """Return stored rows whose first column numbers the head's categories with codes there.

        `lists` is how many numbers each category has.
        """
        numbers = rows.to_series(0)
        codes = np.array([self._code[i] for i in stored.head.categories], np.int64)
        places = (codes[:, None] * lists + np.arange(lists)).reshape(-1)
        coded = pl.Series(numbers.name, places, dtype=pl.UInt32)
        return self._in_both(stored, rows.with_columns(coded.gather(numbers)), lists)

    def expected_of(
        self, stored: StoredPartition, rows: pl.DataFrame, lists: int = 1
    ) -> pl.DataFrame:
        """Return a partition's rows out of those of all, sorted by codes in their first column."""
        # Of the same type as the codes, or searching would convert them all.
        ends = np.array(self.span_of(stored), np.uint32) * np.uint32(lists)
        first, end = np.searchsorted(rows.to_series(0).to_numpy(), ends)
        return self._in_both(stored, rows.slice(first, end - first), lists)

    def _in_both(self, stored: StoredPartition, rows: pl.DataFrame, lists: int) -> pl.DataFrame:
        # Of a category that one side lacks, no row is told again.
        codes = self._common[stored.head.partition]
        if codes is None:
            return rows
        return rows.filter((pl.nth(0) // lists).is_in(codes.implode()))

    def differs(
        self,
        stored: StoredPartition,
        what: str,
        expected: object,
        found: object,
        *,
        category: int | None = None,
        window: RankingWindow | None = None,
        order: TableOrder | None = None,
    ) -> None:
        """Add a difference; `category` is a code."""
        self.differences.add(
            Difference(
                partition=stored.head.partition,
                category=None if category is None else self.categories[category],
                window=None if window is None else window.value,
                order=None if order is None else ORDER_NAMES[order],
                what=what,
                expected=str(expected),
                found=str(found),
            )
        )

    def list_differs(
        self, stored: StoredPartition, number: int, what: str, expected: str, found: str
    ) -> None:
        """Add a difference of the list with a number: code x 10 + its offset."""
        window, metric = divmod(number % LISTS_PER_CATEGORY, len(METRICS))
        self.differs(
            stored,
            what,
            expected,
            found,
            category=number // LISTS_PER_CATEGORY,
            window=WINDOWS[window],
            order=ORDER_OF[METRICS[metric]],
        )

    def _compare_categories(
        self, stored: StoredPartition, all_expected: Sequence[str]
    ) -> pl.Series | None:
        """Return the codes of the categories that both have; null where both are the same."""
        partition = stored.head.partition
        found = list(stored.head.categories)
        expected = [i for i in all_expected if partition_of(i) == partition]
        if found == expected:
            return None
        for category_id in in_order({*expected, *found}):
            if category_id not in found:
                self._category_differs(stored, category_id, "known", "nothing")
            elif category_id not in expected:
                self._category_differs(stored, category_id, "nothing", "known")
        if set(found) == set(expected):
            self._order_differs(stored, expected, found)
        common = [self._code[i] for i in expected if i in found]
        return pl.Series(common, dtype=pl.UInt32)

    def _order_differs(
        self, stored: StoredPartition, expected: Sequence[str], found: Sequence[str]
    ) -> None:
        places = zip_longest(expected, found, fillvalue="nothing")
        place, (a, b) = next((n, pair) for n, pair in enumerate(places) if pair[0] != pair[1])
        self.differs(stored, f"the categories' order, at {place}", a, b)

    def _category_differs(
        self, stored: StoredPartition, category_id: str, expected: str, found: str
    ) -> None:
        code = self._code[category_id]
        self.differs(stored, "the category", expected, found, category=code)
