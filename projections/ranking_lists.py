"""What a ranking list is: a category, a window and a metric; and the rows that readers get.

Amounts are minor units of the feed's one currency; hours as in `write_side.hours`.
"""

from enum import Enum
from typing import Final

import msgspec

FIRST_POSITIONS: Final = 100
"""How many positions of a list are published, and remembered as previous ranks."""


class RankingWindow(Enum):
    """A rolling span of clock hours that ends with the newest closed hour."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    ALL_TIME = "all_time"


class RankingMetric(Enum):
    """What a ranking counts, net of returns."""

    UNITS = "units"
    REVENUE = "revenue"


WINDOWS: Final = tuple(RankingWindow)
METRICS: Final = tuple(RankingMetric)
LISTS_PER_CATEGORY: Final = len(WINDOWS) * len(METRICS)


class RankingList(msgspec.Struct, frozen=True):
    """One list: the products of a category, ranked by a metric over a window."""

    category_id: str
    window: RankingWindow
    metric: RankingMetric


def list_offset(window: RankingWindow, metric: RankingMetric) -> int:
    """Return a list's place, 0 to 9, among the lists of its category."""
    return WINDOWS.index(window) * len(METRICS) + METRICS.index(metric)


class RankedProduct(msgspec.Struct, frozen=True):
    """A row of a list."""

    position: int
    rank: int
    previous_rank: int | None
    product_id: str
    units: int
    amount_minor: int


class ListVersion(msgspec.Struct, frozen=True):
    """Which build of a partition an answer came from: caches, ETags and cursors name it."""

    generation: str
    version: int


class RankingPage(msgspec.Struct, frozen=True):
    """Some consecutive rows of one list, all of one version."""

    ranking: RankingList
    at: ListVersion
    as_of_hour: int
    total_count: int
    offset: int
    """Rows of the list before the first of `items`."""
    items: list[RankedProduct]


class SalesRank(msgspec.Struct, frozen=True):
    """A product's exact dense rank in one category, however deep."""

    product_id: str
    ranking: RankingList
    at: ListVersion
    as_of_hour: int
    rank: int
    previous_rank: int | None
    units: int
    amount_minor: int
    total_count: int


class ProductRanks(msgspec.Struct, frozen=True):
    """A product's ranks over its categories, in the order of the category ids' bytes."""

    product_id: str
    known: bool
    """Whether it ever had a good row; a known product may be ranked nowhere."""
    ranks: list[SalesRank]


class RankedCategory(msgspec.Struct, frozen=True):
    """A category that ever had a good row."""

    category_id: str
    product_count: int
    """Products that ever had a good row in it."""
    as_of_hour: int


class RankPoint(msgspec.Struct, frozen=True):
    """A product's place in a list as published when an hour was the newest."""

    hour: int
    rank: int
    units: int
    amount_minor: int


class RankingStatus(msgspec.Struct, frozen=True):
    """How fresh the rankings are."""

    as_of_hour: int | None
    """Null before the first report."""
    missing_hours: list[int]
    """The newest 1,000 between the first and the newest report that no report covers."""
    pending_reports: int
    """Reports in the event store that the read model does not show yet."""
