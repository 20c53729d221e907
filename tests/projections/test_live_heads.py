"""The heads in a server process: fresh, never going back, and honest while Redis is away."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.crc import key_slot

from projections.errors import ReadModelUnavailable
from projections.head import FLIPS_CHANNEL, Head, head_key
from projections.live_heads import LiveHeads
from projections.worker import ReadModel, project
from tests.oracle.operations import Operation
from tests.projections.read_models import read_model
from tests.projections.recorded import FIRST_HOUR, record, report
from tests.redis_servers import RedisServer, cluster_url, running_cluster
from write_side.event_store import NO_STREAM
from write_side.events import REPORTS_STREAM
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import PARTITIONS, partition_of
from write_side.report_history import ReportHistory

pytestmark = pytest.mark.anyio
TOYS = partition_of("toys")
EVERYTHING = range(PARTITIONS)


class Shop:
    """A worker, the Redis that it writes to, and the heads that a server process sees."""

    def __init__(self, model: ReadModel, heads: LiveHeads, history: ReportHistory) -> None:
        self.model = model
        self.heads = heads
        self.history = history

    def record(self) -> None:
        """Add the report of the next hour."""
        hour = FIRST_HOUR + self.model.store.last_version(REPORTS_STREAM) + 1
        record(self.model.store, Operation("ingest", hour, report([("toys", f"p{hour}", 1, 5)])))

    async def fold(self) -> None:
        """Add a report and let a worker fold it."""
        self.record()
        await asyncio.to_thread(project, self.model, self.history)

    def shown(self) -> int | None:
        """Return the version of the toys, None where there is none, -1 while unavailable."""
        try:
            version = self.heads.head_version(TOYS)
        except ReadModelUnavailable:
            return -1
        return None if version is None else version.version

    async def until_shown(self, version: int, seconds: float = 2) -> float:
        """Wait until the toys show a version (-1: unavailable); return how long that took."""
        return await until(lambda: self.shown() == version, seconds)


@asynccontextmanager
async def open_shop(
    redis_url: str, *, sweep_seconds: float = 60.0, kind: type[LiveHeads] = LiveHeads
) -> AsyncIterator[Shop]:
    store = MemoryEventStore()
    with read_model(store, redis_url) as model:

        def has_reports() -> bool:
            return store.last_version(REPORTS_STREAM) != NO_STREAM

        heads = kind(redis_url, model.store_id, has_reports, sweep_seconds=sweep_seconds)
        async with heads:
            yield Shop(model, heads, ReportHistory())


async def until(holds: Callable[[], bool], seconds: float) -> float:
    """Wait until something holds, and return how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture
async def shop(redis_url: str) -> AsyncIterator[Shop]:
    async with open_shop(redis_url) as shop:
        yield shop


async def test_before_the_first_report_there_is_nothing(shop: Shop) -> None:
    assert dict(shop.heads.heads) == {}
    assert shop.shown() is None


async def test_each_flip_shows_by_its_notice(any_redis_url: str) -> None:
    async with open_shop(any_redis_url) as shop:
        for version in range(3):
            await shop.fold()
            await shop.until_shown(version)


async def test_a_lost_notice_is_made_good_by_the_sweep(redis_url: str) -> None:
    async with open_shop(redis_url, sweep_seconds=0.3) as shop:
        await shop.fold()
        await shop.until_shown(0)
        await asyncio.to_thread(shop.model.redis.client_kill_filter, _type="pubsub")
        shop.heads._tasks[0].cancel()
        await asyncio.sleep(0.05)
        await shop.fold()
        assert await shop.until_shown(1) < 1.5


async def test_a_subscription_that_is_cut_comes_back(shop: Shop) -> None:
    await shop.fold()
    await shop.until_shown(0)
    await asyncio.to_thread(shop.model.redis.client_kill_filter, _type="pubsub")
    await asyncio.sleep(0.4)
    await shop.fold()
    assert await shop.until_shown(1) < 1.5


async def test_notices_of_anything_else_do_no_harm(shop: Shop) -> None:
    await shop.fold()
    for odd in ("", "x", "99", "-1", "7 7", "\x00"):
        await asyncio.to_thread(shop.model.redis.publish, FLIPS_CHANNEL, odd)
    await shop.fold()
    await shop.until_shown(1)


async def test_a_watcher_hears_at_once_and_of_every_change(shop: Shop) -> None:
    changes = shop.heads.changes("toys")
    await asyncio.wait_for(anext(changes), 1)
    await shop.fold()
    await asyncio.wait_for(anext(changes), 2)
    await shop.until_shown(0)
    waiting = asyncio.ensure_future(anext(changes))
    await shop.fold()
    await shop.until_shown(1)
    await asyncio.wait_for(waiting, 2)


