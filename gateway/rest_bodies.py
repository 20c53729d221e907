"""The bodies of the REST endpoints, with their keys in the contract's order."""

from collections.abc import Sequence

import msgspec

from projections.ranking_lists import ProductRanks, RankedCategory, RankingPage, SalesRank
from subgraph.scalars import decimal_of, instant_of


class Revenue(msgspec.Struct, frozen=True):
    """An amount of the feed's currency, exact."""

    amount: str
    currency: str


class RankedItem(msgspec.Struct, frozen=True):
    """A row of a list."""

    rank: int
    position: int
    previous_rank: int | None
    product_id: str
    units: int
    revenue: Revenue


class TopProducts(msgspec.Struct, frozen=True):
    """A page of a category's list."""

    category_id: str
    window: str
    metric: str
    as_of: str
    version: int
    total_count: int
    items: list[RankedItem]
    next_cursor: str | None


class RankedIn(msgspec.Struct, frozen=True):
    """A product's rank in one of its categories."""

    category_id: str
    rank: int
    previous_rank: int | None
    units: int
    revenue: Revenue
    total_count: int
    as_of: str
    version: int


class SalesRanks(msgspec.Struct, frozen=True):
    """A product's ranks in all its categories."""

    product_id: str
    as_of: str | None
    items: list[RankedIn]


class KnownCategory(msgspec.Struct, frozen=True):
    """A category that ever had a good row."""

    category_id: str
    product_count: int
    as_of: str


class Categories(msgspec.Struct, frozen=True):
    """A page of the known categories."""

    items: list[KnownCategory]
    total_count: int
    next_cursor: str | None


def top_products_body(page: RankingPage, currency: str, next_cursor: str | None) -> TopProducts:
    """Return the body of a page."""
    return TopProducts(
        page.ranking.category_id,
        page.ranking.window.value,
        page.ranking.metric.value,
        instant_of(page.as_of_hour),
        page.at.version,
        page.total_count,
        [
            RankedItem(
                item.rank,
                item.position,
                item.previous_rank,
                item.product_id,
                item.units,
                Revenue(decimal_of(item.amount_minor), currency),
            )
            for item in page.items
        ],
        next_cursor,
    )


def sales_ranks_body(ranks: ProductRanks, currency: str, newest_hour: int | None) -> SalesRanks:
    """Return the body of a product's ranks; `newest_hour` counts where it is ranked nowhere."""
    oldest = min((rank.as_of_hour for rank in ranks.ranks), default=newest_hour)
    return SalesRanks(
        ranks.product_id,
        None if oldest is None else instant_of(oldest),
        [_ranked_in(rank, currency) for rank in ranks.ranks],
    )


def categories_body(
    items: Sequence[RankedCategory], total_count: int, next_cursor: str | None
) -> Categories:
    """Return the body of a page of categories."""
    return Categories(
        [
            KnownCategory(item.category_id, item.product_count, instant_of(item.as_of_hour))
            for item in items
        ],
        total_count,
        next_cursor,
    )


def _ranked_in(rank: SalesRank, currency: str) -> RankedIn:
    return RankedIn(
        rank.ranking.category_id,
        rank.rank,
        rank.previous_rank,
        rank.units,
        Revenue(decimal_of(rank.amount_minor), currency),
        rank.total_count,
        instant_of(rank.as_of_hour),
        rank.at.version,
    )
