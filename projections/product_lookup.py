"""The exact ranks of many products at once: where they are ranked, their totals, their ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from projections.block_reader import Place, fetch_blocks
from projections.blocks import BLOCK_ROWS, decode_block
from projections.errors import ReadModelUnavailable
from projections.head import Head
from projections.list_blocks import ListBlock, decode_list_block
from projections.list_pages import TOTAL_COLUMN, rank_before, ranked_table
from projections.live_heads import version_of
from projections.product_categories import (
    bucket_key,
    categories_in,
    marks_field,
    marks_key,
    slot_of,
)
from projections.ranking_lists import (
    ProductRanks,
    RankingList,
    RankingMetric,
    RankingWindow,
    SalesRank,
    list_offset,
)
from projections.redis_connection import REDIS_FAILURES, AsyncRedisClient
from write_side.partitioning import partition_of


@dataclass(frozen=True, eq=False)
class _Sought:
    """A product in one of its categories."""

    product_id: str
    category_id: str
    head: Head
    category: int
    table_block: int
    table_place: Place
    list_place: Place


async def find_categories(
    redis: AsyncRedisClient, heads: Mapping[int, Head], product_ids: Sequence[str]
) -> dict[str, list[str]]:
    """Return the categories of products, in the order of their bytes, in one round trip.

    Raises `ReadModelUnavailable` where a slot lacks pairs that a head already shows.
    """
    products = list(dict.fromkeys(product_ids))
    slots = sorted({slot_of(product.encode()) for product in products})
    known = sorted(heads)
    try:
        pipeline = redis.pipeline(transaction=False)
        for slot in slots:
            pipeline.hmget(
                marks_key(slot), [marks_field(heads[p].store_id, p) for p in known] or ["none"]
            )
        for product in products:
            pipeline.hkeys(bucket_key(product.encode()))
        answers = await pipeline.execute()
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"the products' categories can't be read: {error}") from error
    for marks in answers[: len(slots)]:
        for partition, mark in zip(known, marks, strict=False):
            if mark is None or int(mark) < heads[partition].version:
                raise ReadModelUnavailable(
                    "the products' categories are not complete yet; a projection worker adds them"
                )
    fields = answers[len(slots) :]
    return {
        product: categories_in(some, product.encode())
        for product, some in zip(products, fields, strict=True)
    }


async def read_product_ranks(
    redis: AsyncRedisClient,
    heads: Mapping[int, Head],
    categories: Mapping[str, list[str]],
    product_ids: Sequence[str],
    window: RankingWindow,
    metric: RankingMetric,
) -> list[ProductRanks]:
    """Return the ranks of products in the given categories, in two round trips.

    Raises `BlockMissing`, `BlockCorrupted`, `ReadModelUnavailable`.
    """
    sought = [
        found
        for product, among in categories.items()
        for category_id in among
        if (found := _seek(heads, product, category_id, window, metric)) is not None
    ]
    places = [place for one in sought for place in (one.table_place, one.list_place)]
    data = await fetch_blocks(redis, places)
    lists = {one.list_place: decode_list_block(data[one.list_place]) for one in sought}
    tables = {one.table_place: decode_block(data[one.table_place]) for one in sought}
    totals = {}
    for one in sought:
        block = tables[one.table_place]
        first, end = one.head.window(window).by_id.rows_of(one.category)
        begin = one.table_block * BLOCK_ROWS
        row = block.find(
            one.product_id.encode(), max(first - begin, 0), min(end - begin, len(block))
        )
        if row is not None and block.columns[TOTAL_COLUMN[metric]][row] > 0:
            totals[one] = (int(block.columns[0][row]), int(block.columns[1][row]))
    ranks = await _dense_ranks(redis, totals, lists, window, metric)
    answers: dict[str, list[SalesRank]] = {product: [] for product in categories}
    for one, (units, amount) in totals.items():
        first, end = ranked_table(one.head, window, metric).rows_of(one.category)
        answers[one.product_id].append(
            SalesRank(
                product_id=one.product_id,
                ranking=RankingList(one.category_id, window, metric),
                at=version_of(one.head),
                as_of_hour=one.head.as_of_hour,
                rank=ranks[one],
                previous_rank=lists[one.list_place].previous_ranks.get(one.product_id.encode()),
                units=units,
                amount_minor=amount,
                total_count=end - first,
            )
        )
    return [
        ProductRanks(product, bool(categories[product]), answers[product])
        for product in product_ids
    ]


def _seek(
    heads: Mapping[int, Head],
    product_id: str,
    category_id: str,
    window: RankingWindow,
    metric: RankingMetric,
) -> _Sought | None:
    head = heads.get(partition_of(category_id))
    category = None if head is None else head.category_index.get(category_id)
    if head is None or category is None:
        return None
    table = head.window(window).by_id
    block = table.block_with_id(category, product_id.encode())
    if block is None:
        return None
    return _Sought(
        product_id,
        category_id,
        head,
        category,
        block,
        table.place(block),
        head.list_place(category, list_offset(window, metric)),
    )


async def _dense_ranks(
    redis: AsyncRedisClient,
    totals: Mapping[_Sought, tuple[int, int]],
    lists: Mapping[Place, ListBlock],
    window: RankingWindow,
    metric: RankingMetric,
) -> dict[_Sought, int]:
    ranks: dict[_Sought, int] = {}
    deep: dict[_Sought, int] = {}
    column = TOTAL_COLUMN[metric]
    for one, values in totals.items():
        first_rows = lists[one.list_place].rows.columns[column]
        if values[column] >= first_rows[-1]:
            ranks[one] = _rank_among(first_rows, values[column], 1)
        else:
            table = ranked_table(one.head, window, metric)
            deep[one] = table.block_with_total(one.category, values[column])
    places = {
        one: ranked_table(one.head, window, metric).place(block) for one, block in deep.items()
    }
    data = await fetch_blocks(redis, places.values())
    blocks = {place: decode_block(data[place]) for place in data}
    for one, number in deep.items():
        table = ranked_table(one.head, window, metric)
        first, base = rank_before(table, one.category, number)
        end = table.rows_of(one.category)[1]
        begin = number * BLOCK_ROWS
        rows = blocks[places[one]].columns[column][first - begin : end - begin]
        ranks[one] = _rank_among(rows, totals[one][column], base)
    return ranks


def _rank_among(descending: npt.NDArray[np.int64], total: int, base: int) -> int:
    """Return the dense rank of a total among totals that begin with rank `base`."""
    place = int(np.searchsorted(-descending, -total, side="left"))
    return base + int(np.count_nonzero(np.diff(descending[: place + 1])))
