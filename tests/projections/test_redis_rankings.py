"""What a request sees: one version in all its answers, and old versions for cursors."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from projections.blocks import Block, decode_block
from projections.errors import (
    BlockMissing,
    CategoryUnknown,
    NotYetPublished,
    ReadModelUnavailable,
    VersionGone,
)
from projections.head import Head, retired_head_key
from projections.list_pages import read_page
from projections.ranking_lists import (
    ListVersion,
    RankedProduct,
    RankingList,
    RankingMetric,
    RankingPage,
    RankingWindow,
)
from projections.redis_connection import AsyncRedisClient
from projections.redis_rankings import RedisRankings
from projections.worker import ReadModel, project
from tests.oracle.operations import Operation
from tests.projections.read_models import read_model
from tests.projections.recorded import FIRST_HOUR, record, report
from write_side.event_store import NO_STREAM
from write_side.events import REPORTS_STREAM
from write_side.hours import end_of
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import PARTITIONS, partition_of
from write_side.report_history import ReportHistory

pytestmark = pytest.mark.anyio
TOYS = partition_of("toys")
LIST = RankingList("toys", RankingWindow.DAY, RankingMetric.UNITS)
PRODUCTS = 250


class Shop:
    """A worker and the rankings of a server process."""

    def __init__(self, model: ReadModel, rankings: RedisRankings) -> None:
        self.model = model
        self.rankings = rankings
        self._history = ReportHistory()

    async def fold(self) -> None:
        """Fold one more report, whose products have other units in each version; look then."""
        version = self.model.store.last_version(REPORTS_STREAM) + 1
        rows = [("toys", f"p{n:03}", 1 + (n * 7 + version * 11) % 90, n) for n in range(PRODUCTS)]
        rows += [("books", "b1", 1, 1), (f"new {version}", "p000", 1, 1)]
        record(self.model.store, Operation("ingest", FIRST_HOUR + version, report(rows)))
        await asyncio.to_thread(project, self.model, self._history)
        await self.rankings.heads.refresh(range(PARTITIONS))

    async def items(self, at: ListVersion | None = None, size: int = 60) -> list[RankedProduct]:
        """Page through the whole list, from a version or now."""
        view = self.rankings.view()
        found: list[RankedProduct] = []
        while True:
            page = await view.page(LIST, len(found), size, at)
            assert page.total_count == PRODUCTS
            assert at is None or page.at == at
            found += page.items
            if len(found) >= page.total_count:
                return found


@asynccontextmanager
async def open_shop(redis_url: str) -> AsyncIterator[Shop]:
    store = MemoryEventStore()
    with read_model(store, redis_url) as model:
        async with RedisRankings(redis_url, store, model.store_id) as rankings:
            yield Shop(model, rankings)


@pytest.fixture
async def shop(redis_url: str) -> AsyncIterator[Shop]:
    async with open_shop(redis_url) as shop:
        yield shop


async def test_a_cursors_version_answers_the_old_list_after_several_flips(
    any_redis_url: str,
) -> None:
    async with open_shop(any_redis_url) as shop:
        lists: dict[ListVersion, list[RankedProduct]] = {}
        for _ in range(4):
            await shop.fold()
            now = shop.rankings.head_version(TOYS)
            assert now is not None
            lists[now] = await shop.items()
        assert len({tuple(items) for items in lists.values()}) == 4
        for at, items in lists.items():
            assert await shop.items(at, size=70) == items


async def test_a_version_whose_head_is_gone_is_told(shop: Shop) -> None:
    await shop.fold()
    old = shop.rankings.head_version(TOYS)
    assert old is not None
    await shop.fold()
    shop.model.redis.delete(retired_head_key(TOYS, old.generation, old.version))
    with pytest.raises(VersionGone, match="version 0 was replaced more than 10 minutes ago"):
        await shop.rankings.view().page(LIST, 0, 10, old)


async def test_a_version_that_a_process_remembers_is_gone_with_its_blocks(shop: Shop) -> None:
    await shop.fold()
    old = shop.rankings.head_version(TOYS)
    assert old is not None
    blocks = [segment.key for segment in shop.rankings.heads.heads[TOYS].segments()]
    await shop.fold()
    await shop.items(old)
    live = {segment.key for segment in shop.rankings.heads.heads[TOYS].segments()}
    shop.model.redis.delete(*(key for key in blocks if key not in live))
    with pytest.raises(VersionGone, match="not kept any more"):
        await shop.rankings.view().page(LIST, 0, 10, old)


@pytest.mark.parametrize("at", [ListVersion("nonsense", 0), ListVersion("", 99)])
async def test_a_version_that_never_was_is_gone(shop: Shop, at: ListVersion) -> None:
    await shop.fold()
    with pytest.raises(VersionGone):
        await shop.rankings.view().page(LIST, 0, 10, at)


async def test_what_replaced_versions_hold_goes_after_10_minutes(shop: Shop) -> None:
    await shop.fold()
    old = shop.rankings.heads.heads[TOYS]
    await shop.fold()
    live = {segment.key for segment in shop.rankings.heads.heads[TOYS].segments()}
    redis = shop.model.redis
    for segment in old.segments():
        left = redis.ttl(segment.key)
        assert left == -1 if segment.key in live else 600 < left <= 660
    assert 600 < redis.ttl(retired_head_key(TOYS, old.generation, old.version)) <= 660
    assert all(redis.ttl(key) == -1 for key in live)


async def test_a_view_stays_at_its_version_while_others_are_folded(shop: Shop) -> None:
    await shop.fold()
    expected = await shop.items()
    view = shop.rankings.view()
    first = await view.page(LIST, 0, 100)
    fingerprint = view.fingerprint()
    await shop.fold()
    await shop.fold()
    rest = await view.page(LIST, 100, 150)
    assert first.at == rest.at
    assert first.items + rest.items == expected
    assert view.list_version("toys") == first.at
    assert view.is_current("toys", first.at)
    assert view.fingerprint() == fingerprint
    assert [c.category_id for c in view.categories(None, 10)] == ["books", "new 0", "toys"]
    (ranks,) = await view.product_ranks(["p000"], LIST.window, LIST.metric, ["toys"])
    assert ranks.ranks[0].at == first.at
    assert shop.rankings.view().list_version("toys") != first.at


async def lose_view_blocks(shop: Shop) -> None:
    """Let the version of an older view end at once."""
    old = shop.rankings.heads.heads[TOYS]
    await shop.fold()
    live = {segment.key for segment in shop.rankings.heads.heads[TOYS].segments()}
    gone = [segment.key for segment in old.segments() if segment.key not in live]
    shop.model.redis.delete(*gone)


async def test_a_view_that_did_not_answer_yet_moves_to_the_version_that_is_there(
    shop: Shop,
) -> None:
    await shop.fold()
    view = shop.rankings.view()
    await lose_view_blocks(shop)
    page = await view.page(LIST, 0, 100)
    assert page.at.version == 1
    assert view.list_version("toys") == page.at
    assert view.touched()[TOYS] == page.at


@pytest.mark.parametrize("asked", ["page", "list_version", "categories", "fingerprint", "ranks"])
async def test_a_view_that_answered_once_never_answers_from_another_version(
    shop: Shop, asked: str
) -> None:
    await shop.fold()
    view = shop.rankings.view()
    if asked == "page":
        await view.page(LIST, 0, 10)
    elif asked == "list_version":
        view.list_version("toys")
    elif asked == "categories":
        view.categories(None, 10)
    elif asked == "fingerprint":
        view.fingerprint()
    else:
        await view.product_ranks(["p000"], LIST.window, LIST.metric)
    await lose_view_blocks(shop)
    with pytest.raises(BlockMissing):
        await view.page(LIST, 0, 100)
    assert (await shop.rankings.view().page(LIST, 0, 100)).at.version == 1


async def test_blocks_lost_of_the_live_version_are_unavailable_never_unknown(shop: Shop) -> None:
    await shop.fold()
    for segment in shop.rankings.heads.heads[TOYS].segments():
        shop.model.redis.delete(segment.key)
    with pytest.raises(ReadModelUnavailable):
        await shop.rankings.view().page(LIST, 0, 10)
    with pytest.raises(ReadModelUnavailable):
        await shop.rankings.view().product_ranks(["p000"], LIST.window, LIST.metric)


async def test_a_product_whose_categories_are_lost_is_unavailable_until_a_worker_comes(
    shop: Shop,
) -> None:
    await shop.fold()
    for key in shop.model.redis.scan_iter("{c*"):
        shop.model.redis.delete(key)
    with pytest.raises(ReadModelUnavailable, match="not complete yet"):
        await shop.rankings.view().product_ranks(["p000"], LIST.window, LIST.metric)
    before = shop.rankings.head_version(TOYS)
    await asyncio.to_thread(project, shop.model, ReportHistory())
    (ranks,) = await shop.rankings.view().product_ranks(["p000"], LIST.window, LIST.metric)
    assert [one.ranking.category_id for one in ranks.ranks] == ["new 0", "toys"]
    assert shop.rankings.head_version(TOYS) == before


async def test_reads_at_the_same_time_answer_one_version(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.fold()
    view = shop.rankings.view()
    old_has_it, gate = asyncio.Event(), asyncio.Event()

    async def slow_page(
        redis: AsyncRedisClient, head: Head, ranking: RankingList, offset: int, limit: int
    ) -> RankingPage:
        page = await read_page(redis, head, ranking, offset, limit)
        if offset == 0 and page.at.version == 0:
            old_has_it.set()
            await gate.wait()
        return page

    monkeypatch.setattr("projections.redis_rankings.read_page", slow_page)
    slower = asyncio.create_task(view.page(LIST, 0, 10))
    await old_has_it.wait()
    await lose_view_blocks(shop)
    faster = await view.page(LIST, 10, 10)
    gate.set()
    assert faster.at.version == 1
    assert (await slower).at == faster.at == view.touched()[TOYS]


async def test_ranks_by_categories_need_only_their_partitions(shop: Shop) -> None:
    await shop.fold()
    await shop.fold()
    books = partition_of("books")
    assert books != TOYS
    for key in shop.model.redis.scan_iter(f"{{{books:02d}}}:*"):
        shop.model.redis.delete(key)
    await shop.rankings.heads.refresh(range(PARTITIONS))
    view = shop.rankings.view()
    assert (await view.page(LIST, 0, 10)).total_count == PRODUCTS
    (ranks,) = await view.product_ranks(["p000"], LIST.window, LIST.metric, ["toys"])
    assert len(ranks.ranks) == 1
    assert set(view.touched()) == {TOYS}
    with pytest.raises(ReadModelUnavailable):
        await view.product_ranks(["p000"], LIST.window, LIST.metric)
    with pytest.raises(ReadModelUnavailable):
        await view.page(RankingList("books", LIST.window, LIST.metric), 0, 10)
    for of_all in (view.version, view.as_of_hour, view.fingerprint, view.category_count):
        with pytest.raises(ReadModelUnavailable):
            of_all()


async def test_lost_blocks_are_logged_once_for_each_version(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    await shop.fold()
    for segment in shop.rankings.heads.heads[TOYS].segments():
        shop.model.redis.delete(segment.key)
    for _ in range(3):
        with pytest.raises(BlockMissing):
            await shop.rankings.view().page(LIST, 0, 10)
    told = [record for record in caplog.records if "lost blocks" in record.getMessage()]
    assert len(told) == 1


async def test_replaced_heads_in_memory_are_bounded_by_bytes(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.redis_rankings.RETIRED_HEAD_BYTES", 1)
    await shop.fold()
    old = shop.rankings.head_version(TOYS)
    await shop.fold()
    for _ in range(2):
        assert len(await shop.items(old)) == PRODUCTS
    assert shop.rankings._retired == {}
    assert shop.rankings._retired_bytes == 0


async def test_many_ranks_do_not_hold_up_the_event_loop(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block alone takes long here: only those few may be decoded in the loop."""
    store = shop.model.store
    rows = [(f"c{n % 40}", f"p{n:04}", 1 + n % 7, n) for n in range(400)]
    record(store, Operation("ingest", FIRST_HOUR, report(rows)))
    await asyncio.to_thread(project, shop.model, ReportHistory())
    await shop.rankings.heads.refresh(range(PARTITIONS))
    decoded: list[bytes] = []

    def slow_block(data: bytes) -> Block:
        decoded.append(data)
        time.sleep(0.02)
        return decode_block(data)

    monkeypatch.setattr("projections.product_lookup.decode_block", slow_block)
    lags: list[float] = []

    async def tick() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            lags.append(time.monotonic() - began)

    ticker = asyncio.create_task(tick())
    ids = [row[1] for row in rows]
    found = await shop.rankings.view().product_ranks(ids, LIST.window, LIST.metric)
    ticker.cancel()
    assert [one.product_id for one in found] == ids
    assert all(len(one.ranks) == 1 for one in found)
    assert len(decoded) == len(set(decoded))
    assert len(decoded) > 20
    assert max(lags) < 0.02 * len(decoded) / 2


