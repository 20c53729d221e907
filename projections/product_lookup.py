"""The exact ranks of many products at once: where they are ranked, their totals, their ranks."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from projections.block_reader import Place, fetch_blocks
from projections.blocks import BLOCK_ROWS, decode_block
from projections.errors import ReadModelUnavailable
from projections.head import Head
from projections.list_blocks import ListBlock, decode_list_block
from projections.list_pages import TOTAL_COLUMN, rank_before, ranked_table
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
from projections.shown_heads import version_of
from write_side.partitioning import partition_of

BLOCKS_AT_ONCE: Final = 256
"""Blocks that a question holds in memory: it is answered in slices."""
BLOCKS_IN_LOOP: Final = 32
"""Blocks that are decoded in the event loop: some milliseconds, less than a thread would wait."""

_Computed = TypeVar("_Computed")


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
    decoding: Executor | None = None,
) -> list[ProductRanks]:
    """Return the ranks of products in the given categories, in two round trips for each slice.

    A slice needs some hundred blocks, which are decoded once each, and by `decoding` (the event
    loop's threads where null) where they would hold up the event loop. Raises `BlockMissing`,
    `BlockCorrupted`, `ReadModelUnavailable`.
    """
    sought = [
        found
        for product, among in categories.items()
        for category_id in among
        if (found := _seek(heads, product, category_id, window, metric)) is not None
    ]
    # What lies in one block is sought together.
    sought.sort(key=lambda one: one.table_place)
    ranks: dict[tuple[str, str], SalesRank] = {}
    for slice_of_blocks in _slices(sought):
        for rank in await _ranks_of(redis, slice_of_blocks, window, metric, decoding):
            ranks[rank.product_id, rank.ranking.category_id] = rank
    return [
        ProductRanks(
            product,
            bool(categories[product]),
            [
                ranks[product, category_id]
                for category_id in categories[product]
                if (product, category_id) in ranks
            ],
        )
        for product in product_ids
    ]


def _slices(sought: Sequence[_Sought]) -> Iterator[list[_Sought]]:
    some: list[_Sought] = []
    places: set[Place] = set()
    for one in sought:
        places |= {one.table_place, one.list_place}
        some.append(one)
        if len(places) >= BLOCKS_AT_ONCE:
            yield some
            some, places = [], set()
    if some:
        yield some


async def _ranks_of(
    redis: AsyncRedisClient,
    sought: Sequence[_Sought],
    window: RankingWindow,
    metric: RankingMetric,
    decoding: Executor | None,
) -> list[SalesRank]:
    data = await fetch_blocks(
        redis, [place for one in sought for place in (one.table_place, one.list_place)]
    )
    lists, totals = await _computed(
        decoding, len(data), lambda: _read_totals(sought, data, window, metric)
    )
    ranks, deep = _first_ranks(lists, totals, window, metric)
    places = {
        one: ranked_table(one.head, window, metric).place(block) for one, block in deep.items()
    }
    blocks = await fetch_blocks(redis, places.values())
    ranks |= await _computed(
        decoding, len(blocks), lambda: _deep_ranks(deep, places, blocks, totals, window, metric)
    )
    answers = []
    for one, (units, amount) in totals.items():
        first, end = ranked_table(one.head, window, metric).rows_of(one.category)
        answers.append(
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
    return answers


async def _computed(
    decoding: Executor | None, blocks: int, compute: Callable[[], _Computed]
) -> _Computed:
    if blocks <= BLOCKS_IN_LOOP:
        return compute()
    return await asyncio.get_running_loop().run_in_executor(decoding, compute)


def _read_totals(
    sought: Sequence[_Sought],
    data: Mapping[Place, bytes],
    window: RankingWindow,
    metric: RankingMetric,
) -> tuple[dict[Place, ListBlock], dict[_Sought, tuple[int, int]]]:
    lists = {place: decode_list_block(data[place]) for place in {one.list_place for one in sought}}
    totals: dict[_Sought, tuple[int, int]] = {}
    for place, among in groupby(sought, key=lambda one: one.table_place):
        block = decode_block(data[place])
        for one in among:
            first, end = one.head.window(window).by_id.rows_of(one.category)
            begin = one.table_block * BLOCK_ROWS
            row = block.find(
                one.product_id.encode(), max(first - begin, 0), min(end - begin, len(block))
            )
            if row is not None and block.columns[TOTAL_COLUMN[metric]][row] > 0:
                totals[one] = (int(block.columns[0][row]), int(block.columns[1][row]))
    return lists, totals


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


def _first_ranks(
    lists: Mapping[Place, ListBlock],
    totals: Mapping[_Sought, tuple[int, int]],
    window: RankingWindow,
    metric: RankingMetric,
) -> tuple[dict[_Sought, int], dict[_Sought, int]]:
    """Return the ranks among lists' first rows, and the blocks in which the others lie."""
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
    return ranks, deep


def _deep_ranks(
    deep: Mapping[_Sought, int],
    places: Mapping[_Sought, Place],
    data: Mapping[Place, bytes],
    totals: Mapping[_Sought, tuple[int, int]],
    window: RankingWindow,
    metric: RankingMetric,
) -> dict[_Sought, int]:
    ranks: dict[_Sought, int] = {}
    column = TOTAL_COLUMN[metric]
    for place, among in groupby(sorted(deep, key=places.__getitem__), key=places.__getitem__):
        block = decode_block(data[place])
        for one in among:
            table, number = ranked_table(one.head, window, metric), deep[one]
            first, base = rank_before(table, one.category, number)
            end = table.rows_of(one.category)[1]
            begin = number * BLOCK_ROWS
            rows = block.columns[column][first - begin : end - begin]
            ranks[one] = _rank_among(rows, totals[one][column], base)
    return ranks


def _rank_among(descending: npt.NDArray[np.int64], total: int, base: int) -> int:
    """Return the dense rank of a total among totals that begin with rank `base`."""
    place = int(np.searchsorted(-descending, -total, side="left"))
    return base + int(np.count_nonzero(np.diff(descending[: place + 1])))
