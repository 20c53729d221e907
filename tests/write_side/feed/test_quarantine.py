import csv
import multiprocessing
import os
import resource
import stat
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from write_side.errors import QuarantineUnavailable
from write_side.feed.quarantine import Quarantine
from write_side.feed.report_parser import REJECTED_SCHEMA

STAMP = "2026112507"
FILE = f"SalesReport-{STAMP}.rejected.csv"
Row = tuple[int, str, str]
FIRST: list[Row] = [(3, 'qty "x" is not a whole number', "a,b,x")]
SECOND: list[Row] = [(4, "it is not UTF-8", r"\xff")]
NONE: list[Row] = []


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=REJECTED_SCHEMA, orient="row")


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header == ["line", "reason", "raw"]
    return [(int(line), reason, raw) for line, reason, raw in rows]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


def test_rejected_rows_stand_in_a_file_of_their_report(folder: Path) -> None:
    path = Quarantine(folder).keep(STAMP, frame(FIRST))
    assert path == folder / FILE
    assert read(path) == FIRST
    assert names(folder) == [FILE]


def test_raw_lines_hold_customers_so_only_the_owner_may_read_them(folder: Path) -> None:
    path = Quarantine(folder).keep(STAMP, frame(FIRST))
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2**32 - 1),
            st.text(max_size=20),
            st.text('a,"\n\r=é\0 ', max_size=20),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_raw_lines_are_kept_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    path = Quarantine(tmp_path_factory.mktemp("q")).keep(STAMP, frame(rows))
    assert path is not None
    assert read(path) == rows


def test_there_is_no_file_where_nothing_is_rejected(folder: Path) -> None:
    assert Quarantine(folder).keep(STAMP, frame(NONE)) is None
    assert not folder.exists()


def test_the_same_rows_again_change_nothing(folder: Path) -> None:
    quarantine = Quarantine(folder)
    quarantine.keep(STAMP, frame(FIRST))
    before = (folder / FILE).stat()
    quarantine.keep(STAMP, frame(FIRST), earlier_revision=1)
    assert (folder / FILE).stat() == before
    assert names(folder) == [FILE]


@pytest.mark.parametrize("rows", [SECOND, NONE])
def test_rows_of_an_earlier_revision_stay_beside(folder: Path, rows: list[Row]) -> None:
    quarantine = Quarantine(folder)
    quarantine.keep(STAMP, frame(FIRST))
    written = (folder / FILE).stat().st_mtime_ns
    quarantine.keep(STAMP, frame(rows), earlier_revision=3)
    beside = folder / f"SalesReport-{STAMP}.revision-3.rejected.csv"
    assert read(beside) == FIRST
    assert beside.stat().st_mtime_ns == written
    assert (folder / FILE).exists() == bool(rows)
    if rows:
        assert read(folder / FILE) == rows


def test_no_revision_takes_the_place_of_another(folder: Path) -> None:
    quarantine = Quarantine(folder)
    for line in range(1, 5):
        quarantine.keep(STAMP, frame([(line, "reason", "raw")]), earlier_revision=1)
    kept = [read(path)[0][0] for path in sorted(folder.iterdir()) if "revision" in path.name]
    assert kept == [1, 2, 3]
    assert read(folder / FILE)[0][0] == 4


def test_a_writer_that_died_between_two_steps_is_made_up_for(folder: Path) -> None:
    quarantine = Quarantine(folder)
    quarantine.keep(STAMP, frame(FIRST))
    beside = folder / f"SalesReport-{STAMP}.revision-1.rejected.csv"
    beside.hardlink_to(folder / FILE)
    quarantine.keep(STAMP, frame(SECOND), earlier_revision=1)
    assert names(folder) == [FILE, beside.name]
    assert (read(beside), read(folder / FILE)) == (FIRST, SECOND)


def keep_often(folder: Path, rows: list[Row], times: int) -> None:
    for _ in range(times):
        Quarantine(folder).keep(STAMP, frame(rows))


@pytest.mark.parametrize("other", [FIRST, SECOND])
def test_processes_that_write_at_once_lose_nothing(folder: Path, other: list[Row]) -> None:
    context = multiprocessing.get_context("spawn")
    times = 1 if other == SECOND else 20
    writers = [
        context.Process(target=keep_often, args=(folder, rows, times)) for rows in (FIRST, other)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    found = sorted(read(path) for path in folder.iterdir())
    assert found == ([FIRST] if other == FIRST else sorted([FIRST, SECOND]))


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    quarantine = Quarantine(tmp_path / "file" / "quarantine")
    with pytest.raises(QuarantineUnavailable, match=r"file/quarantine .*\. Make room"):
        quarantine.keep(STAMP, frame(FIRST))
    with pytest.raises(QuarantineUnavailable):
        Quarantine(tmp_path / "file").purge(timedelta(days=30), datetime.now(UTC))


def test_a_disk_without_room_is_unavailable_and_leaves_what_stood_there(folder: Path) -> None:
    quarantine = Quarantine(folder)
    quarantine.keep(STAMP, frame(FIRST))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(QuarantineUnavailable, match=str(folder)):
            quarantine.keep(STAMP, frame([(1, "reason", "x" * (2 << 20))]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read(folder / FILE) == FIRST
    assert not [name for name in names(folder) if name.endswith(".tmp")]


def test_files_are_purged_by_their_age_and_no_others(folder: Path) -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    folder.mkdir()
    ages = {
        f"SalesReport-{STAMP}.rejected.csv": 31,
        f"SalesReport-{STAMP}.revision-2.rejected.csv": 31,
        f".SalesReport-{STAMP}.rejected.x1.tmp": 31,
        "SalesReport-2026112508.rejected.csv": 29,
        "notes.txt": 99,
    }
    for name, days in ages.items():
        (folder / name).touch()
        time = (now - timedelta(days=days)).timestamp()
        os.utime(folder / name, (time, time))
    assert Quarantine(folder).purge(timedelta(days=30), now) == 2
    assert names(folder) == ["SalesReport-2026112508.rejected.csv", "notes.txt"]


def test_a_quarantine_that_was_never_needed_has_nothing_to_purge(folder: Path) -> None:
    assert Quarantine(folder).purge(timedelta(days=30), datetime.now(UTC)) == 0
