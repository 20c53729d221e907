"""A read model of its own for a test, and what readers get out of it, in the oracle's shape."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import polars as pl

from projections.ranking_lists import (
    METRICS,
    WINDOWS,
    RankingList,
    RankingMetric,
    RankingPage,
    RankingWindow,
    SalesRank,
)
from projections.redis_connection import open_redis
from projections.redis_rankings import RedisRankings
from projections.worker import ReadModel
from tests.projections.expected import COLUMNS, normal
from write_side.event_store import EventStore
from write_side.store_identity import store_identity


@contextmanager
def read_model(store: EventStore, redis_url: str) -> Iterator[ReadModel]:
    """Open what a worker needs."""
    redis = open_redis(redis_url)
    with ThreadPoolExecutor(2) as threads:
        try:
            yield ReadModel(store, store_identity(store).store_id, redis, threads)
        finally:
            redis.close()


async def every_list(model: ReadModel, redis_url: str, limit: int = 50) -> pl.DataFrame:
    """Return every list as a reader pages through it, all pages at any depth."""
    rows: list[dict[str, object]] = []
    async with RedisRankings(redis_url, model.store, model.store_id) as rankings:
        view = rankings.view()
        for category in view.categories(None, 10_000):
            for window in WINDOWS:
                for metric in METRICS:
                    ranking = RankingList(category.category_id, window, metric)
                    offset = 0
                    while True:
                        page = await view.page(ranking, offset, limit)
                        rows += page_rows(page)
                        offset += limit
                        if offset >= page.total_count:
                            break
    return normal(pl.DataFrame(rows, schema=schema()))


async def every_rank(model: ReadModel, redis_url: str, product_ids: list[str]) -> list[SalesRank]:
    """Return the ranks of products in all windows and metrics."""
    found: list[SalesRank] = []
    async with RedisRankings(redis_url, model.store, model.store_id) as rankings:
        view = rankings.view()
        for window in WINDOWS:
            for metric in METRICS:
                for product in await view.product_ranks(product_ids, window, metric):
                    found += product.ranks
    return found


def page_rows(page: RankingPage) -> list[dict[str, object]]:
    """Return a page's rows with the oracle's columns."""
    return [
        {
            "category_id": page.ranking.category_id,
            "window": page.ranking.window.value,
            "metric": page.ranking.metric.value,
            "position": item.position,
            "rank": item.rank,
            "product_id": item.product_id,
            "units": item.units,
            "amount_minor": item.amount_minor,
            "previous_rank": item.previous_rank,
            "total_count": page.total_count,
        }
        for item in page.items
    ]


def schema() -> dict[str, type[pl.String] | type[pl.Int64]]:
    """Return the types of the oracle's columns."""
    text = {"category_id", "window", "metric", "product_id"}
    return {column: pl.String if column in text else pl.Int64 for column in COLUMNS}


def ranks_of(expected: pl.DataFrame, window: RankingWindow, metric: RankingMetric) -> pl.DataFrame:
    """Return the oracle's rows of one window and metric."""
    return expected.filter((pl.col("window") == window.value) & (pl.col("metric") == metric.value))