async def test_an_emptied_redis_is_unavailable_never_without_categories(shop: Shop) -> None:
    await shop.fold()
    shop.model.redis.flushall()
    await shop.rankings.heads.refresh(range(PARTITIONS))
    with pytest.raises(ReadModelUnavailable):
        shop.rankings.view()
    await asyncio.to_thread(project, shop.model, ReportHistory())
    await shop.rankings.heads.refresh(range(PARTITIONS))
    assert shop.rankings.view().category_count() == 3


async def test_before_the_first_report_every_category_is_unknown(shop: Shop) -> None:
    view = shop.rankings.view()
    with pytest.raises(CategoryUnknown):
        await view.page(LIST, 0, 10)
    assert (view.version(), view.as_of_hour(), view.categories(None, 10)) == (NO_STREAM, None, [])
    assert view.list_version("toys") is None
    status = await shop.rankings.status()
    assert (status.as_of_hour, status.pending_reports) == (None, 0)


async def test_history_is_told_as_published_or_not_at_all(shop: Shop) -> None:
    await shop.fold()
    expected = await shop.items()
    await shop.fold()
    view = shop.rankings.view()
    page = await view.page_as_of(LIST, end_of(FIRST_HOUR), 0, 100)
    assert [item.product_id for item in page.items] == [i.product_id for i in expected[:100]]
    assert page.total_count == PRODUCTS
    with pytest.raises(NotYetPublished):
        await view.page_as_of(LIST, end_of(FIRST_HOUR - 1), 0, 100)
    with pytest.raises(ReadModelUnavailable):
        await view.page_at_version(LIST, 2, 0, 100)
    unknown = RankingList("nowhere", LIST.window, LIST.metric)
    with pytest.raises(CategoryUnknown):
        await view.page_as_of(unknown, end_of(FIRST_HOUR), 0, 100)
    assert await view.rank_history(unknown, "p", end_of(FIRST_HOUR), end_of(FIRST_HOUR)) == []


async def test_status_counts_reports_that_are_not_shown_yet(shop: Shop) -> None:
    await shop.fold()
    for hour in (FIRST_HOUR + 1, FIRST_HOUR + 3):
        record(shop.model.store, Operation("ingest", hour, report([("toys", "p", 1, 1)])))
    status = await shop.rankings.status()
    assert status.pending_reports == 2
    assert status.missing_hours == [FIRST_HOUR + 2]
    assert status.as_of_hour == FIRST_HOUR
