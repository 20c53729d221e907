"""The report history against a naive model that replays everything for every question."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from write_side.errors import EventStoreCorrupted
from write_side.event_store import NO_STREAM
from write_side.events import (
    REPORTS_STREAM,
    ReportEvent,
    SalesReportIngested,
    SalesReportWithdrawn,
    StoreCreated,
)
from write_side.hours import end_of
from write_side.memory_event_store import MemoryEventStore
from write_side.report_history import ReportHistory, catch_up, read_report_history


def ingested(hour: int, revision: int = 1) -> SalesReportIngested:
    return SalesReportIngested(hour, revision, revision, f"{hour}.{revision}", 0, 0, [], 0)


def withdrawn(hour: int, revision: int = 1) -> SalesReportWithdrawn:
    return SalesReportWithdrawn(hour, revision, "test", 0)


@st.composite
def histories(draw: st.DrawFn) -> list[ReportEvent]:
    """Ingests, corrections and withdrawals of few hours, in any order that can be."""
    made: list[ReportEvent] = []
    revisions: dict[int, int] = {}
    in_force: set[int] = set()
    for _ in range(draw(st.integers(0, 14))):
        if in_force and draw(st.integers(0, 3)) == 0:
            hour = draw(st.sampled_from(sorted(in_force)))
            in_force.discard(hour)
            made.append(withdrawn(hour, revisions[hour]))
            continue
        hour = draw(st.integers(100, 107))
        revisions[hour] = revisions.get(hour, 0) + 1
        in_force.add(hour)
        made.append(ingested(hour, revisions[hour]))
    return made


class Naive:
    """The rules, word for word."""

    def __init__(self, made: list[ReportEvent]) -> None:
        self.made = made

    def in_force(self, version: int) -> dict[int, ReportEvent]:
        last = {event.hour: event for event in self.made[: version + 1]}
        return {h: event for h, event in last.items() if isinstance(event, SalesReportIngested)}

    def newest(self, version: int) -> int | None:
        return max(self.in_force(version), default=None)

    def last_as_newest(self, hour: int, upto: int) -> int | None:
        return max((v for v in range(upto + 1) if self.newest(v) == hour), default=None)

    def as_of_hour(self, version: int) -> int | None:
        """The last hour that was the newest."""
        ever = [hour for v in range(version + 1) if (hour := self.newest(v)) is not None]
        return ever[-1] if ever else None

    def previous_version(self, version: int) -> int | None:
        newest = self.newest(version)
        if newest is None:
            return None
        for hour in range(newest - 1, 99, -1):
            if hour in self.in_force(version):
                last = self.last_as_newest(hour, version)
                if last is not None:
                    return last
        return None

    def published_as_of(self, instant: datetime, upto: int) -> int | None:
        for hour in range(110, 99, -1):
            if end_of(hour) <= instant:
                last = self.last_as_newest(hour, upto)
                if last is not None:
                    return last
        return None


@settings(max_examples=200, deadline=None)
@given(histories())
def test_every_version_says_what_the_rules_say(made: list[ReportEvent]) -> None:
    history, naive = ReportHistory(made), Naive(made)
    assert history.version == len(made) - 1
    for version in range(len(made)):
        assert history.event(version) == made[version]
        assert history.in_force_at(version) == naive.in_force(version)
        assert history.newest_at(version) == naive.newest(version)
        assert history.as_of_hour_at(version) == naive.as_of_hour(version)
        assert history.previous_version(version) == naive.previous_version(version)


@settings(max_examples=200, deadline=None)
@given(histories(), st.integers(99, 110), st.integers(-1, 1))
def test_history_answers_with_the_nearest_hour_that_had_ended(
    made: list[ReportEvent], hour: int, seconds: int
) -> None:
    history, naive = ReportHistory(made), Naive(made)
    instant = end_of(hour) + timedelta(seconds=seconds)
    for upto in range(len(made)):
        expected = naive.published_as_of(instant, upto)
        assert history.version_published_as_of(instant, upto) == expected
        between = history.versions_published_between(hour - 2, hour, upto)
        assert between == [
            (each, last)
            for each in range(hour - 2, hour + 1)
            if (last := naive.last_as_newest(each, upto)) is not None
        ]


@given(histories(), st.integers(0, 14))
def test_a_history_grown_in_steps_is_the_same(made: list[ReportEvent], at: int) -> None:
    whole, grown = ReportHistory(made), ReportHistory(made[:at])
    grown.extend(made[at:])
    assert grown.in_force == whole.in_force
    for version in range(len(made)):
        assert grown.previous_version(version) == whole.previous_version(version)
        assert grown.as_of_hour_at(version) == whole.as_of_hour_at(version)


@given(histories(), st.integers(1, 9))
def test_missing_hours_are_the_newest_between_the_first_and_the_newest_report(
    made: list[ReportEvent], limit: int
) -> None:
    covered = set(Naive(made).in_force(len(made) - 1))
    holes = [h for h in range(min(covered, default=0), max(covered, default=0)) if h not in covered]
    history = ReportHistory(made)
    assert history.missing_hours() == holes
    assert history.missing_hours(limit) == holes[-limit:]


@given(histories())
def test_revisions_and_withdrawals_are_remembered(made: list[ReportEvent]) -> None:
    history = ReportHistory(made)
    for hour in range(99, 109):
        mine = [event for event in made if event.hour == hour]
        assert history.revisions(hour) == [e for e in mine if isinstance(e, SalesReportIngested)]
        last = mine[-1] if mine else None
        assert history.is_withdrawn(hour) == isinstance(last, SalesReportWithdrawn)
    assert history.ingested_between(-1, history.version) == [
        event for event in made if isinstance(event, SalesReportIngested)
    ]


def test_a_late_report_never_was_the_newest_so_no_rank_compares_with_it() -> None:
    history = ReportHistory([ingested(100), ingested(103), ingested(102)])
    assert history.previous_version(2) == 0
    assert history.version_published_as_of(end_of(102), 2) == 0


def test_a_late_report_of_the_hour_before_leaves_the_previous_ranks_frozen() -> None:
    history = ReportHistory([ingested(100), ingested(101), ingested(100, 2)])
    assert history.previous_version(2) == 0


def test_a_withdrawn_newest_hour_gives_the_one_before_its_previous_ranks_back() -> None:
    history = ReportHistory([ingested(100), ingested(101), ingested(102), withdrawn(102)])
    assert history.newest_at(3) == 101
    assert history.previous_version(3) == history.previous_version(1) == 0


def test_when_no_hour_is_left_as_of_stays() -> None:
    history = ReportHistory([ingested(100), withdrawn(100)])
    assert history.newest_at(1) is None
    assert history.as_of_hour_at(1) == 100
    assert history.previous_version(1) is None


def test_nothing_is_published_before_the_first_report_ended() -> None:
    history = ReportHistory([ingested(100)])
    assert history.version_published_as_of(end_of(100) - timedelta(microseconds=1), 0) is None
    assert history.version_published_as_of(datetime(2200, 1, 1, tzinfo=UTC), 0) == 0


def test_a_history_reads_only_what_it_lacks() -> None:
    store = MemoryEventStore()
    history = read_report_history(store)
    assert history.version == NO_STREAM
    store.append(REPORTS_STREAM, [ingested(100), ingested(101)], NO_STREAM)
    catch_up(history, store)
    catch_up(history, store)
    assert history.version == 1
    store.append(REPORTS_STREAM, [withdrawn(101)], 1)
    catch_up(history, store)
    assert (history.version, history.newest_at(2)) == (2, 100)


@pytest.mark.parametrize("hours", [[100], [100, 101], []])
def test_where_no_hour_is_missing_none_is_told(hours: list[int]) -> None:
    assert ReportHistory([ingested(hour) for hour in hours]).missing_hours() == []


def test_an_event_that_is_no_reports_is_told_and_never_left_out() -> None:
    store = MemoryEventStore()
    store.append(REPORTS_STREAM, [ingested(100), StoreCreated("id", 64), ingested(101)], NO_STREAM)
    with pytest.raises(EventStoreCorrupted, match="holds a StoreCreated at version 1, which is no"):
        read_report_history(store)


def test_two_years_of_reports_are_read_at_once() -> None:
    made: list[ReportEvent] = [ingested(hour) for hour in range(17_520)]
    began = time.process_time()
    history = ReportHistory(made)
    previous = [history.previous_version(history.version) for _ in range(100)]
    seconds = time.process_time() - began
    assert (history.newest_at(17_519), set(previous)) == (17_519, {17_518})
    # By looking for the newest among all hours at each event it was more than two seconds.
    assert seconds < 0.5
