"""Windows: which reports count, and that every way from one version to another is the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.ranking_lists import WINDOWS, RankingWindow
from projections.windows import WINDOW_HOURS, attempts_in, window_change, window_changes
from write_side.events import ReportEvent, SalesReportIngested, SalesReportWithdrawn
from write_side.report_history import Attempt, ReportHistory

_steps = st.sampled_from([0, 1, 1, 2, 22, 23, 24, 25, 167, 168, 719, 720, 721, -1, -23, -168])


@st.composite
def histories(draw: st.DrawFn) -> ReportHistory:
    """Reports on time, late, corrected, withdrawn and reinstated."""
    made: list[ReportEvent] = []
    revisions: dict[int, list[int]] = {}
    in_force: set[int] = set()
    hour = 1_000
    for _ in range(draw(st.integers(1, 10))):
        if in_force and draw(st.integers(0, 3)) == 0:
            gone = draw(st.sampled_from(sorted(in_force)))
            in_force.discard(gone)
            made.append(SalesReportWithdrawn(gone, len(revisions[gone]), "test", 0))
            continue
        hour += draw(_steps)
        attempts = revisions.setdefault(hour, [])
        # A withdrawn hour that is reinstated has the attempt that it had.
        again = attempts and hour not in in_force and draw(st.booleans())
        attempts.append(attempts[-1] if again else max(attempts, default=0) + 1)
        in_force.add(hour)
        made.append(SalesReportIngested(hour, attempts[-1], len(attempts), "", 0, 0, [], 0))
    return ReportHistory(made)


@settings(max_examples=300)
@given(histories(), st.data())
def test_any_base_leads_to_what_is_summed_anew(history: ReportHistory, data: st.DataObject) -> None:
    version = data.draw(st.integers(0, history.version))
    base = data.draw(st.integers(0, version))
    for window in WINDOWS:
        anew = window_change(history, window, None, version)
        assert anew.anew
        change = window_change(history, window, base, version)
        reached: dict[Attempt, int] = {} if change.anew else attempts_in(history, window, base)
        for attempt, weight in change.weights.items():
            reached[attempt] = reached.get(attempt, 0) + weight
            assert weight in (-1, 0, 1)
        counted = {attempt: weight for attempt, weight in reached.items() if weight}
        assert counted == {attempt: weight for attempt, weight in anew.weights.items() if weight}
        if window is RankingWindow.ALL_TIME:
            assert not change.anew
            assert reached.keys() == anew.weights.keys()


@given(histories(), st.data())
def test_a_window_spans_clock_hours_that_end_with_the_newest(
    history: ReportHistory, data: st.DataObject
) -> None:
    version = data.draw(st.integers(0, history.version))
    newest = history.newest_at(version)
    in_force = {hour: event.attempt for hour, event in history.in_force_at(version).items()}
    for window, hours in WINDOW_HOURS.items():
        expected = {
            Attempt(hour, attempt): 1
            for hour, attempt in in_force.items()
            if newest is not None and newest - hours < hour
        }
        assert attempts_in(history, window, version) == expected
    everything = attempts_in(history, RankingWindow.ALL_TIME, version)
    assert {a for a, weight in everything.items() if weight} == {
        Attempt(hour, attempt) for hour, attempt in in_force.items()
    }
    assert set(everything) == {
        Attempt(event.hour, event.attempt) for event in history.ingested_between(-1, version)
    }


@given(histories())
def test_from_a_version_to_itself_nothing_changes(history: ReportHistory) -> None:
    for window, change in window_changes(history, history.version, history.version).items():
        if change.anew:
            assert change.weights == attempts_in(history, window, history.version)
        else:
            assert change.weights == {}


@pytest.mark.parametrize(("window", "hours"), WINDOW_HOURS.items())
def test_the_oldest_hour_leaves_a_window_when_a_new_one_comes(
    window: RankingWindow, hours: int
) -> None:
    reports = [SalesReportIngested(n, 1, 1, "", 0, 0, [], 0) for n in range(hours + 1)]
    history = ReportHistory(reports)
    change = window_change(history, window, hours - 1, hours)
    if change.anew:
        assert change.weights == {Attempt(n, 1): 1 for n in range(1, hours + 1)}
    else:
        assert change.weights == {Attempt(0, 1): -1, Attempt(hours, 1): 1}
