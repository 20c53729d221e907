"""Pinning: which version of each partition is verified, while a worker may replace it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from projections.blocks import BLOCK_ROWS
from projections.differences import Difference, Differences
from projections.errors import ReadModelUnavailable
from projections.head import Head
from projections.read_model_tables import LiveHead, read_live_heads
from projections.redis_connection import RedisClient
from projections.verify_blocks import StoredPartition, fetch_partition
from projections.verify_reports import ReportEvents
from write_side.event_store import EventStore
from write_side.events import REPORTS_STREAM, SalesReportIngested, SalesReportWithdrawn

ROWS_TOGETHER: Final = 4_000_000
"""Table rows that are verified together, about: bounds memory, spares small shops 64 rounds."""
_PINS: Final = 5
"""How often a partition is pinned whose blocks' time is over before they are read."""


@dataclass(frozen=True)
class PinnedFrom:
    """Where heads come from: those that are live, or those of a build that is not live yet."""

    redis: RedisClient
    build: Mapping[int, Head] | None

    def read(self, partitions: Sequence[int]) -> dict[int, LiveHead]:
        """Return the partitions' heads; raises `ReadModelUnavailable`."""
        if self.build is None:
            return read_live_heads(self.redis, partitions)
        return {
            partition: LiveHead(self.build[partition].identity, self.build[partition])
            for partition in partitions
        }

    def is_replaced(self, head: Head) -> bool:
        """Return whether another head is live by now; raises `ReadModelUnavailable`."""
        now = self.read([head.partition])[head.partition]
        return now.identity != head.identity


class Pins:
    """Gives out partitions in groups of one version, each with all its bytes."""

    def __init__(
        self,
        store: EventStore,
        store_id: str,
        partitions: Iterable[int],
        heads: PinnedFrom,
        events: ReportEvents,
        differences: Differences,
    ) -> None:
        self._store = store
        self._store_id = store_id
        self._waiting = sorted(set(partitions))
        self._heads = heads
        self._events = events
        self._differences = differences
        self._tries: Counter[int] = Counter()
        read_new_events(events, store)

    def next_group(self) -> list[StoredPartition]:
        """Return the next partitions that have a head to verify; none at the end.

        A partition without one, or whose head is wrong in itself, becomes a difference here.
        Raises `ReadModelUnavailable`, and the event store's errors.
        """
        group: list[StoredPartition] = []
        while self._waiting and not group:
            live = self._heads.read(self._waiting)
            rows = 0
            for partition, one in live.items():
                head = self._verifiable(partition, one)
                if head is None:
                    self._waiting.remove(partition)
                    continue
                if group and head.version != group[0].head.version:
                    continue
                if group and rows + _rows_of(head) > ROWS_TOGETHER:
                    break
                stored = self._fetch(head)
                if stored is not None:
                    self._waiting.remove(partition)
                    group.append(stored)
                    rows += _rows_of(head)
        return group

    def _fetch(self, head: Head) -> StoredPartition | None:
        stored = fetch_partition(self._heads.redis, head)
        if stored.is_whole or not self._heads.is_replaced(head):
            return stored
        self._tries[head.partition] += 1
        if self._tries[head.partition] == _PINS:
            raise ReadModelUnavailable(
                f"partition {head.partition:02d} was replaced {_PINS} times before it could be "
                "read. Verify again when less is projected"
            )
        return None

    def _verifiable(self, partition: int, live: LiveHead) -> Head | None:
        head = live.head
        if head is None:
            if live.identity:
                self._differs(partition, "a head", "one that can't be decoded")
            elif self._events.last_version >= 0:
                self._differs(
                    partition, f"version {self._events.last_version}", "nothing: not projected yet"
                )
            return None
        if head.version > self._events.last_version:
            read_new_events(self._events, self._store)
        last = self._events.last_version
        if head.store_id != self._store_id:
            self._differs(partition, f"event store {self._store_id}", f"one of {head.store_id}")
        elif head.partition != partition:
            self._differs(partition, "its own", f"that of partition {head.partition:02d}")
        elif live.identity != head.identity:
            self._differs(partition, f"identity {head.identity}", live.identity)
        elif not 0 <= head.version <= last:
            self._differs(partition, f"a version up to {last}", head.version)
        else:
            return head
        return None

    def _differs(self, partition: int, expected: object, found: object) -> None:
        self._differences.add(
            Difference(partition, None, None, None, "the head", str(expected), str(found))
        )


def read_new_events(events: ReportEvents, store: EventStore) -> None:
    """Read the report events that are not known yet."""
    events.extend(
        recorded.event
        for recorded in store.read(REPORTS_STREAM, events.last_version + 1)
        if isinstance(recorded.event, SalesReportIngested | SalesReportWithdrawn)
    )


def _rows_of(head: Head) -> int:
    return sum(
        segment.blocks * BLOCK_ROWS
        for window in head.windows.values()
        for segment in window.by_id.segments
    )
