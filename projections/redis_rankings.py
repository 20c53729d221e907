"""`LiveRankings` and `RankingsView` over the read model in Redis and the history in the store."""

import logging
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final, Self, TypeVar

from projections.errors import (
    BlockCorrupted,
    BlockMissing,
    CategoryUnknown,
    ReadModelUnavailable,
    VersionGone,
)
from projections.head import Head, decode_head, retired_head_key
from projections.list_pages import category_place, read_page
from projections.live_heads import LiveHeads
from projections.product_lookup import find_categories, read_product_ranks
from projections.published_rankings import PublishedRankings
from projections.ranking_lists import (
    ListVersion,
    ProductRanks,
    RankedCategory,
    RankingList,
    RankingMetric,
    RankingPage,
    RankingStatus,
    RankingWindow,
    RankPoint,
)
from projections.redis_connection import REDIS_FAILURES, AsyncRedisClient
from projections.shown_heads import ShownHeads, categories_of, version_of
from write_side.event_store import NO_STREAM, EventStore
from write_side.events import REPORTS_STREAM
from write_side.partitioning import PARTITIONS, partition_of

RETIRED_HEAD_BYTES: Final = 32 * 1024 * 1024
"""Replaced heads that a process remembers for cursors, as they are stored."""
READS: Final = 4
"""How often a view tries an answer whose blocks go while it is read."""

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


class RedisRankings:
    """A process's `LiveRankings`. An async context manager: it listens while it is entered."""

    def __init__(self, redis_url: str, store: EventStore, store_id: str) -> None:
        self.heads = LiveHeads(
            redis_url, store_id, lambda: store.last_version(REPORTS_STREAM) != NO_STREAM
        )
        self.published = PublishedRankings(store)
        self.decoding = ThreadPoolExecutor(1, "decoding")
        """Decodes what would hold up the event loop: one thread, so that it gets little of it."""
        self._retired: OrderedDict[tuple[int, ListVersion], tuple[Head, int]] = OrderedDict()
        self._retired_bytes = 0
        self._told: dict[int, str] = {}

    async def __aenter__(self) -> Self:
        await self.heads.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.heads.__aexit__()
        self.published.close()
        self.decoding.shutdown(cancel_futures=True)

    def view(self) -> "RedisRankingsView":
        """Return a view of now; raises `ReadModelUnavailable` while no partition can be read."""
        return RedisRankingsView(self)

    def head_version(self, partition: int) -> ListVersion | None:
        """Return what a partition shows now; raises `ReadModelUnavailable`."""
        return self.heads.head_version(partition)

    def changes(self, category_id: str) -> AsyncIterator[None]:
        """Yield at once, then whenever the category's partition may show something new."""
        return self.heads.changes(category_id)

    async def status(self) -> RankingStatus:
        """Return how fresh the rankings are; reads the event store, from a thread."""
        view = self.view()
        reports = await self.published.reports()
        return RankingStatus(
            as_of_hour=view.as_of_hour(),
            missing_hours=reports.missing_hours(),
            pending_reports=reports.version - view.version(),
        )

    async def head_at(self, partition: int, at: ListVersion) -> Head:
        """Return a head that this process's views don't show: a replaced one, or one newer.

        Raises `VersionGone` once it is not kept any more, `ReadModelUnavailable`.
        """
        known = self._retired.get((partition, at))
        if known is not None:
            self._retired.move_to_end((partition, at))
            return known[0]
        key = retired_head_key(partition, at.generation, at.version)
        try:
            data = await self.heads.redis.hget(key, "head")
        except REDIS_FAILURES as error:
            self.heads.suspect()
            raise ReadModelUnavailable(f"a version can't be read: {error}") from error
        if not isinstance(data, bytes):
            # Another process may have made the cursor from a flip that this one has yet to see.
            await self.heads.refresh([partition])
            head = self.heads.shown.head(partition)
            if head is not None and version_of(head) == at:
                return head
            raise VersionGone(
                f"version {at.version} was replaced more than 10 minutes ago. Begin again without "
                "a cursor"
            )
        head = decode_head(data)
        if (partition, at) not in self._retired:
            self._retired[partition, at] = (head, len(data))
            self._retired_bytes += len(data)
        while self._retired_bytes > RETIRED_HEAD_BYTES:
            self._retired_bytes -= self._retired.popitem(last=False)[1][1]
        return head

    def tell_lost(self, error: Exception, heads: Iterable[Head]) -> None:
        """Log that blocks of live versions are lost or damaged, once for each version."""
        told = False
        for head in heads:
            told = told or self._told.get(head.partition) != head.identity
            self._told[head.partition] = head.identity
        if told:
            _log.error(
                "the read model lost blocks: %s. A projection worker makes the partition anew",
                error,
            )


