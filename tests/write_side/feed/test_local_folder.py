import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from write_side.errors import (
    FeedUnavailable,
    ReportChanging,
    ReportNameInvalid,
    ReportTooLarge,
)
from write_side.feed.completeness import Completeness
from write_side.feed.local_folder import LocalFolder, NamedFiles

SETTLES = Completeness(settle_seconds=2)
MARKED = Completeness(marker=".done")
NAME = "SalesReport-2026112507.csv"


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def drop(tmp_path: Path, clock: Clock) -> Callable[..., Path]:
    """Write a file that last changed some seconds ago."""

    def write(name: str, data: bytes = b"x", age: float = 100.0) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        os.utime(path, (clock.now - age, clock.now - age))
        return path

    return write


def test_reports_are_listed_in_the_order_of_their_hours(
    tmp_path: Path, clock: Clock, drop: Callable[..., Path]
) -> None:
    for stamp in ("2026112510", "2026112509", "2025123123"):
        drop(f"SalesReport-{stamp}.csv.gz")
    listing = LocalFolder(tmp_path, SETTLES, clock).list()
    assert [waiting.report.stamp for waiting in listing.reports] == [
        "2025123123",
        "2026112509",
        "2026112510",
    ]
    assert all(waiting.complete for waiting in listing.reports)


def test_other_names_are_ignored_with_a_note_but_not_files_under_way(
    tmp_path: Path, clock: Clock, drop: Callable[..., Path]
) -> None:
    for name in ("notes.txt", ".hidden", f"{NAME}.part", f"{NAME}.tmp", f"{NAME}.filepart"):
        drop(name)
    (tmp_path / "SalesReport-2026112508.csv").mkdir()
    (tmp_path / "SalesReport-2026112509.csv").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "SalesReport-2026112510.csv")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / os.fsdecode(b"caf\xe9")).touch()
    listing = LocalFolder(tmp_path, SETTLES, clock).list()
    assert listing.reports == ()
    assert listing.ignored == (
        "SalesReport-2026112508.csv",
        "SalesReport-2026112510.csv",
        r"caf\xe9",
        "loop",
        "notes.txt",
    )


def test_a_file_meant_as_a_report_that_names_no_hour_is_refused_and_the_rest_listed(
    tmp_path: Path, clock: Clock, drop: Callable[..., Path]
) -> None:
    drop("SalesReport-2026112599.csv")
    drop(NAME)
    listing = LocalFolder(tmp_path, SETTLES, clock).list()
    assert len(listing.reports) == 1
    assert ["SalesReport-2026112599.csv" in str(error) for error in listing.refused] == [True]


def test_a_file_is_complete_once_its_size_and_time_stood_still(
    tmp_path: Path, clock: Clock, drop: Callable[..., Path]
) -> None:
    folder = LocalFolder(tmp_path, SETTLES, clock)
    drop(NAME, age=1)
    assert [waiting.complete for waiting in folder.list().reports] == [False]
    clock.now += 1
    assert [waiting.complete for waiting in folder.list().reports] == [True]
    drop(NAME, b"more", age=50)
    assert [waiting.complete for waiting in folder.list().reports] == [False]
    clock.now += 2
    assert [waiting.complete for waiting in folder.list().reports] == [True]


def test_with_a_marker_a_file_is_complete_once_that_stands_beside_it(
    tmp_path: Path, clock: Clock, drop: Callable[..., Path]
) -> None:
    folder = LocalFolder(tmp_path, MARKED, clock)
    drop(NAME, age=0)
    assert [waiting.complete for waiting in folder.list().reports] == [False]
    drop(f"{NAME}.done", b"")
    listing = folder.list()
    assert [waiting.complete for waiting in listing.reports] == [True]
    assert listing.ignored == ()


def test_a_missing_folder_is_made(tmp_path: Path, clock: Clock) -> None:
    assert LocalFolder(tmp_path / "a" / "b", SETTLES, clock).list().reports == ()
    assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_read_is_unavailable(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FeedUnavailable, match="file"):
        LocalFolder(tmp_path / "file", SETTLES, clock)
    folder = LocalFolder(tmp_path / "gone", SETTLES, clock)
    (tmp_path / "gone").rmdir()
    with pytest.raises(FeedUnavailable, match="gone"):
        folder.list()


def test_reading_gives_the_bytes_and_leaves_the_file_alone(
    tmp_path: Path, clock: Clock, drop: Callable[..., Path]
) -> None:
    path = drop(NAME, b"content")
    before = path.stat()
    folder = LocalFolder(tmp_path, SETTLES, clock)
    assert folder.read(folder.list().reports[0]) == b"content"
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("change", ["grown", "touched", "replaced", "gone"])
def test_a_file_that_is_not_what_was_listed_is_left_for_later(
    tmp_path: Path, clock: Clock, drop: Callable[..., Path], change: str
) -> None:
    path = drop(NAME, b"content")
    folder = LocalFolder(tmp_path, SETTLES, clock)
    waiting = folder.list().reports[0]
    if change == "grown":
        drop(NAME, b"content and more")
    elif change == "touched":
        drop(NAME, b"content", age=99)
    elif change == "replaced":
        drop("other", b"another", age=3).replace(path)
    else:
        path.unlink()
    with pytest.raises(ReportChanging, match=NAME):
        folder.read(waiting)


def test_a_file_that_is_replaced_while_it_is_read_is_left_for_later(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, drop: Callable[..., Path]
) -> None:
    path = drop(NAME, b"content")
    twin = drop("twin", b"CONTENT")
    folder = LocalFolder(tmp_path, SETTLES, clock)
    waiting = folder.list().reports[0]
    really_stat = os.fstat

    def replace_after_opening(descriptor: int) -> os.stat_result:
        status = really_stat(descriptor)
        if twin.exists() and status.st_ino == path.stat().st_ino:
            twin.replace(path)
        return status

    monkeypatch.setattr(os, "fstat", replace_after_opening)
    with pytest.raises(ReportChanging):
        folder.read(waiting)


def test_a_file_beyond_the_limit_is_not_read(
    tmp_path: Path, clock: Clock, drop: Callable[..., Path]
) -> None:
    drop(NAME, b"content")
    folder = LocalFolder(tmp_path, SETTLES, clock)
    with pytest.raises(ReportTooLarge, match=NAME):
        folder.read(folder.list().reports[0], max_bytes=6)


def test_named_files_are_taken_at_once_in_the_order_of_their_hours(
    drop: Callable[..., Path],
) -> None:
    later, sooner = drop("SalesReport-2026112508.csv", b"8", age=0), drop(NAME, b"7", age=0)
    files = NamedFiles([later, sooner])
    assert [files.read(waiting) for waiting in files.list().reports] == [b"7", b"8"]
    assert all(waiting.complete for waiting in files.list().reports)


@pytest.mark.parametrize("name", ["notes.txt", NAME, "SalesReport-2026112599.csv", "sub"])
def test_a_named_file_that_is_missing_or_no_report_is_wrong(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "sub").mkdir()
    with pytest.raises(ReportNameInvalid, match=name):
        NamedFiles([tmp_path / name])
