"""The query side of the read model, as the servers and commands see it.

A process keeps one `LiveRankings`. Each request takes one `RankingsView` of it and asks only that:
all answers of a view that name one category are of one version of its partition.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

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


class RankingsView(Protocol):
    """The rankings as they stand at one moment.

    Each method raises `ReadModelUnavailable` where a partition that it needs can't be read: those
    of one list need that list's, those without a category all.

    Nothing here is cached by a clock; a view may be kept for as long as a request runs.
    """

    async def page(
        self, ranking: RankingList, offset: int, limit: int, at: ListVersion | None = None
    ) -> RankingPage:
        """Return up to `limit` rows of a list after the first `offset`.

        `at` names the version that a cursor began with. Raises `CategoryUnknown`, `VersionGone`.
        """

    async def page_as_of(
        self, ranking: RankingList, instant: datetime, offset: int, limit: int
    ) -> RankingPage:
        """Return the list as last published while the hour that ended at `instant` was the newest.

        Only its first 100 positions are kept. Raises `CategoryUnknown`; `NotYetPublished` where
        nothing had been published by then.
        """

    async def page_at_version(
        self, ranking: RankingList, version: int, offset: int, limit: int
    ) -> RankingPage:
        """Return a list as published at a version: where a cursor of `page_as_of` goes on."""

    async def rank_history(
        self, ranking: RankingList, product_id: str, first: datetime, last: datetime
    ) -> list[RankPoint]:
        """Return the product's places at the closes of hours from `first` to `last`, both included.

        Only the hours in which it was among the first 100, oldest first. Raises nothing for a
        category or product that is unknown: the answer is empty.
        """

    async def product_ranks(
        self,
        product_ids: Sequence[str],
        window: RankingWindow,
        metric: RankingMetric,
        category_ids: Sequence[str] | None = None,
    ) -> list[ProductRanks]:
        """Return the exact ranks of products, one answer for each id, in the order of the ids.

        One round trip for where they are ranked; for each slice of some hundred blocks one for
        totals and one for ranks. `category_ids` narrows the categories, and with them the
        partitions that have to be there.
        """

    def categories(self, after: str | None, limit: int) -> list[RankedCategory]:
        """Return up to `limit` known categories whose ids follow `after`, in byte order."""

    def category_count(self) -> int:
        """Return how many categories are known."""

    def as_of_hour(self) -> int | None:
        """Return the newest `as_of` hour that all partitions show; null before the first report."""

    def version(self) -> int:
        """Return the version that all partitions have reached, -1 before the first."""

    def list_version(self, category_id: str) -> ListVersion | None:
        """Return the version that a category's lists have now; null for an unknown category."""

    def fingerprint(self) -> bytes:
        """Return bytes that change when any partition does: a key for what depends on all."""

    def touched(self) -> Mapping[int, ListVersion | None]:
        """Return the partitions that this view's answers so far depend on, and their versions."""

    def is_current(self, category_id: str, at: ListVersion) -> bool:
        """Return whether a version is still the one that the view shows."""


class LiveRankings(Protocol):
    """The heads of all partitions, kept fresh by notifications and a sweep every few seconds."""

    def view(self) -> RankingsView:
        """Return a view of now; raises `ReadModelUnavailable` while no partition can be read."""

    def head_version(self, partition: int) -> ListVersion | None:
        """Return what a partition shows now, null before its first version.

        The answer cache compares this: an answer is exact while it is what the answer was made of.
        Raises `ReadModelUnavailable` while the partition can't be read, so that nothing stale is
        served then.
        """

    async def status(self) -> RankingStatus:
        """Return how fresh the rankings are; reads the event store, from a thread."""

    def changes(self, category_id: str) -> AsyncIterator[None]:
        """Yield at once, and whenever the category's partition may show something new.

        Notices gather while the consumer is busy: it gets one for many. Also yields when Redis
        goes away or returns; `view` then tells.
        """
