"""Partitions on their way through versions: fold, publish, and what is then written.

Everything here is of some partitions that are folded together and stand at the same version.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from projections.fold import Tables, TotalsOf, fold, no_tables
from projections.published_lists import (
    ROWS_SCHEMA,
    PublishedLists,
    events_of,
    next_lists,
    nothing_published,
    read_published,
    recode_lists,
)
from projections.ranking import first_rows, ranked_orders, total_counts
from projections.ranking_lists import RankingWindow
from projections.read_model_writer import Build
from projections.windows import window_changes
from write_side.errors import WrongExpectedVersion
from write_side.event_store import EventStore, StreamAppend
from write_side.events import rankings_stream
from write_side.report_history import Attempt, ReportHistory


@dataclass(frozen=True)
class Folded:
    """Tables at a version, None before the first, and the pairs that became known since."""

    version: int | None
    tables: Tables
    pairs: tuple[pl.DataFrame, ...] = ()
    """`category_id`, `product_id` of the reports folded in; some were known before."""


def unfolded() -> Folded:
    """Return what there is before any report."""
    return Folded(None, no_tables())


def advance(folded: Folded, history: ReportHistory, version: int, totals_of: TotalsOf) -> Folded:
    """Return the tables at a later version."""
    changes = window_changes(history, folded.version, version)
    totals: dict[Attempt, pl.DataFrame] = {}

    def remembered(attempt: Attempt) -> pl.DataFrame:
        totals[attempt] = totals_of(attempt)
        return totals[attempt]

    tables = fold(folded.tables, changes, remembered)
    pairs = tuple(
        totals[attempt].select("category_id", "product_id")
        for attempt in changes[RankingWindow.ALL_TIME].weights
    )
    return Folded(version, tables, folded.pairs + pairs)


class Publisher:
    """Publishes the lists of some partitions, and knows the lists that ranks compare with."""

    def __init__(
        self, store: EventStore, history: ReportHistory, partitions: Sequence[int], published: int
    ) -> None:
        self._store = store
        self._history = history
        self._partitions = partitions
        self._published = published
        self._lists: PublishedLists | None = None
        self._previous: PublishedLists | None = None

    @property
    def published(self) -> int:
        """The last version that is published, -1 before the first."""
        return self._published

    def prepare(self, folded: Folded) -> Build:
        """Return a version as it is to be written, its previous ranks included."""
        assert folded.version is not None  # noqa: S101  (nothing is written before version 0)
        orders = ranked_orders(folded.tables)
        previous = self._lists_before(self._history.previous_version(folded.version))
        ranks = recode_lists(previous.rows, previous.categories, folded.tables.categories).select(
            "list", "product_id", "rank"
        )
        return Build(folded.tables, orders, first_rows(folded.tables, orders), ranks)

    def publish(self, version: int, build: Build) -> None:
        """Publish the version after the last one; where another worker did, that one stands."""
        before = self._lists_at(version - 1)
        ranks = build.previous.rename({"rank": "previous_rank"})
        rows = build.first_rows.join(
            ranks, on=["list", "product_id"], how="left", maintain_order="left"
        ).select(ROWS_SCHEMA.keys())
        lists = next_lists(
            before,
            hour=self._history.newest_at(version),
            as_of_hour=self._history.as_of_hour_at(version),
            categories=build.tables.categories,
            counts=total_counts(build.tables, build.orders),
            rows=rows,
        )
        appends = [
            StreamAppend(rankings_stream(partition), [event], version - 1)
            for partition, event in events_of(lists, self._partitions)
        ]
        try:
            self._store.append_many(appends)
        except WrongExpectedVersion:
            self._publish_one_by_one(appends, version)
        self._lists, self._published = lists, version

    def _publish_one_by_one(self, appends: Sequence[StreamAppend], version: int) -> None:
        for append in appends:
            try:
                self._store.append_many([append])
            except WrongExpectedVersion as error:
                if error.actual < version:
                    raise

    def _lists_at(self, version: int) -> PublishedLists:
        if version < 0:
            return nothing_published()
        for known in (self._lists, self._previous):
            if known is not None and known.version == version:
                return known
        return read_published(self._store, self._partitions, version)

    def _lists_before(self, version: int | None) -> PublishedLists:
        if version is None:
            return nothing_published()
        self._previous = self._lists_at(version)
        return self._previous
