"""Which reports count in which window, and what changes there from one version to another."""

from dataclasses import dataclass
from typing import Final

from projections.ranking_lists import WINDOWS, RankingWindow
from write_side.report_history import Attempt, ReportHistory

WINDOW_HOURS: Final = {
    RankingWindow.HOUR: 1,
    RankingWindow.DAY: 24,
    RankingWindow.WEEK: 168,
    RankingWindow.MONTH: 720,
}
"""How many clock hours, ending with the newest closed one, a window spans."""


@dataclass(frozen=True)
class WindowChange:
    """How a window's totals at one version follow from those at another.

    Each attempt's totals are added `weights[attempt]` times: 1, -1, or 0 where its products only
    become known. `anew` says that this makes the totals from nothing, without the other version.
    """

    weights: dict[Attempt, int]
    anew: bool


def attempts_in(history: ReportHistory, window: RankingWindow, version: int) -> dict[Attempt, int]:
    """Return the attempts that a window holds at a version: 1 where it counts, 0 where known only.

    ALL_TIME also knows the products of replaced and withdrawn reports, which stay known.
    """
    in_force = history.in_force_at(version)
    newest = history.newest_at(version)
    if window is RankingWindow.ALL_TIME:
        weights = {
            Attempt(event.hour, event.attempt): 0 for event in history.ingested_between(-1, version)
        }
        weights.update({Attempt(hour, event.attempt): 1 for hour, event in in_force.items()})
        return weights
    if newest is None:
        return {}
    first = newest - WINDOW_HOURS[window] + 1
    return {
        Attempt(hour, event.attempt): 1
        for hour, event in in_force.items()
        if first <= hour <= newest
    }


def window_change(
    history: ReportHistory, window: RankingWindow, base: int | None, version: int
) -> WindowChange:
    """Return what takes a window from version `base` (None: from nothing) to `version`."""
    after = attempts_in(history, window, version)
    if base is None:
        return WindowChange(after, anew=True)
    before = attempts_in(history, window, base)
    weights = {
        attempt: after.get(attempt, 0) - before.get(attempt, 0)
        for attempt in before.keys() | after.keys()
        if attempt not in before or after.get(attempt, 0) != before[attempt]
    }
    if window is not RankingWindow.ALL_TIME and len(weights) >= len(after):
        return WindowChange(after, anew=True)
    return WindowChange(weights, anew=False)


def window_changes(
    history: ReportHistory, base: int | None, version: int
) -> dict[RankingWindow, WindowChange]:
    """Return what takes every window from version `base` to `version`."""
    return {window: window_change(history, window, base, version) for window in WINDOWS}
