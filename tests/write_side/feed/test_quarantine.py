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
from write_side.feed.quarantine import KeptRevision, Quarantine
from write_side.feed.record_splitter import REJECTED_SCHEMA

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


def close(quarantine: Quarantine, *contents: list[Row], stamp: str = STAMP) -> list[KeptRevision]:
    """Keep the rows of one revision after the other, each settled once it closed."""
    revisions: list[KeptRevision] = []
    for number, rows in enumerate(contents, 1):
        quarantine.keep(stamp, frame(rows), number, alone=not revisions)
        revisions.append(KeptRevision(number, number, len(rows)))
        quarantine.settle(stamp, revisions)
    return revisions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


def test_rejected_rows_stand_in_a_file_of_their_report(folder: Path) -> None:
    close(Quarantine(folder), FIRST)
    path = folder / FILE
    assert read(path) == FIRST
    assert names(folder) == [FILE]


def test_raw_lines_hold_customers_so_only_the_owner_may_read_them(folder: Path) -> None:
    path = Quarantine(folder).keep(STAMP, frame(FIRST), 1, alone=True)
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
    path = Quarantine(tmp_path_factory.mktemp("q")).keep(STAMP, frame(rows), 1, alone=True)
    assert path is not None
    assert read(path) == rows


def test_there_is_no_file_where_nothing_is_rejected(folder: Path) -> None:
    assert Quarantine(folder).keep(STAMP, frame(NONE), 1, alone=True) is None
    assert not folder.exists()


def test_rows_are_there_before_their_report_closes(folder: Path) -> None:
    quarantine = Quarantine(folder)
    assert quarantine.keep(STAMP, frame(FIRST), 1, alone=True) == folder / FILE
    assert read(folder / FILE) == FIRST
    quarantine.settle(STAMP, [KeptRevision(1, 1, 1)])
    assert names(folder) == [FILE]


def test_the_same_rows_again_change_nothing(folder: Path) -> None:
    quarantine = Quarantine(folder)
    revisions = close(quarantine, FIRST)
    before = (folder / FILE).stat()
    quarantine.keep(STAMP, frame(FIRST), 1, alone=False)
    quarantine.keep(STAMP, frame(FIRST), 2, alone=False)
    quarantine.settle(STAMP, revisions)
    assert (folder / FILE).stat() == before
    assert names(folder) == [FILE]


@pytest.mark.parametrize("rows", [SECOND, NONE])
def test_rows_of_an_earlier_revision_stay_beside(folder: Path, rows: list[Row]) -> None:
    quarantine = Quarantine(folder)
    close(quarantine, FIRST)
    written = (folder / FILE).stat().st_mtime_ns
    quarantine.keep(STAMP, frame(rows), 2, alone=False)
    assert read(folder / FILE) == FIRST
    revisions = [KeptRevision(1, 1, 1), KeptRevision(2, 2, len(rows))]
    for _ in range(2):
        quarantine.settle(STAMP, revisions)
        beside = folder / f"SalesReport-{STAMP}.revision-1.rejected.csv"
        assert read(beside) == FIRST
        assert beside.stat().st_mtime_ns == written
        assert names(folder) == ([FILE, beside.name] if rows else [beside.name])
    if rows:
        assert read(folder / FILE) == rows


def test_no_revision_takes_the_place_of_another(folder: Path) -> None:
    close(Quarantine(folder), *([(line, "reason", "raw")] for line in range(1, 5)))
    kept = [read(path)[0][0] for path in sorted(folder.iterdir()) if "revision" in path.name]
    assert kept == [1, 2, 3]
    assert read(folder / FILE)[0][0] == 4


def test_a_writer_that_died_between_two_steps_is_made_up_for(folder: Path) -> None:
    quarantine = Quarantine(folder)
    close(quarantine, FIRST)
    quarantine.keep(STAMP, frame(SECOND), 2, alone=False)
    beside = folder / f"SalesReport-{STAMP}.revision-1.rejected.csv"
    beside.hardlink_to(folder / FILE)
    quarantine.settle(STAMP, [KeptRevision(1, 1, 1), KeptRevision(2, 2, 1)])
    assert names(folder) == [FILE, beside.name]
    assert (read(beside), read(folder / FILE)) == (FIRST, SECOND)


