"""The types of the rankings: lists, their rows, ranks, and the entities that other subgraphs know.

`Category` and `Product` stand for any id, since a catalogue may know what never sold.
"""

from collections.abc import Sequence
from typing import TypeVar

import strawberry
from strawberry import federation

from projections import ranking_lists
from projections.ranking_lists import RankingList, RankingMetric, RankingPage, RankingWindow
from subgraph.arguments import ids_argument
from subgraph.context import OperationContext
from subgraph.errors import NotFound
from subgraph.loaders import RanksOfProduct
from subgraph.ranking_pages import (
    GRAPHQL_NAMES,
    CategoryPage,
    PageRequest,
    cursor_after,
    has_next_page,
    page_request,
)
from subgraph.scalars import BigInt, DateTime, Decimal, decimal_of, instant_of, start_instant_of

Info = strawberry.Info[OperationContext, None]
T = TypeVar("T")

strawberry.enum(
    RankingWindow,
    description=(
        "A rolling span of report hours that ends with the newest closed hour."
        " HOUR is that hour alone, DAY 24 of them, WEEK 168, MONTH 720."
    ),
)
strawberry.enum(
    RankingMetric,
    description="What the ranking counts: net units (returns subtracted) or net revenue.",
)


@federation.type(shareable=True)
class PageInfo:
    """Where a page lies in its list."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class SalesAmount:
    """An amount of the feed's currency."""

    amount: Decimal
    currency: str


@federation.type(
    keys=["id"],
    description=(
        "Resolves for any id, as the catalogue may know categories that never sold;"
        " `topProducts` is null then."
    ),
)
class Category:
    """A category, by its id alone."""

    id: strawberry.ID

    @strawberry.field
    async def top_products(
        self,
        info: Info,
        window: RankingWindow = RankingWindow.DAY,
        metric: RankingMetric = RankingMetric.UNITS,
        first: int = 10,
        after: str | None = strawberry.UNSET,
        as_of: DateTime | None = strawberry.UNSET,
    ) -> "TopProductsConnection | None":
        """Resolve the category's list: null where it never sold, which is no error here."""
        ranking = RankingList(self.id, window, metric)
        try:
            return await page_of_list(info.context, ranking, first, after, as_of)
        except NotFound:
            return None


async def _ranks_of_product(
    root: strawberry.Parent["Product"],
    info: Info,
    window: RankingWindow = RankingWindow.DAY,
    metric: RankingMetric = RankingMetric.UNITS,
    category_ids: list[strawberry.ID] | None = strawberry.UNSET,
) -> list["SalesRank"]:
    return await ranks_of_products(info.context, [root.id], window, metric, category_ids)


@federation.type(
    keys=["id"],
    description="Resolves for any id, as the catalogue may know products that never sold.",
)
class Product:
    """A product, by its id alone."""

    id: strawberry.ID

    sales_ranks: list["SalesRank"] = strawberry.field(
        resolver=_ranks_of_product,
        description=(
            "Its rank in each of its categories, however deep; a category where its total is not"
            " positive is left out. Empty for a product that never sold."
        ),
    )


@strawberry.type
class RankedProduct:
    """A row of a list."""

    rank: int = strawberry.field(
        description=(
            "Dense rank: products with equal totals share one,"
            " and the next total gets the next number."
        )
    )
    position: int = strawberry.field(
        description=(
            "Place in the list, 1 for the first;"
            " equal totals stand in the order of their product ids."
        )
    )
    previous_rank: int | None = strawberry.field(
        description=(
            "The rank when the newest closed hour before this one was the newest;"
            " null where it was not in the first 100 then."
        )
    )
    units: BigInt
    revenue: SalesAmount
    product: Product


@strawberry.type
class RankedProductEdge:
    """A row of a list with its cursor."""

    cursor: str
    node: RankedProduct


@strawberry.type
class TopProductsConnection:
    """A page of a list, all of one version."""

    page: strawberry.Private[RankingPage]
    request: strawberry.Private[PageRequest]
    currency: strawberry.Private[str]
    category: Category
    window: RankingWindow
    metric: RankingMetric
    total_count: int = strawberry.field(
        description="Products with a positive total in this ranking."
    )
    as_of: DateTime = strawberry.field(
        description="The end of the newest report hour that the ranking counts."
    )
    version: int = strawberry.field(
        description=(
            "Grows with every change of any of this category's lists,"
            " also when a window merely rolls on."
        )
    )

    @strawberry.field
    def edges(self, info: Info) -> list[RankedProductEdge]:
        """Resolve the rows with their cursors."""
        return [
            RankedProductEdge(
                cursor=cursor_after(info.context.cursors, self.request, self.page, row),
                node=_ranked_product(item, self.currency),
            )
            for row, item in enumerate(self.page.items)
        ]

    @strawberry.field
    def nodes(self) -> list[RankedProduct]:
        """Resolve the rows."""
        return [_ranked_product(item, self.currency) for item in self.page.items]

    @strawberry.field
    def page_info(self, info: Info) -> PageInfo:
        """Resolve where the page lies."""
        cursors, request, page = info.context.cursors, self.request, self.page
        last = len(page.items) - 1
        return PageInfo(
            has_next_page=has_next_page(request, page),
            has_previous_page=request.offset > 0,
            start_cursor=cursor_after(cursors, request, page, 0) if page.items else None,
            end_cursor=cursor_after(cursors, request, page, last) if page.items else None,
        )


