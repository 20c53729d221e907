"""A rebuild beside the live read model, from totals and from every sale."""

import asyncio
import threading
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from projections import rebuild as rebuild_module
from projections.errors import RebuildFailed
from projections.head import Head, head_key
from projections.read_model_tables import read_live_heads
from projections.rebuild import rebuild
from projections.redis_connection import RedisClient
from projections.totals import TotalsSource, stored_totals, totals_of_sales
from projections.verify import verify
from projections.worker import ReadModel, project
from tests.oracle.operations import Operation
from tests.oracle.rankings import Oracle
from tests.projections.expected import normal
from tests.projections.read_models import every_list, read_model
from tests.projections.recorded import FIRST_HOUR, as_sales, record, report
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import PARTITIONS, partition_of
from write_side.report_history import ReportHistory
from write_side.sale_frames import total_sales

ALL = range(PARTITIONS)
FEED = [
    Operation(
        "ingest",
        FIRST_HOUR + n,
        report([("toys", f"p{(k * 37 + n) % 900}", 1 + k % 4, k) for k in range(1500)]),
    )
    for n in range(3)
] + [Operation("withdraw", FIRST_HOUR + 1)]


def store_of(feed: list[Operation]) -> MemoryEventStore:
    store = MemoryEventStore()
    for operation in feed:
        record(store, operation)
    return store


@pytest.mark.parametrize("source", [stored_totals, totals_of_sales])
def test_a_rebuild_shows_the_same_lists_in_a_new_generation(
    any_redis_url: str, source: TotalsSource
) -> None:
    store, history = store_of(FEED), ReportHistory()
    with Oracle(FEED) as oracle, read_model(store, any_redis_url) as model:
        project(model, history)
        before = read_live_heads(model.redis, ALL)
        done = rebuild(model, history, ALL, source)
        after = read_live_heads(model.redis, ALL)
        assert (done.version, done.partitions) == (3, 64)
        for partition in ALL:
            old, new = before[partition].head, after[partition].head
            assert old is not None
            assert new is not None
            assert new.version == old.version
            assert new.generation > old.generation
        lists = asyncio.run(every_list(model, any_redis_url))
        assert_frame_equal(lists, normal(oracle.at(3)))


def test_some_categories_are_rebuilt_alone(redis_url: str) -> None:
    store, history = store_of(FEED), ReportHistory()
    with read_model(store, redis_url) as model:
        project(model, history)
        before = read_live_heads(model.redis, ALL)
        rebuild(model, history, [partition_of("toys")], stored_totals)
        after = read_live_heads(model.redis, ALL)
        changed = [p for p in ALL if before[p].identity != after[p].identity]
        assert changed == [partition_of("toys")]


def test_damage_is_found_by_verify_and_mended_by_a_rebuild(redis_url: str) -> None:
    store, history = store_of(FEED), ReportHistory()
    with read_model(store, redis_url) as model:
        project(model, history)
        damaged = next(k for k in model.redis.scan_iter("{*:day:i:0"))
        model.redis.hset(damaged, "0", b"damaged")
        assert not verify(store, model.redis, model.store_id).agrees
        rebuild(model, history, ALL, stored_totals)
        assert verify(store, model.redis, model.store_id).agrees


def test_a_rebuild_that_disagrees_with_the_events_is_not_swapped_in(redis_url: str) -> None:
    store, history = store_of(FEED), ReportHistory()
    with read_model(store, redis_url) as model:
        project(model, history)
        before = model.redis.hget(head_key(partition_of("toys")), "identity")

        def wrong(store: object, attempt: object, partition: int) -> pl.DataFrame:
            return total_sales(as_sales(report([("toys", "p1", 1, 1)])))

        with pytest.raises(RebuildFailed, match="nothing was swapped in"):
            rebuild(model, history, [partition_of("toys")], wrong)
        assert model.redis.hget(head_key(partition_of("toys")), "identity") == before


def test_a_rebuild_follows_reports_that_come_meanwhile(redis_url: str) -> None:
    feed = [
        *FEED,
        *(
            Operation("ingest", FIRST_HOUR + 4 + n, report([("toys", f"p{n}", 9, 900)]))
            for n in range(5)
        ),
    ]
    store, history = store_of(FEED), ReportHistory()
    with Oracle(feed) as oracle, read_model(store, redis_url) as model:
        project(model, history)

        def reports_come() -> None:
            own = ReportHistory()
            for operation in feed[len(FEED) :]:
                record(store, operation)
                project(model, own)

        coming = threading.Thread(target=reports_come)
        coming.start()
        rebuild(model, history, ALL, stored_totals)
        coming.join()
        project(model, history)
        lists = asyncio.run(every_list(model, redis_url))
        assert_frame_equal(lists, normal(oracle.at(len(feed) - 1)))


def test_there_is_nothing_to_rebuild_before_the_first_report(redis_url: str) -> None:
    with read_model(MemoryEventStore(), redis_url) as model:
        assert rebuild(model, ReportHistory(), ALL, stored_totals).version == -1


def test_a_rebuild_waits_until_there_is_room(redis_url: str) -> None:
    store, history = store_of(FEED), ReportHistory()
    with read_model(store, redis_url) as opened:
        model = replace(opened, retired_bytes=0)
        project(model, history)
        waited: list[float] = []

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            for key in model.redis.scan_iter("*:retired"):
                model.redis.delete(key)

        for _ in range(3):
            rebuild(model, history, [partition_of("toys")], stored_totals, sleep=sleep)
        assert len(waited) == 1


def test_a_rebuild_that_fails_leaves_nothing_behind(redis_url: str) -> None:
    store, history = store_of(FEED), ReportHistory()
    with read_model(store, redis_url) as model:
        project(model, history)
        before = set(model.redis.scan_iter())

        def wrong(store: object, attempt: object, partition: int) -> pl.DataFrame:
            return total_sales(as_sales(report([("toys", "p1", 1, 1)])))

        with pytest.raises(RebuildFailed):
            rebuild(model, history, [partition_of("toys")], wrong)
        assert set(model.redis.scan_iter()) == before


def test_a_build_is_kept_while_it_is_verified_and_its_loss_is_told_as_such(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, history = store_of(FEED), ReportHistory()
    with read_model(store, redis_url) as model:
        project(model, history)
        renewed: list[int] = []

        def lost(redis: RedisClient, heads: list[Head]) -> None:
            renewed.append(len(heads))
            for head in heads:
                for segment in head.segments():
                    redis.expire(segment.key, 1)

        def gone(model: ReadModel, base: object, folded: object, partitions: list[int]) -> None:
            for key in model.redis.scan_iter(f"{{{partitions[0]:02d}}}:*:lists:*"):
                if model.redis.ttl(key) > 0:
                    model.redis.delete(key)

        monkeypatch.setattr(rebuild_module, "RENEW_SECONDS", 0)
        monkeypatch.setattr(rebuild_module, "renew", lost)
        monkeypatch.setattr(rebuild_module, "write_new_pairs", gone)
        with pytest.raises(RebuildFailed, match="were gone when they were verified"):
            rebuild(model, history, [partition_of("toys")], stored_totals)
        assert len(renewed) >= rebuild_module.TRIES