class RedisRankingsView:
    """A `RankingsView` of the heads as they were when it was made."""

    def __init__(self, rankings: RedisRankings) -> None:
        self._rankings = rankings
        self._shown: ShownHeads = rankings.heads.shown
        self._touched: set[int] = set()
        self._answered: set[int] = set()

    async def page(
        self, ranking: RankingList, offset: int, limit: int, at: ListVersion | None = None
    ) -> RankingPage:
        """Return up to `limit` rows of a list after the first `offset`."""
        partition = partition_of(ranking.category_id)
        self._touched.add(partition)
        if at is not None and at != self._version_of(partition):
            head = await self._rankings.head_at(partition, at)
            try:
                return await read_page(self._redis, head, ranking, offset, limit)
            except BlockMissing as error:
                raise VersionGone(f"version {at.version} is not kept any more") from error

        async def read() -> RankingPage:
            head = self._head(ranking.category_id)
            return await read_page(self._redis, head, ranking, offset, limit)

        return await self._steadily([partition], read)

    async def page_as_of(
        self, ranking: RankingList, instant: datetime, offset: int, limit: int
    ) -> RankingPage:
        """Return the list as last published while the hour that ended then was the newest."""
        upto = self._known(ranking.category_id).version
        version = await self._rankings.published.version_as_of(instant, upto)
        return await self.page_at_version(ranking, version, offset, limit)

    async def page_at_version(
        self, ranking: RankingList, version: int, offset: int, limit: int
    ) -> RankingPage:
        """Return a list as published at a version."""
        self._known(ranking.category_id)
        return await self._rankings.published.page(ranking, version, offset, limit)

    async def rank_history(
        self, ranking: RankingList, product_id: str, first: datetime, last: datetime
    ) -> list[RankPoint]:
        """Return the product's places at the closes of hours from `first` to `last`."""
        try:
            upto = self._known(ranking.category_id).version
        except CategoryUnknown:
            return []
        return await self._rankings.published.rank_history(ranking, product_id, first, last, upto)

    async def product_ranks(
        self,
        product_ids: Sequence[str],
        window: RankingWindow,
        metric: RankingMetric,
        category_ids: Sequence[str] | None = None,
    ) -> list[ProductRanks]:
        """Return the exact ranks of products, one answer for each id, in the order of the ids."""
        wanted = None if category_ids is None else set(category_ids)
        partitions = range(PARTITIONS) if wanted is None else sorted(set(map(partition_of, wanted)))
        self._touched.update(partitions)

        async def read() -> list[ProductRanks]:
            redis, heads = self._redis, self._shown.of(partitions)
            categories = await find_categories(redis, heads, product_ids)
            if wanted is not None:
                categories = {
                    product: [category for category in found if category in wanted]
                    for product, found in categories.items()
                }
            return await read_product_ranks(
                redis, heads, categories, product_ids, window, metric, self._rankings.decoding
            )

        return await self._steadily(partitions, read)

    def categories(self, after: str | None, limit: int) -> list[RankedCategory]:
        """Return up to `limit` known categories whose ids follow `after`, in byte order."""
        self._answers_from(range(PARTITIONS))
        known = categories_of(self._shown)
        start = 0
        if after is not None:
            start = bisect_right(
                known, after.encode(), key=lambda category: category.category_id.encode()
            )
        return known[start : start + limit]

    def category_count(self) -> int:
        """Return how many categories are known."""
        self._answers_from(range(PARTITIONS))
        heads = self._shown.of(range(PARTITIONS))
        return sum(len(head.categories) for head in heads.values())

    def as_of_hour(self) -> int | None:
        """Return the newest `as_of` hour that all partitions show; null before the first."""
        if self.version() < 0:
            return None
        return min(head.as_of_hour for head in self._shown.heads.values())

    def version(self) -> int:
        """Return the version that all partitions have reached, -1 before the first."""
        heads = self._shown.of(range(PARTITIONS))
        if len(heads) < PARTITIONS:
            return -1
        return min(head.version for head in heads.values())

    def list_version(self, category_id: str) -> ListVersion | None:
        """Return the version that a category's lists have now; null for an unknown category."""
        partition = partition_of(category_id)
        self._answers_from([partition])
        head = self._shown.head(partition)
        if head is None or category_id not in head.category_index:
            return None
        return version_of(head)

    def fingerprint(self) -> bytes:
        """Return bytes that change when any partition does."""
        self._answers_from(range(PARTITIONS))
        heads = self._shown.of(range(PARTITIONS))
        return "\n".join(heads[p].identity for p in sorted(heads)).encode()

    def touched(self) -> Mapping[int, ListVersion | None]:
        """Return the partitions that this view's answers so far depend on, and their versions."""
        return {partition: self._version_of(partition) for partition in self._touched}

    def is_current(self, category_id: str, at: ListVersion) -> bool:
        """Return whether a version is still the one that the view shows."""
        return self._version_of(partition_of(category_id)) == at

    @property
    def _redis(self) -> AsyncRedisClient:
        return self._rankings.heads.redis

    def _answers_from(self, partitions: Iterable[int]) -> None:
        partitions = set(partitions)
        self._touched |= partitions
        self._answered |= partitions

    def _version_of(self, partition: int) -> ListVersion | None:
        head = self._shown.heads.get(partition)
        return None if head is None else version_of(head)

    def _head(self, category_id: str) -> Head:
        head = self._shown.head(partition_of(category_id))
        if head is None:
            raise CategoryUnknown(f"no sale was ever recorded in category {category_id!r}")
        return head

    def _known(self, category_id: str) -> Head:
        self._answers_from([partition_of(category_id)])
        head = self._head(category_id)
        category_place(head, category_id)
        return head

    async def _steadily(
        self, partitions: Sequence[int], read: Callable[[], Awaitable[_Answer]]
    ) -> _Answer:
        """Read, and again with new heads where blocks are gone.

        Never where this view already answered from one of the heads: one response is of one
        version of a partition. So an answer that was read while another question moved the view
        is read again.
        """
        for _ in range(READS):
            used = self._shown
            try:
                answer = await read()
            except (BlockMissing, BlockCorrupted) as error:
                if not self._has_moved(used, partitions):
                    await self._move(partitions, error)
            except ReadModelUnavailable:
                self._rankings.heads.suspect()
                raise
            else:
                if not self._has_moved(used, partitions):
                    self._answered.update(partitions)
                    return answer
        raise ReadModelUnavailable("the rankings changed at each of several tries to read them")

    def _has_moved(self, used: ShownHeads, partitions: Sequence[int]) -> bool:
        now = self._shown
        return now is not used and any(
            now.heads.get(p) is not used.heads.get(p) for p in partitions
        )

    async def _move(self, partitions: Sequence[int], error: ReadModelUnavailable) -> None:
        """Move the view to what partitions show now; raises `error` where it can't."""
        used = self._shown
        await self._rankings.heads.refresh(partitions)
        if self._has_moved(used, partitions):
            return  # another question of this view did it meanwhile
        fresh = self._rankings.heads.shown
        moved = {p for p in partitions if fresh.heads.get(p) is not used.heads.get(p)}
        if not moved:
            self._rankings.tell_lost(error, used.of(partitions).values())
        if not moved or moved & self._answered:
            raise error
        self._shown = self._shown.moved(fresh, moved)
