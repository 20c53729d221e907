from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from topsellers import demo_feed
from topsellers.demo_feed import FIRST_HOURS, HOURS_BACK, KEPT_FILES, DemoFeed
from write_side.feed.report_name import parse_report_name
from write_side.hours import hour_of

NOW = datetime(2026, 11, 25, 8, 20, tzinfo=UTC)
PRESENT = hour_of(NOW)


def hours(folder: Path) -> list[int]:
    reports = [parse_report_name(path.name) for path in folder.iterdir()]
    return sorted(report.hour for report in reports if report is not None)


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_feed, "HOUR_SECONDS", 0.0)


def test_a_demo_begins_months_ago_with_more_than_a_day(tmp_path: Path) -> None:
    feed = DemoFeed(tmp_path / "feed", None, lambda: NOW)
    feed.begin()
    first = PRESENT - HOURS_BACK
    assert hours(tmp_path / "feed") == list(range(first, first + FIRST_HOURS))
    feed.look()
    assert hours(tmp_path / "feed")[-1] == first + FIRST_HOURS


def test_old_files_go(tmp_path: Path) -> None:
    feed = DemoFeed(tmp_path, None, lambda: NOW)
    feed.begin()
    for _ in range(KEPT_FILES):
        feed.look()
    assert len(hours(tmp_path)) == KEPT_FILES


def test_no_hour_lies_in_the_future(tmp_path: Path) -> None:
    clock = [NOW]
    feed = DemoFeed(tmp_path, PRESENT - 4, lambda: clock[0])
    feed.begin()
    assert hours(tmp_path) == [PRESENT - 3, PRESENT - 2, PRESENT - 1]
    clock[0] += timedelta(hours=1)
    feed.look()
    feed.look()
    assert hours(tmp_path)[-1] == PRESENT
