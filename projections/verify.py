"""Verification: recomputes the rankings from every sale by SQL, and compares all that Redis holds.

It shares no code with the fold: what it reads are the `SaleRecorded` events, never their totals.
Each partition is verified at the version that its head shows when it is pinned, so workers may go
on meanwhile; what is compared are whole tables and lists, at any depth.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import polars as pl

from projections.differences import Difference, Differences
from projections.head import Head
from projections.product_categories import read_marks
from projections.ranking_lists import METRICS, WINDOWS, RankingWindow
from projections.read_model_tables import read_live_heads
from projections.redis_connection import RedisClient
from projections.verify_blocks import StoredPartition
from projections.verify_lists import compare_lists, first_of, previous_ranks
from projections.verify_partitions import ComparedPartitions
from projections.verify_pins import PinnedFrom, Pins
from projections.verify_products import ExpectedPairs
from projections.verify_reports import ReportEvents, ReportsAt
from projections.verify_sales import (
    ExpectedWindow,
    code_categories,
    known_categories,
    sum_sales,
)
from projections.verify_tables import compare_window
from write_side.event_store import EventStore
from write_side.partitioning import PARTITIONS

STALE_SECONDS: Final = 10.0
"""How long a worker may take from the products' marks of a version to its flip."""
_POLL_SECONDS: Final = 0.1


class Verification(msgspec.Struct, frozen=True):
    """What verification did, and found."""

    versions: dict[int, int]
    """The version that each partition was verified at; those without a head are left out."""
    store_version: int
    """The last version of the event store; -1 before the first report."""
    sales: int
    """Sales that were summed."""
    rows: int
    """Rows of the read model that were compared."""
    differences: list[Difference]
    """The first `differences.KEPT_DIFFERENCES`."""
    difference_count: int
    """All of them."""

    @property
    def agrees(self) -> bool:
        """Whether the read model is what the events say."""
        return self.difference_count == 0


class VerificationProgress(msgspec.Struct, frozen=True):
    """How far a verification has come."""

    partitions: int
    of_partitions: int
    sales: int
    of_sales: int
    """About: partitions hold different shares of the sales."""
    rows: int


@dataclass
class _Run:
    store: EventStore
    connection: duckdb.DuckDBPyConnection
    events: ReportEvents
    pairs: ExpectedPairs
    differences: Differences
    of_partitions: int
    on_progress: Callable[[VerificationProgress], None] | None
    heads: dict[int, Head] = field(default_factory=dict)
    sales: int = 0
    rows: int = 0

    def count_sales(self, sales: int) -> None:
        self.sales += sales
        self.tell()

    def count_rows(self, rows: int) -> None:
        self.rows += rows
        self.tell()

    def tell(self) -> None:
        if self.on_progress is None:
            return
        share = self.of_partitions / PARTITIONS
        self.on_progress(
            VerificationProgress(
                partitions=len(self.heads),
                of_partitions=self.of_partitions,
                sales=self.sales,
                of_sales=max(self.sales, round(self.events.sales * share)),
                rows=self.rows,
            )
        )