def set_back(shop: Shop, partition: int) -> Callable[[], None]:
    """Remember a partition's head; return what puts it back, as a failover would."""
    kept = shop.model.redis.hgetall(head_key(partition))

    def put_back() -> None:
        shop.model.redis.delete(head_key(partition))
        for field, value in kept.items():
            shop.model.redis.hset(head_key(partition), field, value)

    return put_back


async def test_a_newer_version_stays_while_its_blocks_live(shop: Shop) -> None:
    await shop.fold()
    put_back = set_back(shop, TOYS)
    await shop.fold()
    await shop.until_shown(1)
    put_back()
    await shop.heads.refresh(EVERYTHING)
    assert shop.shown() == 1
    newer = shop.heads.heads[TOYS]
    shop.model.redis.delete(next(newer.segments()).key)
    await shop.heads.refresh(EVERYTHING)
    assert shop.shown() == 0


async def test_a_head_that_is_lost_stays_while_its_blocks_live_and_is_then_told(
    shop: Shop,
) -> None:
    await shop.fold()
    await shop.until_shown(0)
    shop.model.redis.delete(head_key(TOYS))
    await shop.heads.refresh(EVERYTHING)
    assert shop.shown() == 0
    shop.model.redis.flushall()
    await shop.heads.refresh(EVERYTHING)
    with pytest.raises(ReadModelUnavailable, match="partitions are lost or not made yet"):
        _ = shop.heads.heads
    await asyncio.to_thread(project, shop.model, shop.history)
    await shop.until_shown(0)


async def test_a_partition_that_is_not_made_yet_is_not_told_to_be_empty(shop: Shop) -> None:
    await shop.fold()
    await shop.until_shown(0)
    for key in shop.model.redis.scan_iter(f"{{{TOYS:02d}}}:*"):
        shop.model.redis.delete(key)
    await shop.heads.refresh([TOYS])
    assert shop.shown() == -1


async def test_one_lost_partition_takes_no_other_along(shop: Shop) -> None:
    await shop.fold()
    await shop.until_shown(0)
    books = partition_of("books")
    assert books != TOYS
    for key in shop.model.redis.scan_iter(f"{{{TOYS:02d}}}:*"):
        shop.model.redis.delete(key)
    await shop.heads.refresh(EVERYTHING)
    assert shop.shown() == -1
    assert shop.heads.head_version(books) is not None
    assert len(shop.heads.shown.heads) == PARTITIONS - 1
    with pytest.raises(ReadModelUnavailable, match="lost or not made yet"):
        shop.heads.shown.of(EVERYTHING)
    await asyncio.to_thread(project, shop.model, shop.history)
    await shop.until_shown(0)
    assert len(shop.heads.shown.of(EVERYTHING)) == PARTITIONS


async def test_a_partition_that_redis_answers_with_an_error_takes_no_other_along(
    any_redis_url: str,
) -> None:
    async with open_shop(any_redis_url) as shop:
        await shop.fold()
        await shop.until_shown(0)
        put_back = set_back(shop, TOYS)
        shop.model.redis.set(head_key(TOYS), "no hash")
        with pytest.raises(ReadModelUnavailable, match="WRONGTYPE"):
            await shop.heads.refresh(EVERYTHING)
        assert shop.shown() == -1
        assert len(shop.heads.heads) == PARTITIONS - 1
        put_back()
        await shop.heads.refresh(EVERYTHING)
        assert shop.shown() == 0


async def test_a_look_reads_only_heads_that_are_new(redis_url: str) -> None:
    store = MemoryEventStore()
    with read_model(store, redis_url) as model:
        heads = LiveHeads(redis_url, model.store_id, lambda: True)
        shop = Shop(model, heads, ReportHistory())
        await shop.fold()

        async def heads_read() -> int:
            calls = model.redis.info("commandstats")["cmdstat_hget"]["calls"]
            await heads.refresh(EVERYTHING)
            after = model.redis.info("commandstats")["cmdstat_hget"]["calls"]
            return int(after) - int(calls) - PARTITIONS

        assert await heads_read() == PARTITIONS
        assert await heads_read() == 0
        put_back = set_back(shop, TOYS)
        await shop.fold()
        assert await heads_read() == PARTITIONS
        put_back()
        assert await heads_read() == 1
        assert shop.shown() == 1
        await heads.redis.aclose()


async def test_a_server_that_starts_before_the_read_model_is_made_says_so(redis_url: str) -> None:
    store = MemoryEventStore()
    record(store, Operation("ingest", FIRST_HOUR, report([("toys", "p", 1, 5)])))
    with read_model(store, redis_url) as model:
        async with LiveHeads(redis_url, model.store_id, lambda: True) as heads:
            with pytest.raises(ReadModelUnavailable):
                _ = heads.heads
            await asyncio.to_thread(project, model, ReportHistory())
            await until(lambda: not heads._away, 2)
            assert len(heads.heads) == PARTITIONS