def test_revisions_that_were_never_settled_all_get_their_names(folder: Path) -> None:
    quarantine = Quarantine(folder)
    contents: list[list[Row]] = [[(line, "reason", "raw")] for line in (1, 2, 3)]
    for attempt, rows in enumerate(contents, 1):
        quarantine.keep(STAMP, frame(rows), attempt, alone=attempt == 1)
    quarantine.settle(STAMP, [KeptRevision(number, number, 1) for number in (1, 2, 3)])
    found = {path.name: read(path)[0][0] for path in folder.iterdir()}
    assert found == {
        FILE: 3,
        f"SalesReport-{STAMP}.revision-1.rejected.csv": 1,
        f"SalesReport-{STAMP}.revision-2.rejected.csv": 2,
    }


@pytest.mark.parametrize("won", [SECOND, NONE])
def test_rows_of_an_attempt_that_lost_leave_the_reports_name_to_the_winner(
    folder: Path, won: list[Row]
) -> None:
    quarantine = Quarantine(folder)
    quarantine.keep(STAMP, frame(FIRST), 1, alone=True)
    quarantine.keep(STAMP, frame(won), 2, alone=True)
    for _ in range(2):
        quarantine.settle(STAMP, [KeptRevision(1, 2, len(won))])
        lost = folder / f"SalesReport-{STAMP}.attempt-1.rejected.csv"
        assert read(lost) == FIRST
        assert names(folder) == ([lost.name, FILE] if won else [lost.name])
    if won:
        assert read(folder / FILE) == won


def test_a_content_that_comes_back_takes_the_reports_name_again(folder: Path) -> None:
    quarantine = Quarantine(folder)
    revisions = close(quarantine, FIRST, SECOND)
    quarantine.keep(STAMP, frame(FIRST), 1, alone=False)
    quarantine.settle(STAMP, [*revisions, KeptRevision(3, 1, 1)])
    assert read(folder / FILE) == FIRST
    assert read(folder / f"SalesReport-{STAMP}.revision-2.rejected.csv") == SECOND


def keep_often(folder: Path, rows: list[Row], attempt: int, times: int) -> None:
    for _ in range(times):
        Quarantine(folder).keep(STAMP, frame(rows), attempt, alone=True)


@pytest.mark.parametrize("other", [FIRST, SECOND])
def test_processes_that_write_at_once_lose_nothing(folder: Path, other: list[Row]) -> None:
    context = multiprocessing.get_context("spawn")
    times = 1 if other == SECOND else 20
    writers = [
        context.Process(target=keep_often, args=(folder, rows, attempt, times))
        for attempt, rows in ((1, FIRST), (1 if other == FIRST else 2, other))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    Quarantine(folder).settle(STAMP, [KeptRevision(1, 1, 1)])
    assert read(folder / FILE) == FIRST
    found = sorted(read(path) for path in folder.iterdir())
    assert found == ([FIRST] if other == FIRST else sorted([FIRST, SECOND]))


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    quarantine = Quarantine(tmp_path / "file" / "quarantine")
    with pytest.raises(QuarantineUnavailable, match=r"file/quarantine .*\. Make room"):
        quarantine.keep(STAMP, frame(FIRST), 1, alone=True)
    with pytest.raises(QuarantineUnavailable):
        Quarantine(tmp_path / "file").purge(timedelta(days=30), datetime.now(UTC))


def test_a_disk_without_room_is_unavailable_and_leaves_what_stood_there(folder: Path) -> None:
    quarantine = Quarantine(folder)
    close(quarantine, FIRST)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(QuarantineUnavailable, match=str(folder)):
            quarantine.keep(STAMP, frame([(1, "reason", "x" * (2 << 20))]), 2, alone=False)
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
        f"SalesReport-{STAMP}.attempt-2.rejected.csv": 31,
        f".SalesReport-{STAMP}.attempt-2.rejected.x1.tmp": 31,
        f".SalesReport-{STAMP}.rejected.x1.tmp": 31,
        "SalesReport-2026112508.rejected.csv": 29,
        "notes.txt": 99,
    }
    for name, days in ages.items():
        (folder / name).touch()
        time = (now - timedelta(days=days)).timestamp()
        os.utime(folder / name, (time, time))
    assert Quarantine(folder).purge(timedelta(days=30), now) == 3
    assert names(folder) == ["SalesReport-2026112508.rejected.csv", "notes.txt"]


def test_a_quarantine_that_was_never_needed_has_nothing_to_purge(folder: Path) -> None:
    assert Quarantine(folder).purge(timedelta(days=30), datetime.now(UTC)) == 0
