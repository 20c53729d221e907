"""Pages and ranks out of blocks, at any depth, against plain lists in Python."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.errors import BlockCorrupted, BlockMissing, CategoryUnknown
from projections.head import Head
from projections.list_pages import read_page
from projections.product_lookup import read_product_ranks
from projections.ranking_lists import METRICS, RankingList, RankingMetric, RankingWindow
from projections.redis_connection import AsyncRedisClient, RedisClient, open_async_redis, open_redis
from tests.projections.conftest import SMALL
from tests.projections.tables import SHARING, Totals, ranked, store_tables, totals

pytestmark = pytest.mark.usefixtures("small_blocks")
few = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
WINDOW = RankingWindow.WEEK
Answer = TypeVar("Answer")


class Reader:
    """An event loop with a connection that readers share."""

    def __init__(self, redis_url: str) -> None:
        self.writes: RedisClient = open_redis(redis_url)
        self.reads: AsyncRedisClient = open_async_redis(redis_url)
        self.runner = asyncio.Runner()

    def run(self, reading: Coroutine[Any, Any, Answer]) -> Answer:
        return self.runner.run(reading)


@pytest.fixture
def reader(redis_url: str) -> Iterator[Reader]:
    with opened(redis_url) as reader:
        yield reader


@contextmanager
def opened(redis_url: str) -> Iterator[Reader]:
    reader = Reader(redis_url)
    with reader.runner, reader.writes:
        yield reader
        reader.run(reader.reads.aclose())


def listed(category: str, metric: RankingMetric) -> RankingList:
    return RankingList(category, WINDOW, metric)


@few
@given(totals, st.data())
def test_a_page_is_that_slice_of_the_list(
    reader: Reader, rows: Totals, data: st.DataObject
) -> None:
    head = store_tables(reader.writes, rows)
    for category in SHARING:
        for metric in METRICS:
            expected = ranked(rows[category], metric)
            offset = data.draw(st.integers(0, len(expected) + 3))
            limit = data.draw(st.integers(1, 12))
            page = reader.run(
                read_page(reader.reads, head, listed(category, metric), offset, limit)
            )
            assert (page.total_count, page.offset, page.as_of_hour) == (len(expected), offset, 10)
            assert [
                (item.position, item.rank, item.product_id, item.units, item.amount_minor)
                for item in page.items
            ] == expected[offset : offset + limit]


@few
@given(totals)
def test_a_products_rank_is_its_place_in_the_list(reader: Reader, rows: Totals) -> None:
    head = store_tables(reader.writes, rows)
    sold = {
        product: [category for category in SHARING if product in rows[category]]
        for product in {product for category in rows.values() for product in category}
    }
    sold["never sold"] = []
    for metric in METRICS:
        answers = reader.run(
            read_product_ranks(
                reader.reads, {head.partition: head}, sold, list(sold), WINDOW, metric
            )
        )
        assert [(answer.product_id, answer.known) for answer in answers] == [
            (product, bool(categories)) for product, categories in sold.items()
        ]
        for answer in answers:
            found = [
                (one.ranking.category_id, one.rank, one.units, one.amount_minor, one.total_count)
                for one in answer.ranks
            ]
            assert found == [
                (category, rank, units, amount, len(order))
                for category in sold[answer.product_id]
                for order in [ranked(rows[category], metric)]
                for _, rank, product, units, amount in order
                if product == answer.product_id
            ]


LONG = {category: {f"p{n:03}": (1 + n // 3, 1 + n % 4) for n in range(40)} for category in SHARING}


@pytest.mark.parametrize("size", [1, 3, 4, 5, 7, 40, 100])
def test_pages_one_after_the_other_are_the_whole_list(reader: Reader, size: int) -> None:
    head = store_tables(reader.writes, LONG)
    for metric in METRICS:
        items = []
        for offset in range(0, 40, size):
            page = read_page(reader.reads, head, listed(SHARING[2], metric), offset, size)
            items += reader.run(page).items
        assert [(item.position, item.rank, item.product_id) for item in items] == [
            row[:3] for row in ranked(LONG[SHARING[2]], metric)
        ]


def test_previous_ranks_are_told_at_any_depth(reader: Reader) -> None:
    previous = pl.DataFrame(
        {"list": [4, 4, 5], "product_id": ["p000", "p039", "p001"], "rank": [7, 9, 3]},
        schema={"list": pl.UInt32, "product_id": pl.String, "rank": pl.Int32},
    )
    head = store_tables(reader.writes, LONG, previous)
    first = head.categories[0]
    page = reader.run(read_page(reader.reads, head, listed(first, RankingMetric.UNITS), 0, 40))
    known = {item.product_id: item.previous_rank for item in page.items if item.previous_rank}
    assert known == {"p000": 7, "p039": 9}


def test_an_unknown_category_is_told(reader: Reader) -> None:
    head = store_tables(reader.writes, LONG)
    with pytest.raises(CategoryUnknown, match="'nowhere'"):
        reader.run(read_page(reader.reads, head, listed("nowhere", RankingMetric.UNITS), 0, 5))


def damaged(reader: Reader, head: Head, value: bytes | None) -> None:
    for segment in head.segments():
        if value is None:
            reader.writes.delete(segment.key)
        else:
            for field in reader.writes.hkeys(segment.key):
                reader.writes.hset(segment.key, field, value)


@pytest.mark.parametrize(
    ("value", "error"), [(None, BlockMissing), (b"", BlockCorrupted), (b"\x01", BlockCorrupted)]
)
@pytest.mark.parametrize("offset", [0, 3 * SMALL["FIRST_POSITIONS"]])
def test_blocks_that_are_lost_or_damaged_are_told(
    reader: Reader, value: bytes | None, error: type[Exception], offset: int
) -> None:
    head = store_tables(reader.writes, LONG)
    damaged(reader, head, value)
    ranking = listed(SHARING[0], RankingMetric.UNITS)
    with pytest.raises(error):
        reader.run(read_page(reader.reads, head, ranking, offset, 5))
    with pytest.raises(error):
        reader.run(
            read_product_ranks(
                reader.reads,
                {head.partition: head},
                {"p001": [SHARING[0]]},
                ["p001"],
                WINDOW,
                RankingMetric.UNITS,
            )
        )
