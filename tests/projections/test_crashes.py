"""Workers that are killed, a Redis that forgets, an event store set back: it comes out exact."""

import asyncio
import random
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from projections.errors import ReadModelUnavailable
from projections.product_categories import read_marks
from projections.ranking_lists import METRICS, WINDOWS, RankingList, RankingPage
from projections.read_model_tables import read_live_heads
from projections.redis_connection import open_redis
from projections.redis_rankings import RedisRankings
from projections.worker import project
from tests.oracle.operations import Operation
from tests.oracle.rankings import Oracle
from tests.projections.expected import COLUMNS, normal
from tests.projections.read_models import page_rows, read_model
from tests.projections.recorded import record
from tests.projections.shops import Shop, some_operations
from tests.redis_servers import RedisServer
from write_side.event_store import RecordedEvent
from write_side.events import REPORTS_STREAM
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import PARTITIONS
from write_side.report_history import ReportHistory
from write_side.store_identity import store_identity


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, server_folder: Path) -> Iterator[RedisServer]:
    """A Redis that keeps its data over restarts, for this test alone."""
    name = tmp_path_factory.mktemp("crashes").name
    server = RedisServer(server_folder / name, is_persistent=True).start()
    yield server
    server.kill()


@pytest.fixture
def shop(tmp_path: Path, redis_url: str) -> Iterator[Shop]:
    shop = Shop(tmp_path, redis_url)
    yield shop
    shop.close()


@pytest.fixture
def own_shop(tmp_path: Path, server: RedisServer) -> Iterator[Shop]:
    shop = Shop(tmp_path, server.url)
    yield shop
    shop.close()


def test_workers_killed_at_any_instant_while_reports_come(shop: Shop) -> None:
    operations = some_operations(12, seed=3)
    instants = random.Random(5)
    shop.record(operations[0])

    def deliver() -> None:
        for operation in operations[1:]:
            time.sleep(0.25)
            shop.record(operation)

    delivery = threading.Thread(target=deliver)
    delivery.start()
    kills = 0
    while delivery.is_alive() or kills < 5:
        with shop.worker():
            time.sleep(instants.uniform(0.005, 0.4))
        kills += 1
    delivery.join()
    with shop.worker():
        shop.wait_until_shown(len(operations) - 1)
    shop.assert_lists_exact()
    shop.assert_published_once()


def test_two_workers_at_once_count_each_report_once(shop: Shop) -> None:
    operations = some_operations(10, seed=8)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(shop.worker())
        for operation in operations:
            shop.record(operation)
            time.sleep(0.03)
        shop.wait_until_shown(len(operations) - 1)
    shop.assert_lists_exact()
    shop.assert_published_once()


class Overtaken(MemoryEventStore):
    """A store whose next reader of all reports is overtaken by another worker just then."""

    overtake: Callable[[], None] | None = None

    def read(
        self, stream: str, from_version: int = 0, limit: int | None = None
    ) -> Iterator[RecordedEvent]:
        yield from super().read(stream, from_version, limit)
        overtake = self.overtake
        if stream == REPORTS_STREAM and overtake is not None:
            self.overtake = None
            overtake()


def test_a_worker_never_takes_back_what_a_faster_one_shows(redis_url: str) -> None:
    store = Overtaken()
    operations = some_operations(4, seed=2)
    for operation in operations[:3]:
        record(store, operation)

    with read_model(store, redis_url) as model:
        project(model, ReportHistory())
        before = read_live_heads(model.redis, range(PARTITIONS))

        def overtake() -> None:
            record(store, operations[3])
            assert project(model, ReportHistory()).flipped == PARTITIONS

        store.overtake = overtake
        assert project(model, ReportHistory()).flipped == 0
        for partition, live in read_live_heads(model.redis, range(PARTITIONS)).items():
            old = before[partition].head
            assert live.head is not None
            assert old is not None
            assert (live.head.version, live.head.generation) == (3, old.generation)


def kept_data(server: RedisServer, into: Path) -> None:
    shutil.copytree(server.folder, into, ignore=shutil.ignore_patterns("s"))