async def test_the_heads_of_another_store_and_damaged_ones_do_not_count(redis_url: str) -> None:
    async with open_shop(redis_url) as shop:
        await shop.fold()
        async with LiveHeads(redis_url, "another store", lambda: False) as heads:
            assert dict(heads.heads) == {}
        shop.model.redis.hset(head_key(TOYS), "head", b"\x01garbage")
        async with LiveHeads(redis_url, shop.model.store_id, lambda: False) as heads:
            assert sorted(heads.heads) == [p for p in EVERYTHING if p != TOYS]


class SlowHeads(LiveHeads):
    """Heads of which one reading, once `held` is set, takes until `gate` is."""

    def __init__(
        self,
        redis_url: str,
        store_id: str,
        has_reports: Callable[[], bool],
        *,
        sweep_seconds: float = 60.0,
    ) -> None:
        super().__init__(redis_url, store_id, has_reports, sweep_seconds=sweep_seconds)
        self.held, self.reached, self.gate = False, asyncio.Event(), asyncio.Event()

    async def _replaces(self, known: Head | None, found: Head | None) -> bool:
        if self.held:
            self.held = False
            self.reached.set()
            await self.gate.wait()
        return await super()._replaces(known, found)


async def test_of_two_readings_the_slower_never_undoes_the_faster(redis_url: str) -> None:
    store = MemoryEventStore()
    with read_model(store, redis_url) as model:
        heads = SlowHeads(redis_url, model.store_id, lambda: True)
        shop = Shop(model, heads, ReportHistory())
        await shop.fold()
        await heads.refresh(EVERYTHING)
        await shop.fold()
        heads.held = True
        slower = asyncio.ensure_future(heads.refresh([TOYS]))
        await heads.reached.wait()
        await shop.fold()
        await heads.refresh(EVERYTHING)
        assert shop.shown() == 2
        heads.gate.set()
        await slower
        assert shop.shown() == 2
        await heads.redis.aclose()


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, server_folder: Path) -> Iterator[RedisServer]:
    name = tmp_path_factory.mktemp("heads").name
    server = RedisServer(server_folder / name, is_persistent=True).start()
    yield server
    server.kill()


async def test_a_redis_that_is_killed_is_told_and_comes_back_by_itself(
    server: RedisServer,
) -> None:
    async with open_shop(server.url) as shop:
        await shop.fold()
        await shop.until_shown(0)
        changes = shop.heads.changes("toys")
        await anext(changes)
        server.kill()
        assert await shop.until_shown(-1, 4) < 3
        await asyncio.wait_for(anext(changes), 1)
        server.start()
        assert await shop.until_shown(0, 4) < 2
        await asyncio.wait_for(anext(changes), 1)
        await shop.fold()
        await shop.until_shown(1)


async def test_a_redis_that_hangs_is_told_and_comes_back_by_itself(server: RedisServer) -> None:
    async with open_shop(server.url, sweep_seconds=0.5) as shop:
        await shop.fold()
        await shop.until_shown(0)
        server.pause()
        assert await shop.until_shown(-1, 8) < 6
        server.resume()
        assert await shop.until_shown(0, 4) < 2.5


async def test_a_server_starts_and_ends_while_redis_is_away(server: RedisServer) -> None:
    server.kill()
    began = time.monotonic()
    async with LiveHeads(server.url, "store", lambda: False) as heads:
        with pytest.raises(ReadModelUnavailable):
            _ = heads.heads
        server.start()
        await until(lambda: not heads._away, 4)
        server.pause()
    server.resume()
    assert time.monotonic() - began < 9


async def test_a_master_that_is_killed_takes_only_its_own_partitions_along(
    tmp_path_factory: pytest.TempPathFactory, server_folder: Path
) -> None:
    folder = server_folder / tmp_path_factory.mktemp("masters").name
    with running_cluster(folder) as nodes:
        for node in nodes:
            with node.client() as client:
                client.config_set("cluster-require-full-coverage", "no")
        async with open_shop(cluster_url(nodes), sweep_seconds=0.3) as shop:
            await shop.fold()
            await until(lambda: len(shop.heads.heads) == PARTITIONS, 4)
            nodes[-1].kill()
            with nodes[0].client() as client:
                slots = client.execute_command("CLUSTER SLOTS")
            lost = sum(
                1
                for partition in EVERYTHING
                for first, end, owner, *_ in slots
                if first <= key_slot(head_key(partition).encode()) <= end
                and str(owner[1]) in nodes[-1].url
            )
            assert 0 < lost < PARTITIONS
            for _ in range(3):
                await until(lambda: len(shop.heads.heads) == PARTITIONS - lost, 10)
                await asyncio.sleep(0.3)
