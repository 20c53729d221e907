"""Pages of a list, at any depth, out of a head's blocks."""

import numpy as np
import numpy.typing as npt

from projections.block_reader import fetch_blocks
from projections.blocks import BLOCK_ROWS, Block, decode_block
from projections.errors import CategoryUnknown
from projections.head import Head, StoredTable
from projections.list_blocks import ListBlock, decode_list_block
from projections.ranking_lists import (
    FIRST_POSITIONS,
    RankedProduct,
    RankingList,
    RankingMetric,
    RankingPage,
    RankingWindow,
    list_offset,
)
from projections.redis_connection import AsyncRedisClient
from projections.shown_heads import version_of

IntArray = npt.NDArray[np.int64]

TOTAL_COLUMN = {RankingMetric.UNITS: 0, RankingMetric.REVENUE: 1}
"""The column of a block that a metric ranks."""


def ranked_table(head: Head, window: RankingWindow, metric: RankingMetric) -> StoredTable:
    """Return where a window's rows lie in the order of a metric."""
    stored = head.window(window)
    return stored.units if metric is RankingMetric.UNITS else stored.revenue


def category_place(head: Head, category_id: str) -> int:
    """Return a category's place in a head; raises `CategoryUnknown`."""
    place = head.category_index.get(category_id)
    if place is None:
        raise CategoryUnknown(f"no sale was ever recorded in category {category_id!r}")
    return place


async def read_page(
    redis: AsyncRedisClient, head: Head, ranking: RankingList, offset: int, limit: int
) -> RankingPage:
    """Return up to `limit` rows of a list after the first `offset`, in one round trip.

    Raises `CategoryUnknown`, `BlockMissing`, `BlockCorrupted`, `ReadModelUnavailable`.
    """
    category = category_place(head, ranking.category_id)
    table = ranked_table(head, ranking.window, ranking.metric)
    first, end = table.rows_of(category)
    list_place = head.list_place(category, list_offset(ranking.window, ranking.metric))
    start, stop = first + offset, min(first + offset + limit, end)
    deep = stop - first > FIRST_POSITIONS
    numbers = range(start // BLOCK_ROWS, (stop - 1) // BLOCK_ROWS + 1) if deep else range(0)
    places = [table.place(number) for number in numbers]
    blocks = await fetch_blocks(redis, [list_place, *places])
    own = decode_list_block(blocks[list_place])
    items: list[RankedProduct] = []
    if not deep:
        items = _items(own.rows, own, ranking.metric, 0, offset, stop - first, 1)
    for number, place in zip(numbers, places, strict=True):
        from_row, base = rank_before(table, category, number)
        block_first = number * BLOCK_ROWS
        items += _items(
            decode_block(blocks[place]),
            own,
            ranking.metric,
            first - block_first,
            max(start, block_first) - first,
            min(stop, block_first + BLOCK_ROWS) - first,
            base,
            from_row - block_first,
        )
    return RankingPage(ranking, version_of(head), head.as_of_hour, end - first, offset, items)


def rank_before(table: StoredTable, category: int, block: int) -> tuple[int, int]:
    """Return the first row of a category in a block, and that row's dense rank."""
    first, _ = table.rows_of(category)
    if first >= block * BLOCK_ROWS:
        return first, 1
    return block * BLOCK_ROWS, int(table.first_ranks[block])


def _items(
    rows: Block,
    own: ListBlock,
    metric: RankingMetric,
    shift: int,
    start: int,
    stop: int,
    base: int,
    base_row: int = 0,
) -> list[RankedProduct]:
    """Return the rows of list places `start` up to `stop`; row = place + `shift` of the block.

    `base` is the dense rank of row `base_row`.
    """
    if start >= stop:
        return []
    totals = rows.columns[TOTAL_COLUMN[metric]][base_row : stop + shift]
    ranks = base + np.cumsum(np.diff(totals, prepend=totals[:1]) != 0)
    units, amounts = rows.columns[0].tolist(), rows.columns[1].tolist()
    items = []
    for place in range(start, stop):
        row = place + shift
        product_id = rows.product_id(row)
        items.append(
            RankedProduct(
                position=place + 1,
                rank=int(ranks[row - base_row]),
                previous_rank=own.previous_ranks.get(product_id),
                product_id=product_id.decode(),
                units=units[row],
                amount_minor=amounts[row],
            )
        )
    return items
