"""What the stream `sales-reports` says: which reports count at which version.

Version N of everything derived is a pure function of this stream up to event N.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from write_side.errors import EventStoreCorrupted
from write_side.event_store import NO_STREAM, EventStore, RecordedEvent
from write_side.events import (
    REPORTS_STREAM,
    ReportEvent,
    SalesReportIngested,
    SalesReportWithdrawn,
    type_of,
)
from write_side.hours import end_of


class Attempt(NamedTuple):
    """One stored reading of an hour's report; its streams hold the sales and totals."""

    hour: int
    attempt: int


class ReportHistory:
    """The report events so far, and what follows from them at each version.

    Grows by `extend`, in order; everything else only reads. An hour is *in force* at a version
    while its newest event up to there is a `SalesReportIngested`; the newest such hour is the
    newest closed one.
    """

    def __init__(self, events: Iterable[ReportEvent] = ()) -> None:
        self._events: list[ReportEvent] = []
        self._by_hour: dict[int, list[tuple[int, ReportEvent]]] = {}
        self._in_force: dict[int, SalesReportIngested] = {}
        self._newest: list[int | None] = []
        self._as_of_hours: list[int] = []
        self._versions_as_newest: dict[int, list[int]] = {}
        self._ever_newest: list[int] = []
        """The hours that were the newest at some version, ascending."""
        self.extend(events)

    @property
    def version(self) -> int:
        """The version of the last event, `NO_STREAM` where there is none."""
        return len(self._events) - 1

    @property
    def in_force(self) -> Mapping[int, SalesReportIngested]:
        """The reports in force at the last version, by hour."""
        return self._in_force

    def extend(self, events: Iterable[ReportEvent]) -> None:
        """Take in the next events of the stream."""
        for event in events:
            version = len(self._events)
            self._by_hour.setdefault(event.hour, []).append((version, event))
            newest = self._newest[-1] if self._newest else None
            if isinstance(event, SalesReportIngested):
                self._in_force[event.hour] = event
                newest = event.hour if newest is None else max(newest, event.hour)
            else:
                self._in_force.pop(event.hour, None)
                if event.hour == newest:
                    newest = max(self._in_force, default=None)
            self._newest.append(newest)
            previous_as_of = self._as_of_hours[-1] if self._as_of_hours else event.hour
            self._as_of_hours.append(previous_as_of if newest is None else newest)
            if newest is not None:
                if newest not in self._versions_as_newest:
                    self._versions_as_newest[newest] = []
                    insort(self._ever_newest, newest)
                self._versions_as_newest[newest].append(version)
            # Last, since other threads read meanwhile: what `version` names is there.
            self._events.append(event)

    def event(self, version: int) -> ReportEvent:
        """Return the event that made a version."""
        return self._events[version]

    def revisions(self, hour: int) -> list[SalesReportIngested]:
        """Return all ingested revisions of an hour, oldest first, replaced and withdrawn too."""
        return [
            event
            for _, event in self._by_hour.get(hour, [])
            if isinstance(event, SalesReportIngested)
        ]

    def is_withdrawn(self, hour: int) -> bool:
        """Return whether the hour was ingested once and is not in force any more."""
        return hour in self._by_hour and hour not in self._in_force

    def in_force_at(self, version: int) -> dict[int, SalesReportIngested]:
        """Return the reports in force at a version, by hour."""
        if version == self.version:
            return dict(self._in_force)
        in_force: dict[int, SalesReportIngested] = {}
        for event in self._events[: version + 1]:
            if isinstance(event, SalesReportIngested):
                in_force[event.hour] = event
            else:
                in_force.pop(event.hour, None)
        return in_force

    def ingested_between(self, after: int, upto: int) -> list[SalesReportIngested]:
        """Return the reports ingested at the versions above `after`, up to and with `upto`."""
        return [
            event
            for event in self._events[after + 1 : upto + 1]
            if isinstance(event, SalesReportIngested)
        ]

    def newest_at(self, version: int) -> int | None:
        """Return the newest closed hour at a version; null where none is in force."""
        return self._newest[version]

    def as_of_hour_at(self, version: int) -> int:
        """Return the hour whose end is `as_of` at a version: the last that was the newest."""
        return self._as_of_hours[version]

    def previous_version(self, version: int) -> int | None:
        """Return the version whose lists give a version's previous ranks, null where none does.

        That is the last one at which the newest closed hour before this version's was the newest:
        frozen, whatever came late since. Hours that were never the newest, or are withdrawn, don't
        count.
        """
        newest = self._newest[version]
        if newest is None:
            return None
        in_force = self._in_force if version == self.version else self.in_force_at(version)
        earlier = self._ever_newest[: bisect_left(self._ever_newest, newest)]
        for hour in reversed(earlier):
            if hour in in_force:
                last = self._last_version_as_newest(hour, version)
                if last is not None:
                    return last
        return None

    def version_published_as_of(self, instant: datetime, upto: int) -> int | None:
        """Return the version whose lists are the history of an instant, as known at `upto`.

        It is the last version at which the hour that ended then was the newest, or else the
        nearest earlier hour; null where none had ended that was ever the newest.
        """
        for hour in reversed(self._ever_newest.copy()):
            if end_of(hour) <= instant:
                last = self._last_version_as_newest(hour, upto)
                if last is not None:
                    return last
        return None

    def versions_published_between(
        self, first_hour: int, last_hour: int, upto: int
    ) -> list[tuple[int, int]]:
        """Return (hour, version) of the lists last published while each hour was the newest.

        For the hours from `first_hour` to `last_hour`, both included, in order, as known at `upto`.
        """
        return [
            (hour, last)
            for hour in self._ever_newest.copy()
            if first_hour <= hour <= last_hour
            and (last := self._last_version_as_newest(hour, upto)) is not None
        ]

    def missing_hours(self, limit: int = 1000) -> list[int]:
        """Return the newest hours between the first and the newest report that none covers."""
        if not self._in_force:
            return []
        first, newest = min(self._in_force), max(self._in_force)
        missing: list[int] = []
        for hour in range(newest, first, -1):
            if hour not in self._in_force:
                missing.append(hour)
                if len(missing) == limit:
                    break
        missing.reverse()
        return missing

    def _last_version_as_newest(self, hour: int, upto: int) -> int | None:
        versions = self._versions_as_newest[hour]
        count = bisect_right(versions, upto)
        return versions[count - 1] if count else None


def read_report_history(store: EventStore) -> ReportHistory:
    """Return the history that the store holds."""
    history = ReportHistory()
    catch_up(history, store)
    return history


def catch_up(history: ReportHistory, store: EventStore) -> None:
    """Read the report events that a history does not have yet.

    Raises `EventStoreCorrupted` where another event stands between them: without it every later
    version would be another one.
    """
    if store.last_version(REPORTS_STREAM) == NO_STREAM:
        return
    history.extend(
        _report_event(recorded) for recorded in store.read(REPORTS_STREAM, history.version + 1)
    )


def _report_event(recorded: RecordedEvent) -> ReportEvent:
    event = recorded.event
    if isinstance(event, SalesReportIngested | SalesReportWithdrawn):
        return event
    raise EventStoreCorrupted(
        f"{REPORTS_STREAM} holds a {type_of(event)} at version {recorded.version}, which is no "
        "event of a report. Use the release that wrote it, or restore the store from a backup"
    )