def set_back(server: RedisServer, kept: Path) -> None:
    server.kill()
    shutil.rmtree(server.folder)
    shutil.copytree(kept, server.folder)
    server.start()


def test_a_redis_that_lost_its_last_writes_catches_up_by_itself(
    own_shop: Shop, server: RedisServer, tmp_path: Path
) -> None:
    operations = some_operations(8, seed=4)
    with own_shop.worker():
        own_shop.record(*operations[:4])
        own_shop.wait_until_shown(3)
        kept_data(server, tmp_path / "kept")
        own_shop.record(*operations[4:7])
        own_shop.wait_until_shown(6)
        set_back(server, tmp_path / "kept")
        own_shop.wait_until_shown(6)
        own_shop.assert_lists_exact()
        own_shop.record(operations[7])
        own_shop.wait_until_shown(7)
    own_shop.assert_lists_exact()
    own_shop.assert_published_once()


def test_a_redis_that_comes_back_empty_is_filled_again(own_shop: Shop, server: RedisServer) -> None:
    operations = some_operations(5, seed=6)
    with own_shop.worker():
        own_shop.record(*operations)
        own_shop.wait_until_shown(4)
        server.restart(keep_data=False)
        own_shop.wait_until_shown(4)
    own_shop.assert_lists_exact()
    own_shop.assert_published_once()


@pytest.mark.parametrize(
    "pattern",
    ["{57}:*", "{57}:head", "{*}:*:day:*", "{*}:*:lists:*", "{c0?}:*", "{c05}:complete", "*"],
)
def test_keys_that_are_lost_are_made_again_without_a_new_report(shop: Shop, pattern: str) -> None:
    shop.record(*some_operations(4, seed=9))
    shop.project()
    with open_redis(shop.redis_url) as redis:
        keys = list(redis.scan_iter(pattern))
        assert keys
        for key in keys:
            redis.delete(key)
        assert shop.project().behind == 0
        marks = read_marks(redis, store_identity(shop.store).store_id, range(PARTITIONS))
    assert set(marks.values()) == {3}
    shop.assert_lists_exact()
    shop.assert_published_once()


@pytest.mark.parametrize("new_reports", [0, 1, 2, 3])
def test_an_event_store_set_back_to_an_older_backup_is_what_counts(
    shop: Shop, tmp_path: Path, new_reports: int
) -> None:
    before, other = some_operations(6, seed=12), some_operations(3, seed=13)
    shop.record(*before[:4])
    shop.project()
    shop.backup(tmp_path / "backup.db")
    shop.record(*before[4:])
    shop.project()
    last = max(operation.hour for operation in before)
    after = [Operation("ingest", last + 1 + n, op.report) for n, op in enumerate(other)]
    shop.restore(tmp_path / "backup.db", before[:4])
    shop.record(*[op for op in after if op.report is not None][:new_reports])
    assert shop.project().behind == 0
    shop.assert_lists_exact()
    shop.assert_published_once()


def test_what_another_store_left_in_redis_is_replaced(shop: Shop) -> None:
    another = MemoryEventStore()
    for operation in some_operations(5, seed=20):
        record(another, operation)
    with read_model(another, shop.redis_url) as model:
        project(model, ReportHistory())
    shop.record(*some_operations(3, seed=21))
    assert shop.project().flipped == PARTITIONS
    shop.assert_lists_exact()
    shop.assert_published_once()


class Expected:
    """Every list of every version as the oracle has it."""

    def __init__(self, oracle: Oracle) -> None:
        self._lists: dict[tuple[int, str, str, str], list[dict[str, object]]] = defaultdict(list)
        self.categories = []
        for version in range(oracle.last_version + 1):
            for row in normal(oracle.at(version)).iter_rows(named=True):
                key = (version, row["category_id"], row["window"], row["metric"])
                self._lists[key].append({column: row[column] for column in COLUMNS})
            self.categories.append(set(oracle.categories(version)))

    def check(self, page: RankingPage, limit: int) -> None:
        ranking = page.ranking
        key = (page.at.version, ranking.category_id, ranking.window.value, ranking.metric.value)
        expected = self._lists.get(key, [])
        assert page.total_count == len(expected)
        assert page_rows(page) == expected[page.offset : page.offset + limit]


