"""The root of all queries."""

from typing import Annotated

import strawberry

from projections.ranking_lists import RankingList, RankingMetric, RankingWindow
from subgraph.arguments import (
    history_arguments,
    id_argument,
    ids_argument,
    page_size_argument,
)
from subgraph.ranking_pages import read_categories
from subgraph.ranking_types import (
    Info,
    RankedCategoryConnection,
    RankingStatus,
    RankPoint,
    SalesRank,
    TopProductsConnection,
    given,
    page_of_list,
    rank_point,
    ranking_status,
    ranks_of_products,
)
from subgraph.scalars import DateTime


async def _top_products(
    info: Info,
    category_id: strawberry.ID,
    window: RankingWindow = RankingWindow.DAY,
    metric: RankingMetric = RankingMetric.UNITS,
    first: Annotated[int, strawberry.argument(description="1 to 100.")] = 10,
    after: str | None = strawberry.UNSET,
    as_of: Annotated[
        DateTime | None,
        strawberry.argument(
            description=(
                "The ranking as published when that hour was the newest (its first 100);"
                " the newest when null."
            )
        ),
    ] = strawberry.UNSET,
) -> TopProductsConnection | None:
    ranking = RankingList(category_id, window, metric)
    return await page_of_list(info.context, ranking, first, after, as_of)


async def _sales_ranks(
    info: Info,
    product_ids: list[strawberry.ID],
    window: RankingWindow = RankingWindow.DAY,
    metric: RankingMetric = RankingMetric.UNITS,
    category_ids: list[strawberry.ID] | None = strawberry.UNSET,
) -> list[SalesRank]:
    ids = ids_argument("productIds", product_ids)
    return await ranks_of_products(info.context, ids, window, metric, category_ids)


async def _rank_history(
    info: Info,
    product_id: strawberry.ID,
    category_id: strawberry.ID,
    first: Annotated[DateTime, strawberry.argument(name="from")],
    last: Annotated[DateTime, strawberry.argument(name="to")],
    window: RankingWindow = RankingWindow.DAY,
    metric: RankingMetric = RankingMetric.UNITS,
) -> list[RankPoint]:
    context = info.context
    begin, end = history_arguments(first, last)
    ranking = RankingList(id_argument("categoryId", category_id), window, metric)
    product = id_argument("productId", product_id)
    points = await context.view.rank_history(ranking, product, begin, end)
    return [rank_point(point, context.currency) for point in points]


async def _ranked_categories(
    info: Info, first: int = 50, after: str | None = strawberry.UNSET
) -> RankedCategoryConnection:
    context, cursor = info.context, given(after)
    limit = page_size_argument("first", first)
    begin = None if cursor is None else context.cursors.category("after", cursor)
    page = read_categories(context.view, begin, limit)
    return RankedCategoryConnection(page=page, after=begin, total_count=page.total_count)


async def _ranking_status(info: Info) -> RankingStatus:
    info.context.reads_event_store = True
    return ranking_status(await info.context.rankings.status())


@strawberry.type
class Query:
    """What can be asked of the rankings."""

    top_products: TopProductsConnection | None = strawberry.field(
        resolver=_top_products,
        description=(
            "The best-selling products of a category, best first."
            " Null, with an error of code NOT_FOUND, for an unknown category."
        ),
    )
    sales_ranks: list[SalesRank] = strawberry.field(
        resolver=_sales_ranks,
        description=(
            "The ranks of up to 1,000 products in each of their categories, however deep,"
            " in the order of the ids; unknown products give nothing."
        ),
    )
    rank_history: list[RankPoint] = strawberry.field(
        resolver=_rank_history,
        description=(
            "A product's rank at the close of each hour from `from` to `to` (720 hours at most),"
            " for the hours in which it was in the first 100."
        ),
    )
    ranked_categories: RankedCategoryConnection = strawberry.field(resolver=_ranked_categories)
    ranking_status: RankingStatus = strawberry.field(resolver=_ranking_status)
