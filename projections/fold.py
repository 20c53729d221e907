"""The fold: totals of reports into totals of windows, on columns, without side effects.

One rule covers reports on time, late, corrected and withdrawn, catching up and rebuilding: a
window's table at a version is the sum of the totals of the attempts in force within it, reached by
adding and subtracting what differs from another version (`windows.window_change`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from projections.ranking_lists import WINDOWS, RankingWindow
from projections.windows import WindowChange
from write_side.partitioning import partition_of
from write_side.report_history import Attempt

TABLE_SCHEMA: Final[dict[str, pl.DataType]] = {
    "category": pl.UInt32(),
    "product_id": pl.String(),
    "units": pl.Int64(),
    "amount_minor": pl.Int64(),
}
"""A window's table: one row a (category, product), sorted by both; `category` is an index into the
tables' categories, product ids in the order of their bytes."""

TotalsOf = Callable[[Attempt], pl.DataFrame]
"""Gives the `TOTALS_SCHEMA` frame of an attempt in the partitions that are folded together."""


@dataclass(frozen=True)
class Categories:
    """The known categories of the partitions that are folded together.

    In the order of partition, then id, so that each partition's rows lie together in every table.
    """

    ids: list[str] = field(default_factory=list)
    partitions: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, ids: set[str]) -> "Categories":
        """Return the categories with these ids."""
        keys = sorted((partition_of(i), i.encode()) for i in ids)
        return cls([key.decode() for _, key in keys], [partition for partition, _ in keys])

    def range_of(self, partition: int) -> tuple[int, int]:
        """Return a partition's first category and the one after its last."""
        return bisect_left(self.partitions, partition), bisect_right(self.partitions, partition)

    def codes(self) -> pl.DataFrame:
        """Return the frame that turns `category_id` into `category`."""
        return pl.DataFrame(
            {"category_id": self.ids, "category": range(len(self.ids))},
            schema={"category_id": pl.String, "category": pl.UInt32},
        )


@dataclass(frozen=True)
class Tables:
    """What all windows hold at one version, for some partitions."""

    categories: Categories
    windows: Mapping[RankingWindow, pl.DataFrame]
    """`TABLE_SCHEMA` frames. Rows whose totals are both 0 are kept in ALL_TIME only: its rows are
    the products that are known."""


def no_tables() -> Tables:
    """Return the tables before the first report."""
    return Tables(Categories(), {window: pl.DataFrame(schema=TABLE_SCHEMA) for window in WINDOWS})


def fold(
    base: Tables, changes: Mapping[RankingWindow, WindowChange], totals_of: TotalsOf
) -> Tables:
    """Return the tables that follow from `base` by the changes.

    `totals_of` is called once for each attempt that any change names.
    """
    attempts = {attempt for change in changes.values() for attempt in change.weights}
    totals = {attempt: totals_of(attempt) for attempt in sorted(attempts)}
    categories = _known_categories(base.categories, totals.values())
    codes = categories.codes()
    coded = {
        attempt: frame.join(codes, on="category_id", how="left", maintain_order="left").select(
            TABLE_SCHEMA.keys()
        )
        for attempt, frame in totals.items()
    }
    recode = _recode(base.categories, categories)
    return Tables(
        categories,
        {
            window: _apply(recode(base.windows[window]), changes[window], coded, window)
            for window in WINDOWS
        },
    )


def _known_categories(known: Categories, frames: Iterable[pl.DataFrame]) -> Categories:
    ids = set(known.ids)
    for frame in frames:
        ids.update(frame.get_column("category_id").unique().to_list())
    return known if len(ids) == len(known.ids) else Categories.of(ids)


def _recode(old: Categories, new: Categories) -> Callable[[pl.DataFrame], pl.DataFrame]:
    if old is new or not old.ids:
        return lambda table: table
    place = {category_id: code for code, category_id in enumerate(new.ids)}
    codes = pl.Series("category", [place[i] for i in old.ids], dtype=pl.UInt32)
    return lambda table: table.with_columns(codes.gather(table.get_column("category")))


def _apply(
    base: pl.DataFrame,
    change: WindowChange,
    totals: Mapping[Attempt, pl.DataFrame],
    window: RankingWindow,
) -> pl.DataFrame:
    if not change.weights and not change.anew:
        return base
    parts = [] if change.anew else [base]
    for attempt, weight in sorted(change.weights.items()):
        frame = totals[attempt]
        if weight == 1:
            parts.append(frame)
        else:
            parts.append(
                frame.with_columns(pl.col("units") * weight, pl.col("amount_minor") * weight)
            )
    if not parts:
        return pl.DataFrame(schema=TABLE_SCHEMA)
    summed = (
        pl.concat(parts)
        .lazy()
        .group_by("category", "product_id")
        .agg(pl.col("units").sum(), pl.col("amount_minor").sum())
    )
    if window is not RankingWindow.ALL_TIME:
        summed = summed.filter((pl.col("units") != 0) | (pl.col("amount_minor") != 0))
    return summed.sort("category", "product_id").collect()
