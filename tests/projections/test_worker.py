"""The worker and the readers on a real Valkey node and a cluster of three, against the oracle."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from polars.testing import assert_frame_equal

from projections.head import head_key
from projections.ranking_lists import RankingList, RankingMetric, RankingWindow
from projections.redis_rankings import RedisRankings
from projections.worker import project
from tests.oracle.operations import Operation
from tests.oracle.rankings import Oracle
from tests.projections.expected import COLUMNS, normal
from tests.projections.read_models import every_list, every_rank, read_model
from tests.projections.recorded import FIRST_HOUR, operations, record, report
from write_side.memory_event_store import MemoryEventStore
from write_side.report_history import ReportHistory


def large_report(products: int, seed: int) -> pl.DataFrame:
    """Two categories that share products, with ties, over several blocks and segments."""
    rows = [
        (category, f"p{(n * 7919 + seed) % products:06d}", 1 + (n * seed) % 5, (n * 31) % 700)
        for category in ("wide", "broad")
        for n in range(products)
    ]
    return report([*rows, ("small", "p000001", 2, 5), ("small", "p000002", -1, -5)])


def test_readers_see_what_the_oracle_says_after_each_report(any_redis_url: str) -> None:
    done = [
        Operation("ingest", FIRST_HOUR, large_report(3000, 3)),
        Operation("ingest", FIRST_HOUR + 1, large_report(2500, 5)),
        Operation("ingest", FIRST_HOUR + 26, report([("small", "p000001", 1, 5)])),
        Operation("ingest", FIRST_HOUR + 25, large_report(100, 9)),
        Operation("correct", FIRST_HOUR + 1, report([("new", "p1", 1, 1)])),
        Operation("withdraw", FIRST_HOUR + 26),
    ]
    store, history = MemoryEventStore(), ReportHistory()
    with Oracle() as oracle, read_model(store, any_redis_url) as model:
        for version, operation in enumerate(done):
            oracle.record(operation)
            record(store, operation)
            progress = project(model, history)
            assert (progress.version, progress.flipped, progress.behind) == (version, 64, 0)
            lists = asyncio.run(every_list(model, any_redis_url, limit=700))
            assert_frame_equal(lists, normal(oracle.at(version)))


def test_a_products_rank_is_exact_at_any_depth(any_redis_url: str) -> None:
    done = [
        Operation("ingest", FIRST_HOUR, large_report(5000, 3)),
        Operation("ingest", FIRST_HOUR + 1, large_report(4000, 5)),
    ]
    store = MemoryEventStore()
    for operation in done:
        record(store, operation)
    with Oracle(done) as oracle, read_model(store, any_redis_url) as model:
        project(model, ReportHistory())
        products = [f"p{n:06d}" for n in range(0, 5000, 7)] + ["unknown", ""]
        found = asyncio.run(every_rank(model, any_redis_url, products))
        rows = [
            {
                "category_id": one.ranking.category_id,
                "window": one.ranking.window.value,
                "metric": one.ranking.metric.value,
                "product_id": one.product_id,
                "rank": one.rank,
                "previous_rank": one.previous_rank,
                "units": one.units,
                "amount_minor": one.amount_minor,
                "total_count": one.total_count,
            }
            for one in found
        ]
        columns = [column for column in COLUMNS if column != "position"]
        expected = normal(oracle.at(1)).filter(pl.col("product_id").is_in(products))
        key = ["category_id", "window", "metric", "product_id"]
        assert_frame_equal(
            pl.DataFrame(rows, schema_overrides={"previous_rank": pl.Int64})
            .select(columns)
            .sort(key),
            expected.select(columns).sort(key),
        )


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(operations())
def test_a_worker_that_is_behind_catches_up_in_one_go(
    redis_url: str, done: list[Operation]
) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    half = len(done) // 2
    with Oracle(done) as oracle, read_model(store, redis_url) as model:
        for operation in done[:half]:
            record(store, operation)
        project(model, history)
        for operation in done[half:]:
            record(store, operation)
        project(model, history)
        lists = asyncio.run(every_list(model, redis_url))
        assert_frame_equal(lists, normal(oracle.at(len(done) - 1)))


def test_nothing_happens_when_nothing_is_new(redis_url: str) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as model:
        assert project(model, history).version == -1
        record(store, Operation("ingest", FIRST_HOUR, report([("toys", "p1", 1, 100)])))
        project(model, history)
        before = model.redis.hget(head_key(0), "identity")
        assert project(model, history).flipped == 0
        assert model.redis.hget(head_key(0), "identity") == before


@pytest.mark.parametrize("lost", ["everything", "one partition", "some blocks", "the products"])
def test_what_redis_lost_is_made_again(any_redis_url: str, lost: str) -> None:
    done = [Operation("ingest", FIRST_HOUR + n, large_report(300 + n, 3 + n)) for n in range(3)]
    store, history = MemoryEventStore(), ReportHistory()
    with Oracle(done) as oracle, read_model(store, any_redis_url) as model:
        for operation in done[:2]:
            record(store, operation)
        project(model, history)
        keys = sorted(model.redis.scan_iter(count=1000))
        gone = {
            "everything": keys,
            "one partition": [k for k in keys if k.startswith(keys[0][:4])],
            "some blocks": [k for k in keys if b":day:" in k],
            "the products": [k for k in keys if k.startswith(b"{c")][::2],
        }[lost]
        for key in gone:
            model.redis.delete(key)
        record(store, done[2])
        assert project(model, history).behind == 0
        lists = asyncio.run(every_list(model, any_redis_url))
        assert_frame_equal(lists, normal(oracle.at(2)))
        ranks = asyncio.run(every_rank(model, any_redis_url, ["p000001"]))
        expected = normal(oracle.at(2)).filter(pl.col("product_id") == "p000001")
        assert len(ranks) == expected.height


def test_history_answers_as_published(redis_url: str) -> None:
    done = [
        Operation("ingest", FIRST_HOUR, report([("toys", "p1", 2, 100), ("toys", "p2", 1, 900)])),
        Operation("ingest", FIRST_HOUR + 1, report([("toys", "p2", 5, 100)])),
        Operation("ingest", FIRST_HOUR - 3, report([("toys", "p3", 9, 100)])),
        Operation("ingest", FIRST_HOUR + 3, report([("toys", "p1", 9, 100)])),
    ]
    store = MemoryEventStore()
    for operation in done:
        record(store, operation)

    async def check() -> None:
        async with RedisRankings(redis_url, store, model.store_id) as rankings:
            view = rankings.view()
            ranking = RankingList("toys", RankingWindow.DAY, RankingMetric.UNITS)
            for hour in range(FIRST_HOUR, FIRST_HOUR + 5):
                instant = oracle_end(hour)
                page = await view.page_as_of(ranking, instant, 0, 100)
                expected = normal(oracle.as_of_lists(instant, 3, "toys")).filter(
                    (pl.col("window") == "day") & (pl.col("metric") == "units")
                )
                assert [item.product_id for item in page.items] == (
                    expected.get_column("product_id").to_list()
                )
                assert [item.previous_rank for item in page.items] == (
                    expected.get_column("previous_rank").to_list()
                )
            history = await view.rank_history(
                ranking, "p2", oracle_end(FIRST_HOUR - 9), oracle_end(FIRST_HOUR + 9)
            )
            assert [(point.hour, point.rank, point.units) for point in history] == [
                (FIRST_HOUR, 2, 1),
                (FIRST_HOUR + 1, 2, 6),
                (FIRST_HOUR + 3, 3, 6),
            ]

    with Oracle(done) as oracle, read_model(store, redis_url) as model:
        project(model, ReportHistory())
        asyncio.run(check())


def oracle_end(hour: int) -> datetime:
    return datetime.fromtimestamp((hour + 1) * 3600, UTC)


def test_reports_gather_while_replaced_versions_hold_too_much(redis_url: str) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as whole:
        model = replace(whole, retired_bytes=0)
        for n in range(4):
            record(store, Operation("ingest", FIRST_HOUR + n, large_report(2000, 3 + n)))
            progress = project(model, history)
        assert progress.behind > 0
        for key in model.redis.scan_iter("*:retired"):
            model.redis.delete(key)
        assert project(model, history).behind == 0
