"""The worker and the readers on a real Valkey node and a cluster of three, against the oracle."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from polars.testing import assert_frame_equal

from projections import worker
from projections.flips import RETIRED_SECONDS
from projections.head import head_key
from projections.lost_blocks import BlocksCheck
from projections.product_categories import SLOTS
from projections.ranking_lists import RankingList, RankingMetric, RankingWindow
from projections.read_model_tables import read_identities, read_live_heads
from projections.redis_connection import RedisClient
from projections.redis_rankings import RedisRankings
from projections.worker import project
from tests.oracle.operations import Operation
from tests.oracle.rankings import Oracle
from tests.projections.expected import COLUMNS, normal
from tests.projections.read_models import every_list, every_rank, read_model
from tests.projections.recorded import FIRST_HOUR, operations, record, report
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import PARTITIONS
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


def live_segments(redis: RedisClient) -> set[str]:
    live = read_live_heads(redis, range(PARTITIONS)).values()
    return {segment.key for one in live for segment in one.segments}


def segments_kept(redis: RedisClient) -> dict[str, int]:
    """Return the seconds that each segment still lives, -1 for ever."""
    keys = [key.decode() for key in redis.scan_iter("{[0-9]*", count=1000)]
    return {key: redis.ttl(key) for key in keys if ":head" not in key and ":retired" not in key}


def test_workers_that_lose_the_race_leave_nothing_behind(redis_url: str) -> None:
    store = MemoryEventStore()
    with read_model(store, redis_url) as one, read_model(store, redis_url) as other:
        histories = ReportHistory(), ReportHistory()
        for n in range(5):
            record(store, Operation("ingest", FIRST_HOUR + n, large_report(1500, 3 + n)))
            workers = [
                threading.Thread(target=project, args=(model, history))
                for model, history in zip((one, other), histories, strict=True)
            ]
            for each in workers:
                each.start()
            for each in workers:
                each.join()
        kept, live = segments_kept(one.redis), live_segments(one.redis)
    assert {key for key, seconds in kept.items() if seconds == -1} == live
    assert max(kept.values()) <= RETIRED_SECONDS
    replaced = sum(key not in live for key in kept)
    assert replaced <= 4 * len(live)


def test_a_worker_that_is_overtaken_before_it_writes_writes_nothing(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryEventStore()
    record(store, Operation("ingest", FIRST_HOUR, large_report(500, 3)))
    with read_model(store, redis_url) as one, read_model(store, redis_url) as other:

        def overtaken(redis: RedisClient, partitions: list[int]) -> dict[int, str]:
            monkeypatch.setattr(worker, "read_identities", read_identities)
            assert project(other, ReportHistory()).flipped == PARTITIONS
            return read_identities(redis, partitions)

        monkeypatch.setattr(worker, "read_identities", overtaken)
        assert project(one, ReportHistory()).flipped == 0
        assert segments_kept(one.redis).keys() == live_segments(one.redis)


def test_a_head_that_cannot_be_decoded_is_replaced_at_once_and_its_blocks_go(
    any_redis_url: str,
) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    record(store, Operation("ingest", FIRST_HOUR, large_report(500, 3)))
    with read_model(store, any_redis_url) as model:
        project(model, history)
        before = live_segments(model.redis)
        for partition in range(PARTITIONS):
            model.redis.hset(head_key(partition), "head", b"\x01garbage")
            # As if much had been replaced just now: nobody can read this partition.
            model.redis.zadd(f"{{{partition:02d}}}:retired", {"g:0:b=99999999": 9e9})
        with read_model(store, any_redis_url) as fresh:
            assert project(fresh, ReportHistory()).flipped == PARTITIONS
        kept = segments_kept(model.redis)
        assert live_segments(model.redis).isdisjoint(before)
        assert all(0 < kept[key] <= RETIRED_SECONDS for key in before)


def test_lost_blocks_are_made_again_by_a_worker_that_goes_on(redis_url: str) -> None:
    now = [0.0]
    done = [Operation("ingest", FIRST_HOUR, large_report(500, 3))]
    store, history = MemoryEventStore(), ReportHistory()
    record(store, done[0])
    with Oracle(done) as oracle, read_model(store, redis_url) as opened:
        model = replace(opened, blocks_check=BlocksCheck(60, lambda: now[0]))
        project(model, history)
        project(model, history)
        gone = next(key for key in live_segments(model.redis) if ":lists:" in key)
        model.redis.delete(gone)
        assert project(model, history).flipped == 0
        now[0] = 60
        assert project(model, history).flipped == 1
        assert gone not in live_segments(model.redis)
        assert project(model, history).flipped == 0
        lists = asyncio.run(every_list(model, redis_url))
        assert_frame_equal(lists, normal(oracle.at(0)))


def test_a_look_reads_only_heads_that_changed(redis_url: str) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    record(store, Operation("ingest", FIRST_HOUR, large_report(500, 3)))
    with read_model(store, redis_url) as model:
        project(model, history)
        project(model, history)
        model.redis.config_resetstat()
        project(model, history)
        calls = model.redis.info("commandstats")
        # Marks of products alone: a head's bytes are read together with its identity.
        assert calls["cmdstat_hmget"]["calls"] == SLOTS
        record(store, Operation("ingest", FIRST_HOUR + 1, large_report(500, 4)))
        with read_model(store, redis_url) as other:
            project(other, ReportHistory())
        shown = model.known.read(model.redis, range(PARTITIONS))
        assert shown == read_live_heads(model.redis, range(PARTITIONS))
        assert {one.head.version for one in shown.values() if one.head} == {1}


def test_a_worker_far_behind_shows_what_it_has_where_there_is_room(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "GATHER_SECONDS", 0)
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as model:
        for n in range(3):
            record(store, Operation("ingest", FIRST_HOUR + n, large_report(200, 3 + n)))
        in_parts = [project(model, history) for _ in range(3)]
        assert [(one.flipped, one.behind) for one in in_parts] == [(64, 64), (64, 64), (64, 0)]
        tight = replace(model, retired_bytes=0)
        for key in model.redis.scan_iter("*:retired"):
            model.redis.delete(key)
        for partition in range(PARTITIONS):
            model.redis.zadd(f"{{{partition:02d}}}:retired", {"g:0:b=1": 9e9})
        for n in range(3, 6):
            record(store, Operation("ingest", FIRST_HOUR + n, large_report(200, 3 + n)))
        project(tight, history)
        shown = {
            one.head.version
            for one in read_live_heads(model.redis, range(PARTITIONS)).values()
            if one.head is not None and one.head.categories
        }
        assert shown == {5}