class Reader:
    """Pages through all lists over and over, and sees that each page is of one version."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self.pages = 0
        self.outages = 0
        self.versions: set[int] = set()
        self.ended = False

    async def read(self, shop: Shop) -> None:
        """Read until `ended`; raises where an answer is wrong."""
        store_id = store_identity(shop.store).store_id
        async with RedisRankings(shop.redis_url, shop.store, store_id) as rankings:
            while not self.ended:
                try:
                    await self._read_all(rankings)
                except ReadModelUnavailable:
                    self.outages += 1
                    await asyncio.sleep(0.02)

    async def _read_all(self, rankings: RedisRankings) -> None:
        known = {each.category_id for each in rankings.view().categories(None, 1_000)}
        # None may be missing, at whichever versions the partitions are by now.
        assert known >= self._expected.categories[max(self.versions, default=0)]
        for category in sorted(known):
            view = rankings.view()
            for window in WINDOWS:
                for metric in METRICS:
                    ranking = RankingList(category, window, metric)
                    offset, total_count = 0, 1
                    while offset < total_count and not self.ended:
                        page = await view.page(ranking, offset, 40)
                        self._expected.check(page, 40)
                        self.pages += 1
                        offset, total_count = offset + 40, page.total_count
        self.versions.add(rankings.view().version())


@contextmanager
def reading(shop: Shop, expected: Expected) -> Iterator[Callable[[], Reader]]:
    """Read in a thread; what is given waits until more was read, and returns the reader."""
    reader = Reader(expected)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(asyncio.run, reader.read(shop))

        def read_more() -> Reader:
            pages, deadline = reader.pages, time.monotonic() + 5
            while reader.pages < pages + 50:
                if running.done():
                    running.result()
                assert time.monotonic() < deadline, "nothing can be read any more"
                time.sleep(0.01)
            return reader

        try:
            yield read_more
        finally:
            reader.ended = True
            running.result(20)


def wait_for_outage(reader: Reader) -> None:
    """Wait until the reader finds that Redis is away."""
    outages, deadline = reader.outages, time.monotonic() + 20
    while reader.outages == outages:
        assert time.monotonic() < deadline, "the reader notices nothing"
        time.sleep(0.01)


def test_readers_see_whole_versions_while_many_reports_are_folded(shop: Shop) -> None:
    operations = some_operations(7, seed=15)
    with Oracle(operations) as oracle:
        expected = Expected(oracle)
    history = ReportHistory()
    shop.record(operations[0])
    shop.project(history)
    with reading(shop, expected) as read_more:
        for operation in operations[1:]:
            shop.record(operation)
            shop.project(history)
            reader = read_more()
    assert reader.outages == 0
    assert len(reader.versions) > 1


def test_readers_see_whole_versions_or_an_outage_whatever_redis_does(
    own_shop: Shop, server: RedisServer, tmp_path: Path
) -> None:
    shop, operations = own_shop, some_operations(9, seed=16)
    with Oracle(operations) as oracle:
        expected = Expected(oracle)
    for operation in operations[:3]:
        shop.record(operation)
        shop.project()
    kept_data(server, tmp_path / "kept")
    with reading(shop, expected) as read_more:
        read_more()
        server.restart()
        read_more()
        for operation in operations[3:6]:
            shop.record(operation)
            shop.project()
        read_more()
        set_back(server, tmp_path / "kept")
        shop.project()
        reader = read_more()
        server.restart(keep_data=False)
        wait_for_outage(reader)
        shop.record(operations[6])
        shop.project()
        read_more()
        with open_redis(shop.redis_url) as redis:
            for key in redis.scan_iter("{57}:*"):
                redis.delete(key)
        shop.record(operations[7])
        shop.project()
        read_more()
        server.pause()
        wait_for_outage(reader)
        server.resume()
        shop.record(operations[8])
        shop.project()
        reader = read_more()
    assert reader.outages > 0
    shop.assert_lists_exact()
    shop.assert_published_once()
