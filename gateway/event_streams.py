"""Lists as server-sent events: the current list at once, then each new one, for all who watch.

Everyone who watches one list shares one feed, which reads and encodes each version once. A watcher
takes the feed's newest event whenever it is ready for one: one that is slow skips what came in
between, and nothing queues up for it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from gateway.errors import ProcessEnding
from gateway.metrics import GatewayMetrics
from gateway.problems import EXPECTED_ERRORS, log_internal, problem_of
from gateway.rest_rankings import Rendered
from projections.rankings_query import LiveRankings, RankingsView
from subgraph.ranking_pages import PageRequest

_LOGGER = logging.getLogger("topsellers.gateway")

RECONNECT_MILLISECONDS: Final = 2_000
"""How long a client waits before it opens a broken stream again."""
RETRY_SECONDS: Final = 2.0
"""How soon a list that can't be read is tried again, where no notice comes before."""
KEEP_ALIVE: Final = b": keep-alive\n\n"
_ENDING: Final = "This process is ending. Try again: another one answers."

ReadList = Callable[[RankingsView, PageRequest], Awaitable[Rendered]]


class ListFeed:
    """One list that is watched, as its newest event."""

    def __init__(self, rankings: LiveRankings, request: PageRequest, read: ReadList) -> None:
        """Begin to follow a list, in the running event loop."""
        self._rankings = rankings
        self._request = request
        self._read = read
        self._changed = asyncio.Event()
        self.event = b""
        """The newest event, encoded."""
        self.sequence = 0
        """Grows with each event; 0 before the first."""
        self.error: Exception | None = None
        """Why the list can't be read now, null where it can."""
        self.watchers = 0
        self.ended = False
        """Whether no event will follow."""
        self._task = asyncio.create_task(self._follow())

    async def next(self, seen: int) -> int:
        """Wait until the newest event is another than number `seen`; returns its number.

        Returns `seen` once the feed has ended.
        """
        while self.sequence == seen and not self.ended:
            await self._changed.wait()
        return self.sequence

    async def close(self) -> None:
        """Stop following, and let all watchers go."""
        self.ended = True
        self._changed.set()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_changes(
                    self._rankings.changes(self._request.ranking.category_id)
                )
            except Exception as error:
                _LOGGER.exception("a stream lost track of the changes of %s", self._request.ranking)
                self._offer_error(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow_changes(self, changes: AsyncIterator[None]) -> None:
        notice = asyncio.ensure_future(anext(changes))
        try:
            while True:
                # A list that failed is tried again also without a notice: it may be only ours.
                patience = None if self.error is None else RETRY_SECONDS
                await asyncio.wait({notice}, timeout=patience)
                if notice.done():
                    notice.result()
                    notice = asyncio.ensure_future(anext(changes))
                await self._refresh()
        except StopAsyncIteration:
            return
        finally:
            notice.cancel()
            await asyncio.gather(notice, return_exceptions=True)

    async def _refresh(self) -> None:
        try:
            rendered = await self._read(self._rankings.view(), self._request)
        except EXPECTED_ERRORS as error:
            log_internal(error, f"the stream of {self._request.ranking}")
            self._offer_error(error)
        else:
            self.error = None
            version = msgspec.json.decode(rendered.body, type=_Versioned).version
            self._offer(b"event: ranking\nid: %d\ndata: %s\n\n" % (version, rendered.body))

    def _offer_error(self, error: Exception) -> None:
        self.error = error
        self._offer(b"event: unavailable\ndata: %s\n\n" % msgspec.json.encode(problem_of(error)))

    def _offer(self, event: bytes) -> None:
        if event == self.event:
            return
        self.event = event
        self.sequence += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class _Versioned(msgspec.Struct):
    version: int


class EventStreams:
    """The feeds of one process: each lives as long as somebody watches its list."""

    def __init__(self, rankings: LiveRankings, read: ReadList, metrics: GatewayMetrics) -> None:
        """Make feeds of `rankings` whose lists `read` renders."""
        self._rankings = rankings
        self._read = read
        self._metrics = metrics
        self._feeds: dict[PageRequest, ListFeed] = {}
        self._closed = False
        self.open = 0
        """Streams that are watched now."""

    async def enter(self, request: PageRequest) -> ListFeed:
        """Watch a list, once its first event is there; raises why it can't be read.

        Whoever enters calls `leave` at the end. Raises `ProcessEnding` once all streams end.
        """
        if self._closed:
            raise ProcessEnding(_ENDING)
        feed = self._feeds.get(request)
        if feed is None:
            feed = self._feeds[request] = ListFeed(self._rankings, request, self._read)
        feed.watchers += 1
        self.open += 1
        self._metrics.open_streams.set(self.open)
        try:
            await feed.next(0)
            if feed.ended:
                raise ProcessEnding(_ENDING)
            if feed.error is not None:
                raise feed.error
        except BaseException:
            await self.leave(request, feed)
            raise
        return feed

    async def leave(self, request: PageRequest, feed: ListFeed) -> None:
        """Watch a list no more."""
        self.open -= 1
        self._metrics.open_streams.set(self.open)
        feed.watchers -= 1
        if feed.watchers == 0 and self._feeds.get(request) is feed:
            del self._feeds[request]
            await feed.close()

    async def close(self) -> None:
        """End all streams, as the process ends: a server waits for its open connections."""
        self._closed = True
        feeds, self._feeds = list(self._feeds.values()), {}
        for feed in feeds:
            await feed.close()


async def watched(feed: ListFeed, keep_alive_seconds: float) -> AsyncIterator[bytes]:
    """Yield what a client of a feed gets: the newest event when it can take one, or a comment."""
    yield b"retry: %d\n\n" % RECONNECT_MILLISECONDS
    seen = 0
    while not feed.ended:
        try:
            async with asyncio.timeout(keep_alive_seconds):
                seen = await feed.next(seen)
        except TimeoutError:
            yield KEEP_ALIVE
        else:
            if not feed.ended:
                yield feed.event
