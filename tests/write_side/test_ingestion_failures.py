"""Ingesting processes that are killed, starved of disk, or run at once, on one SQLite store."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.write_side.ingest_process import KEY
from tests.write_side.reports import (
    HOUR,
    closed,
    large_content,
    named,
    stored_sales,
    stored_totals,
)
from write_side.event_store import EventStore
from write_side.events import REPORTS_STREAM, report_stream
from write_side.feed.report_parser import parse_report
from write_side.hours import format_stamp
from write_side.sale_frames import total_sales
from write_side.sqlite_event_store import SqliteEventStore

ANOTHER_PROCESS = str(Path(__file__).with_name("ingest_process.py"))
REPOSITORY = Path(__file__).parents[2]
MOST_ATTEMPTS = 40


class Shop:
    """A folder with reports, a store, and processes that ingest."""

    def __init__(self, folder: Path) -> None:
        self.feed = folder / "feed"
        self.feed.mkdir()
        self.events = folder / "events.db"
        self.quarantine = folder / "quarantine"
        SqliteEventStore(self.events).close()

    def write(self, data: bytes, hour: int = HOUR) -> Path:
        path = self.feed / named(hour).name
        path.write_bytes(data)
        return path

    def start(self, *limit: str) -> subprocess.Popen[str]:
        """Start a process, and wait until it is ready to begin."""
        paths = (str(self.events), str(self.feed), str(self.quarantine))
        process = subprocess.Popen(
            [sys.executable, ANOTHER_PROCESS, *paths, *limit],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def run(self, *limit: str) -> tuple[int, list[str]]:
        """Let a process ingest, and return its exit and what it said."""
        process = self.start(*limit)
        said, _ = process.communicate("go\n", timeout=60)
        return process.returncode, said.splitlines()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def store(shop: Shop) -> Iterator[EventStore]:
    store = SqliteEventStore(shop.events)
    yield store
    store.close()


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def assert_stored_once(store: EventStore, hour: int, data: bytes) -> None:
    (report,) = (report for report in closed(store) if report.hour == hour)
    sales = parse_report(data, "report", KEY).sales
    assert_frame_equal(stored_sales(store, report), sales)
    assert_frame_equal(stored_totals(store, report), total_sales(sales))
    assert (report.rows, report.rejected_rows) == (sales.height, 3)


def test_a_report_survives_kills_at_any_instant(shop: Shop, store: EventStore) -> None:
    data = large_content(100_000)
    shop.write(data)
    instants = random.Random(11)
    kills = 0
    for attempt in range(MOST_ATTEMPTS):
        process = shop.start()
        begin(process)
        try:
            # Ever longer, so that a slow machine comes to an end, too.
            process.wait(instants.uniform(0.005, 0.3) * (1 + attempt / 4))
        except subprocess.TimeoutExpired:
            kills += 1
        process.kill()
        said, _ = process.communicate()
        assert kills == attempt + 1 or said == "ingested 100000\n"
        if store.last_version(REPORTS_STREAM) >= 0:
            break
    assert kills >= 1
    assert_stored_once(store, HOUR, data)
    assert store.last_version(report_stream(format_stamp(HOUR))) == 0
    quarantined = pl.read_csv(shop.quarantine / f"SalesReport-{format_stamp(HOUR)}.rejected.csv")
    assert quarantined.height == 3
    assert shop.run() == (0, ["unchanged 100000"])


@pytest.mark.parametrize("largest_file", [40_000, 400_000])
def test_a_full_disk_is_one_clear_error_and_the_report_comes_later(
    shop: Shop, store: EventStore, largest_file: int
) -> None:
    data = large_content(60_000)
    shop.write(data)
    status, said = shop.run(str(largest_file))
    assert status == 1
    (error,) = said
    assert error.startswith("EVENT_STORE_UNAVAILABLE ")
    assert "events.db" in error
    assert closed(store) == []
    assert shop.run() == (0, ["ingested 60000"])
    assert_stored_once(store, HOUR, data)


def test_rejected_rows_without_room_are_told_and_the_report_comes_later(
    shop: Shop, store: EventStore
) -> None:
    bad = b"".join(b"%d,p1,c1,,1,-1.00\n" % n for n in range(40_000))
    shop.write(large_content(10) + bad)
    status, said = shop.run("900000")
    assert status == 1
    (error,) = said
    assert error.startswith("QUARANTINE_UNAVAILABLE rejected rows cannot be kept")
    assert [path.name for path in shop.quarantine.iterdir()] == []
    assert closed(store) == []
    assert shop.run() == (0, ["ingested 10"])
    assert closed(store)[0].rejected_rows == 40_003


def test_processes_that_ingest_at_once_store_each_report_once(
    shop: Shop, store: EventStore
) -> None:
    contents = {HOUR + n: large_content(8_000 + n) for n in range(3)}
    for hour, data in contents.items():
        shop.write(data, hour)
    processes = [shop.start() for _ in range(3)]
    for process in processes:
        begin(process)
    said = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    results = Counter(line for lines in said for line in lines)
    for hour, data in contents.items():
        assert results[f"ingested {8_000 + hour - HOUR}"] == 1
        assert results[f"unchanged {8_000 + hour - HOUR}"] == 2
        assert_stored_once(store, hour, data)
        assert store.last_version(report_stream(format_stamp(hour))) == 0
    assert store.last_version(REPORTS_STREAM) == 2
