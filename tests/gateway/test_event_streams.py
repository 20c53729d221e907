"""A list is read and encoded once for all who watch it, and nothing queues for who is slow."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from gateway.errors import ProcessEnding
from gateway.event_streams import KEEP_ALIVE, EventStreams, watched
from gateway.metrics import GatewayMetrics
from gateway.rest_rankings import RestRankings
from projections.errors import ReadModelUnavailable
from projections.ranking_lists import RankingList, RankingMetric, RankingWindow
from subgraph.cursors import CursorCodec
from subgraph.errors import NotFound
from subgraph.ranking_pages import PageRequest
from tests.gateway.conftest import HOUR
from tests.gateway.rankings_in_memory import RankingsInMemory

pytestmark = pytest.mark.anyio

BOOKS = PageRequest(RankingList("books", RankingWindow.DAY, RankingMetric.UNITS), 10)


@pytest.fixture
def streams(rankings: RankingsInMemory) -> EventStreams:
    rest = RestRankings("USD", CursorCodec([b"secret"]))
    return EventStreams(rankings, rest.rendered_page, GatewayMetrics(CollectorRegistry()))


async def test_a_list_is_read_once_for_all_who_watch(
    streams: EventStreams, rankings: RankingsInMemory
) -> None:
    feeds = await asyncio.gather(*(streams.enter(BOOKS) for _ in range(50)))
    assert len(set(map(id, feeds))) == 1
    assert len(rankings.calls) == 1
    rankings.publish(HOUR + 1, {"books": {"new": (1, 1)}})
    await asyncio.gather(*(feed.next(1) for feed in feeds))
    assert len(rankings.calls) == 2
    for feed in feeds:
        await streams.leave(BOOKS, feed)
    assert rankings.watchers == 0
    assert streams.open == 0


async def test_a_slow_reader_gets_the_newest_only(
    streams: EventStreams, rankings: RankingsInMemory
) -> None:
    feed = await streams.enter(BOOKS)
    chunks = watched(feed, keep_alive_seconds=10)
    assert (await anext(chunks)).startswith(b"retry:")
    assert b"\nid: 0\n" in await anext(chunks)
    for n in range(1, 4):
        rankings.publish(HOUR + n, {"books": {"new": (n, n)}})
        await feed.next(n)
    assert b"\nid: 3\n" in await anext(chunks)
    await streams.close()


async def test_what_did_not_change_is_not_sent_again(
    streams: EventStreams, rankings: RankingsInMemory
) -> None:
    feed = await streams.enter(BOOKS)
    rankings.notify()
    chunks = watched(feed, keep_alive_seconds=0.05)
    await anext(chunks)
    await anext(chunks)
    assert await anext(chunks) == KEEP_ALIVE
    await streams.close()


async def test_a_list_that_failed_comes_back_by_itself(
    streams: EventStreams, rankings: RankingsInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.event_streams.RETRY_SECONDS", 0.01)
    feed = await streams.enter(BOOKS)
    rankings.failure = ReadModelUnavailable("a block is missing")
    rankings.notify()
    await feed.next(1)
    assert feed.event.startswith(b"event: unavailable\n")
    # No notice comes: only our own read had failed.
    rankings.failure = None
    await feed.next(2)
    assert feed.event.startswith(b"event: ranking\n")
    await streams.close()


async def test_a_fault_of_ours_does_not_end_a_stream(
    streams: EventStreams,
    rankings: RankingsInMemory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("gateway.event_streams.RETRY_SECONDS", 0.01)
    feed = await streams.enter(BOOKS)
    rankings.failure = ZeroDivisionError("secret words")
    rankings.notify()
    await feed.next(1)
    assert b"secret" not in feed.event
    rankings.failure = None
    await feed.next(2)
    assert feed.event.startswith(b"event: ranking\n")
    assert caplog.records
    await streams.close()


async def test_who_enters_an_unknown_list_is_told(
    streams: EventStreams, rankings: RankingsInMemory
) -> None:
    unknown = PageRequest(RankingList("nope", RankingWindow.DAY, RankingMetric.UNITS), 10)
    with pytest.raises(NotFound):
        await streams.enter(unknown)
    assert streams.open == 0
    assert rankings.watchers == 0


async def test_all_streams_end_with_the_process(streams: EventStreams) -> None:
    feed = await streams.enter(BOOKS)
    chunks = watched(feed, keep_alive_seconds=10)
    await anext(chunks)
    await anext(chunks)
    waiting = asyncio.create_task(anext(chunks, None))
    await asyncio.sleep(0.01)
    await streams.close()
    assert await waiting is None
    with pytest.raises(ProcessEnding):
        await streams.enter(BOOKS)