@strawberry.type
class RankedCategoryEdge:
    """A known category with its cursor."""

    cursor: str
    node: Category


@strawberry.type
class RankedCategoryConnection:
    """A page of the known categories."""

    page: strawberry.Private[CategoryPage]
    after: strawberry.Private[str | None]
    total_count: int

    @strawberry.field
    def edges(self, info: Info) -> list[RankedCategoryEdge]:
        """Resolve the categories with their cursors."""
        cursors = info.context.cursors
        return [
            RankedCategoryEdge(cursor=cursors.of_category(node.id), node=node)
            for node in self._categories()
        ]

    @strawberry.field
    def nodes(self) -> list[Category]:
        """Resolve the categories."""
        return self._categories()

    @strawberry.field
    def page_info(self, info: Info) -> PageInfo:
        """Resolve where the page lies."""
        items, cursors = self.page.items, info.context.cursors
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.after is not None,
            start_cursor=cursors.of_category(items[0].category_id) if items else None,
            end_cursor=cursors.of_category(items[-1].category_id) if items else None,
        )

    def _categories(self) -> list[Category]:
        return [Category(id=strawberry.ID(item.category_id)) for item in self.page.items]


@strawberry.type
class SalesRank:
    """A product's rank in one of its categories."""

    product: Product
    category: Category
    window: RankingWindow
    metric: RankingMetric
    rank: int
    previous_rank: int | None
    units: BigInt
    revenue: SalesAmount
    total_count: int = strawberry.field(description="Products ranked in the category.")
    as_of: DateTime


@strawberry.type
class RankPoint:
    """A product's rank at the close of an hour."""

    as_of: DateTime
    rank: int
    units: BigInt
    revenue: SalesAmount


@strawberry.type
class RankingStatus:
    """How fresh the rankings are."""

    as_of: DateTime | None = strawberry.field(
        description="The end of the newest closed hour, null before the first report."
    )
    missing_hours: list[DateTime] = strawberry.field(
        description=(
            "The newest 1,000 hours between the first and the newest report that no report covers."
        )
    )
    pending_reports: int = strawberry.field(
        description="Reports that are in the event store and not yet in the read model."
    )


async def page_of_list(
    context: OperationContext,
    ranking: RankingList,
    first: int,
    after: str | None,
    as_of: DateTime | None,
) -> TopProductsConnection:
    """Resolve a page of a list; raises `BadArgument`, `NotFound`, `CursorExpired`."""
    request = page_request(
        context.cursors, GRAPHQL_NAMES, ranking, first, given(after), given(as_of)
    )
    page = await context.loaders.pages.load(request)
    return TopProductsConnection(
        page=page,
        request=request,
        currency=context.currency,
        category=Category(id=strawberry.ID(ranking.category_id)),
        window=ranking.window,
        metric=ranking.metric,
        total_count=page.total_count,
        as_of=instant_of(page.as_of_hour),
        version=page.at.version,
    )


async def ranks_of_products(
    context: OperationContext,
    product_ids: Sequence[str],
    window: RankingWindow,
    metric: RankingMetric,
    category_ids: Sequence[str] | None,
) -> list[SalesRank]:
    """Resolve the ranks of checked product ids, in their order; raises `BadArgument`."""
    narrowed = given(category_ids)
    categories = None if narrowed is None else ids_argument("categoryIds", narrowed)
    answers = await context.loaders.product_ranks.load_many(
        RanksOfProduct(product_id, window, metric, categories) for product_id in product_ids
    )
    return [_sales_rank(rank, context.currency) for answer in answers for rank in answer.ranks]


def rank_point(point: ranking_lists.RankPoint, currency: str) -> RankPoint:
    """Return a product's place at the close of an hour as clients see it."""
    return RankPoint(
        as_of=instant_of(point.hour),
        rank=point.rank,
        units=BigInt(point.units),
        revenue=SalesAmount(amount=decimal_of(point.amount_minor), currency=currency),
    )


def ranking_status(status: ranking_lists.RankingStatus) -> RankingStatus:
    """Return the freshness of the rankings as clients see it."""
    return RankingStatus(
        as_of=None if status.as_of_hour is None else instant_of(status.as_of_hour),
        missing_hours=[start_instant_of(hour) for hour in status.missing_hours],
        pending_reports=status.pending_reports,
    )


def given(argument: T | None) -> T | None:
    """Return an argument that may be left out, null where it was."""
    return None if argument is strawberry.UNSET else argument


def _ranked_product(item: ranking_lists.RankedProduct, currency: str) -> RankedProduct:
    return RankedProduct(
        rank=item.rank,
        position=item.position,
        previous_rank=item.previous_rank,
        units=BigInt(item.units),
        revenue=SalesAmount(amount=decimal_of(item.amount_minor), currency=currency),
        product=Product(id=strawberry.ID(item.product_id)),
    )


def _sales_rank(rank: ranking_lists.SalesRank, currency: str) -> SalesRank:
    return SalesRank(
        product=Product(id=strawberry.ID(rank.product_id)),
        category=Category(id=strawberry.ID(rank.ranking.category_id)),
        window=rank.ranking.window,
        metric=rank.ranking.metric,
        rank=rank.rank,
        previous_rank=rank.previous_rank,
        units=BigInt(rank.units),
        revenue=SalesAmount(amount=decimal_of(rank.amount_minor), currency=currency),
        total_count=rank.total_count,
        as_of=instant_of(rank.as_of_hour),
    )
