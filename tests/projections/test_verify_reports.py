"""What SQL makes of the report events is what the report history makes of them."""

from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.ranking_lists import WINDOWS, RankingWindow
from projections.verify_reports import ReportEvents, counts_in
from write_side.events import ReportEvent, SalesReportIngested, SalesReportWithdrawn
from write_side.report_history import ReportHistory

HOURS = {"hour": 1, "day": 24, "week": 168, "month": 720}


@st.composite
def report_events(draw: st.DrawFn) -> list[ReportEvent]:
    """Ingests, corrections, withdrawals, and the same attempt once more after a withdrawal."""
    events: list[ReportEvent] = []
    attempts: dict[int, int] = {}
    in_force: set[int] = set()
    for hour in draw(st.lists(st.sampled_from([0, 1, 2, 3, 25, 26, 200, 900]), min_size=1)):
        if hour in in_force and draw(st.booleans()):
            events.append(SalesReportWithdrawn(hour, 1, "test", 0))
            in_force.discard(hour)
            continue
        if hour in in_force or hour not in attempts or draw(st.booleans()):
            attempts[hour] = attempts.get(hour, 0) + 1
        in_force.add(hour)
        attempt = attempts[hour]
        events.append(SalesReportIngested(hour, attempt, len(events), "x", 2, 0, [attempt], 0))
    return events


@settings(max_examples=60, deadline=None)
@given(report_events(), st.data())
def test_what_counts_at_a_version_follows_from_the_events(
    done: list[ReportEvent], data: st.DataObject
) -> None:
    history = ReportHistory(done)
    version = data.draw(st.integers(0, len(done) - 1))
    with closing(ReportEvents()) as events:
        events.extend(done[: len(done) // 2])
        events.extend(done[len(done) // 2 :])
        assert events.last_version == history.version
        at = events.at(version)
    assert at.hour == history.newest_at(version)
    assert at.as_of_hour == history.as_of_hour_at(version)
    assert at.previous_version == history.previous_version(version)
    counted = {(one.hour, one.attempt): one for one in at.attempts}
    ingested = history.ingested_between(-1, version)
    assert counted.keys() == {(event.hour, event.attempt) for event in ingested}
    assert all(one.partitions == {one.attempt} for one in at.attempts)
    for window in WINDOWS:
        for before in (False, True):
            bit = counts_in(window, before=before)
            found = {key for key, one in counted.items() if one.mask & bit}
            assert found == _in_window(history, at.previous_version if before else version, window)


def _in_window(
    history: ReportHistory, version: int | None, window: RankingWindow
) -> set[tuple[int, int]]:
    if version is None:
        return set()
    newest = history.newest_at(version)
    hours = HOURS.get(window.value)
    return {
        (hour, event.attempt)
        for hour, event in history.in_force_at(version).items()
        if hours is None or (newest is not None and hour > newest - hours)
    }