def verify(
    store: EventStore,
    redis: RedisClient,
    store_id: str,
    partitions: Iterable[int] = range(PARTITIONS),
    heads: Mapping[int, Head] | None = None,
    *,
    threads: int | None = None,
    memory: str | None = None,
    folder: Path | None = None,
    stale_seconds: float = STALE_SECONDS,
    on_progress: Callable[[VerificationProgress], None] | None = None,
) -> Verification:
    """Compare the read model of some partitions with every sale in the store.

    `heads` are those of a build that is not live yet, by partition, to be verified instead of the
    live ones of `partitions`; the products' categories, which no build has of its own, are then
    left out.
    `threads` (all cores) and `memory` (such as `4GB`; four fifths of the machine's) bound the SQL
    engine, which spills into a folder of its own under `folder` (the system's temporary one) and
    leaves nothing there. A head has `stale_seconds` to come up to its marks.

    Blocks; safe beside workers. Raises `ReadModelUnavailable`, `EventStoreUnavailable` and
    `EventStoreCorrupted`.
    """
    wanted = sorted(set(partitions) if heads is None else heads)
    differences = Differences()
    with _sql(threads, memory, folder) as connection, closing(ReportEvents()) as events:
        pairs = ExpectedPairs(connection)
        run = _Run(store, connection, events, pairs, differences, len(wanted), on_progress)
        source = PinnedFrom(redis, heads)
        pins = Pins(store, store_id, wanted, source, events, differences)
        while group := pins.next_group():
            _compare_group(run, group)
            run.heads.update({one.head.partition: one.head for one in group})
            run.tell()
        if heads is None and run.heads:
            pairs.compare(redis, differences, run.count_rows)
            _compare_marks(run, redis, store_id, stale_seconds)
        return Verification(
            versions={partition: head.version for partition, head in sorted(run.heads.items())},
            store_version=events.last_version,
            sales=run.sales,
            rows=run.rows,
            differences=differences.kept,
            difference_count=differences.count,
        )


@contextmanager
def _sql(
    threads: int | None, memory: str | None, folder: Path | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    with tempfile.TemporaryDirectory(prefix="topsellers-verify-", dir=folder) as spill:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads or os.cpu_count() or 1,
            "temp_directory": spill,
        }
        if memory is not None:
            config["memory_limit"] = memory
        with duckdb.connect(":memory:", config=config) as connection:
            yield connection


def _compare_group(run: _Run, stored: Sequence[StoredPartition]) -> None:
    connection = run.connection
    reports = run.events.at(stored[0].head.version)
    partitions = [one.head.partition for one in stored]
    sum_sales(connection, run.store, reports.attempts, partitions, run.count_sales)
    compared = ComparedPartitions(stored, known_categories(connection), run.differences)
    code_categories(connection, compared.categories)
    _compare_heads(compared, reports)
    first: list[pl.DataFrame] = []
    for window in WINDOWS:
        expected = ExpectedWindow(connection, window)
        by_product, by_total = compare_window(connection, compared, window, expected)
        first += [first_of(compared, window, metric, by_total[metric]) for metric in METRICS]
        if window is RankingWindow.ALL_TIME:
            run.pairs.add(by_product, compared.categories)
    compare_lists(connection, compared, pl.concat(first), previous_ranks(connection))
    run.count_rows(compared.rows)


def _compare_heads(compared: ComparedPartitions, reports: ReportsAt) -> None:
    for one in compared.stored:
        for what, expected, found in (
            ("the newest closed hour", reports.hour, one.head.hour),
            ("the hour of as_of", reports.as_of_hour, one.head.as_of_hour),
        ):
            if expected != found:
                compared.differs(one, what, expected, found)


def _compare_marks(run: _Run, redis: RedisClient, store_id: str, stale_seconds: float) -> None:
    marks = read_marks(redis, store_id, sorted(run.heads))
    for partition, mark in marks.items():
        version = run.heads[partition].version
        if mark < version:
            what = "the version up to which the products' categories are complete"
            run.differences.add(
                Difference(partition, None, None, None, what, f"{version} at least", str(mark))
            )
    # A flip follows its marks at once: a head that stays behind them has lost that flip.
    deadline = time.monotonic() + stale_seconds
    while stale := _behind(redis, marks):
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_SECONDS)
    for partition, version in stale.items():
        expected = f"version {marks[partition]}, which it showed or was to show at once"
        run.differences.add(
            Difference(
                partition, None, None, None, "the head is stale", expected, f"version {version}"
            )
        )


def _behind(redis: RedisClient, marks: Mapping[int, int]) -> dict[int, int]:
    live = read_live_heads(redis, marks)
    return {
        partition: one.head.version
        for partition, one in live.items()
        if one.head is not None and one.head.version < marks[partition]
    }
