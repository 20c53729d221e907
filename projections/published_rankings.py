"""History for servers: lists as they were published, read from the event store in a thread."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from projections.errors import HistoryMissing, NotYetPublished
from projections.published_lists import PublishedList, read_published_list
from projections.ranking_lists import (
    ListVersion,
    RankingList,
    RankingPage,
    RankPoint,
    list_offset,
)
from write_side.event_store import EventStore
from write_side.hours import end_of, hour_of
from write_side.partitioning import partition_of
from write_side.report_history import ReportHistory, catch_up

HISTORY_THREADS: Final = 2
PUBLISHED_GENERATION: Final = "published"
"""The generation of what was published: it never changes."""


class PublishedRankings:
    """Lists as published, and which version is the history of an instant."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._reports = ReportHistory()
        self._reading = asyncio.Lock()
        # Of its own: long histories must not hold up what else the process does in threads.
        self._threads = ThreadPoolExecutor(HISTORY_THREADS, thread_name_prefix="history")

    def close(self) -> None:
        """End the threads once they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def reports(self, upto: int | None = None) -> ReportHistory:
        """Return the report history, up to a version at least, or up to the store's end."""
        if upto is None or self._reports.version < upto:
            async with self._reading:
                await asyncio.to_thread(catch_up, self._reports, self._store)
        if upto is not None and self._reports.version < upto:
            raise HistoryMissing(
                f"the event store ends at report {self._reports.version}, the read model shows "
                f"{upto}. Check TOPSELLERS_EVENT_STORE_URL"
            )
        return self._reports

    async def version_as_of(self, instant: datetime, upto: int) -> int:
        """Return the version that is the history of an instant; raises `NotYetPublished`."""
        version = (await self.reports(upto)).version_published_as_of(instant, upto)
        if version is None:
            raise NotYetPublished(
                f"nothing had been published as of {instant:%Y-%m-%dT%H:%M:%SZ}: "
                "the first report closed a later hour"
            )
        return version

    async def page(
        self, ranking: RankingList, version: int, offset: int, limit: int
    ) -> RankingPage:
        """Return rows of a list as published at a version; none where it wasn't known then."""
        lists = await self._in_thread(ranking, [version])
        reports = await self.reports(version)
        at = ListVersion(PUBLISHED_GENERATION, version)
        published = lists[0]
        if published is None:
            return RankingPage(ranking, at, reports.as_of_hour_at(version), 0, offset, [])
        items = published.rows[offset : offset + limit]
        return RankingPage(ranking, at, published.as_of_hour, published.total_count, offset, items)

    async def rank_history(
        self, ranking: RankingList, product_id: str, first: datetime, last: datetime, upto: int
    ) -> list[RankPoint]:
        """Return a product's places at the closes of hours, as published."""
        reports = await self.reports(upto)
        before = hour_of(first) - 1
        first_hour = before if end_of(before) == first else before + 1
        last_hour = hour_of(last) - 1
        hours = reports.versions_published_between(first_hour, last_hour, upto)
        versions = [version for _, version in hours]
        lists = await self._in_thread(ranking, versions)
        points: list[RankPoint] = []
        for (hour, _), published in zip(hours, lists, strict=True):
            if published is None:
                continue
            points.extend(
                RankPoint(hour, row.rank, row.units, row.amount_minor)
                for row in published.rows
                if row.product_id == product_id
            )
        return points

    async def _in_thread(
        self, ranking: RankingList, versions: Sequence[int]
    ) -> list[PublishedList | None]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, ranking, versions)

    def _read(self, ranking: RankingList, versions: Sequence[int]) -> list[PublishedList | None]:
        partition = partition_of(ranking.category_id)
        offset = list_offset(ranking.window, ranking.metric)
        return [
            read_published_list(self._store, partition, version, ranking.category_id, offset)
            for version in versions
        ]
