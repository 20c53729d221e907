"""The query port over plain dictionaries: what the servers are tested with."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from projections.errors import (
    CategoryUnknown,
    NotYetPublished,
    ReadModelUnavailable,
    VersionGone,
)
from projections.ranking_lists import (
    FIRST_POSITIONS,
    ListVersion,
    ProductRanks,
    RankedCategory,
    RankedProduct,
    RankingList,
    RankingMetric,
    RankingPage,
    RankingStatus,
    RankingWindow,
    RankPoint,
    SalesRank,
)
from write_side.hours import hour_of
from write_side.partitioning import PARTITIONS, partition_of

Totals = Mapping[str, tuple[int, int]]
"""Units and minor units of revenue, by product."""


class Published:
    """What one version holds."""

    def __init__(self, at: ListVersion, hour: int, categories: Mapping[str, Totals]) -> None:
        self.at = at
        self.hour = hour
        self.categories = categories

    def rows(self, ranking: RankingList) -> list[RankedProduct]:
        if ranking.category_id not in self.categories:
            raise CategoryUnknown(ranking.category_id)
        column = 0 if ranking.metric is RankingMetric.UNITS else 1
        totals = self.categories[ranking.category_id]
        ranked = sorted(
            (item for item in totals.items() if item[1][column] > 0),
            key=lambda item: (-item[1][column], item[0].encode()),
        )
        rows: list[RankedProduct] = []
        rank, last = 0, None
        for position, (product_id, total) in enumerate(ranked, 1):
            if total[column] != last:
                rank, last = rank + 1, total[column]
            rows.append(RankedProduct(position, rank, None, product_id, *total))
        return rows

    def page(self, ranking: RankingList, offset: int, limit: int) -> RankingPage:
        rows = self.rows(ranking)
        return RankingPage(
            ranking, self.at, self.hour, len(rows), offset, rows[offset : offset + limit]
        )


class ViewInMemory:
    """A `RankingsView` of one moment."""

    def __init__(self, rankings: "RankingsInMemory") -> None:
        self._rankings = rankings
        self._shown = rankings.published[-1] if rankings.published else None
        self._touched: dict[int, ListVersion | None] = {}

    async def page(
        self, ranking: RankingList, offset: int, limit: int, at: ListVersion | None = None
    ) -> RankingPage:
        await self._reads("page", ranking)
        self._touch(ranking.category_id)
        if self._shown is None:
            raise CategoryUnknown(ranking.category_id)
        published = self._shown if at is None else self._rankings.at(at)
        return published.page(ranking, offset, limit)

    async def page_as_of(
        self, ranking: RankingList, instant: datetime, offset: int, limit: int
    ) -> RankingPage:
        await self._reads("page_as_of", ranking)
        self._touch(ranking.category_id)
        newest = hour_of(instant) - 1
        known = [one for one in self._rankings.history if one.hour <= newest]
        if not known:
            raise NotYetPublished(f"{instant}")
        return _first(known[-1].page(ranking, offset, limit))

    async def page_at_version(
        self, ranking: RankingList, version: int, offset: int, limit: int
    ) -> RankingPage:
        await self._reads("page_at_version", ranking)
        self._touch(ranking.category_id)
        return _first(self._rankings.history[version].page(ranking, offset, limit))

    async def rank_history(
        self, ranking: RankingList, product_id: str, first: datetime, last: datetime
    ) -> list[RankPoint]:
        await self._reads("rank_history", ranking)
        self._touch(ranking.category_id)
        return [
            RankPoint(one.hour, row.rank, row.units, row.amount_minor)
            for one in self._rankings.history
            if hour_of(first) <= one.hour + 1 <= hour_of(last)
            for row in one.rows(ranking)
            if row.product_id == product_id
        ]

    async def product_ranks(
        self,
        product_ids: Sequence[str],
        window: RankingWindow,
        metric: RankingMetric,
        category_ids: Sequence[str] | None = None,
    ) -> list[ProductRanks]:
        await self._reads("product_ranks", tuple(product_ids))
        for category_id in self._categories():
            self._touch(category_id)
        return [
            ProductRanks(
                product_id,
                any(product_id in totals for totals in self._categories().values()),
                [
                    rank
                    for category_id in sorted(self._categories(), key=str.encode)
                    if category_ids is None or category_id in category_ids
                    for rank in self._ranks(RankingList(category_id, window, metric), product_id)
                ],
            )
            for product_id in product_ids
        ]

    def categories(self, after: str | None, limit: int) -> list[RankedCategory]:
        for category_id in self._categories():
            self._touch(category_id)
        hour = 0 if self._shown is None else self._shown.hour
        return [
            RankedCategory(category_id, len(totals), hour)
            for category_id, totals in sorted(
                self._categories().items(), key=lambda item: item[0].encode()
            )
            if after is None or category_id.encode() > after.encode()
        ][:limit]

    def category_count(self) -> int:
        return len(self._categories())

    def as_of_hour(self) -> int | None:
        return None if self._shown is None else self._shown.hour

    def version(self) -> int:
        return -1 if self._shown is None else self._shown.at.version

    def list_version(self, category_id: str) -> ListVersion | None:
        shown = self._shown
        return shown.at if shown is not None and category_id in shown.categories else None

    def fingerprint(self) -> bytes:
        return repr(None if self._shown is None else self._shown.at).encode()

    def touched(self) -> Mapping[int, ListVersion | None]:
        return self._touched

    def is_current(self, category_id: str, at: ListVersion) -> bool:
        return self.list_version(category_id) == at

    def _categories(self) -> Mapping[str, Totals]:
        return {} if self._shown is None else self._shown.categories

    def _ranks(self, ranking: RankingList, product_id: str) -> list[SalesRank]:
        assert self._shown is not None
        rows = self._shown.rows(ranking)
        return [
            SalesRank(
                product_id,
                ranking,
                self._shown.at,
                self._shown.hour,
                row.rank,
                row.previous_rank,
                row.units,
                row.amount_minor,
                len(rows),
            )
            for row in rows
            if row.product_id == product_id
        ]

    def _touch(self, category_id: str) -> None:
        self._touched[partition_of(category_id)] = None if self._shown is None else self._shown.at

    async def _reads(self, name: str, what: object) -> None:
        self._rankings.calls.append((name, what))
        if self._rankings.gate is not None:
            await self._rankings.gate.wait()
        if self._rankings.failure is not None:
            raise self._rankings.failure


class RankingsInMemory:
    """A `LiveRankings` that a test publishes to."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        """Versions that can still be read, the newest last."""
        self.history: list[Published] = []
        """All versions, by number."""
        self.calls: list[tuple[str, object]] = []
        """What was read, by name."""
        self.away = False
        """Whether Redis is away."""
        self.failure: Exception | None = None
        """What every read raises."""
        self.gate: asyncio.Event | None = None
        """What every read waits for."""
        self.pending_reports = 0
        self._watchers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def publish(
        self, hour: int, categories: Mapping[str, Totals], generation: str = "g1"
    ) -> ListVersion:
        at = ListVersion(generation, len(self.history))
        published = Published(at, hour, categories)
        self.history.append(published)
        self.published.append(published)
        self.notify()
        return at

    def notify(self) -> None:
        for loop, event in self._watchers:
            loop.call_soon_threadsafe(event.set)

    def forget_old_versions(self) -> None:
        del self.published[:-1]

    def at(self, version: ListVersion) -> Published:
        for published in self.published:
            if published.at == version:
                return published
        raise VersionGone(f"{version}")

    def view(self) -> ViewInMemory:
        self._check()
        return ViewInMemory(self)

    def head_version(self, partition: int) -> ListVersion | None:
        self._check()
        assert 0 <= partition < PARTITIONS
        return self.published[-1].at if self.published else None

    async def status(self) -> RankingStatus:
        hour = self.published[-1].hour if self.published else None
        return RankingStatus(hour, [] if hour is None else [hour - 2], self.pending_reports)

    async def changes(self, category_id: str) -> AsyncIterator[None]:
        event = asyncio.Event()
        event.set()
        watcher = (asyncio.get_running_loop(), event)
        self._watchers.append(watcher)
        try:
            while True:
                await event.wait()
                event.clear()
                yield
        finally:
            self._watchers.remove(watcher)

    @property
    def watchers(self) -> int:
        return len(self._watchers)

    def _check(self) -> None:
        if self.away:
            raise ReadModelUnavailable("connection to 10.0.0.7:6379 refused")


def _first(page: RankingPage) -> RankingPage:
    kept = max(0, FIRST_POSITIONS - page.offset)
    return RankingPage(
        page.ranking, page.at, page.as_of_hour, page.total_count, page.offset, page.items[:kept]
    )
