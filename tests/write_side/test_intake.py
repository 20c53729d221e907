"""What waits in a drop location, taken in the order of the reports' hours."""

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.write_side.reports import HOUR, closed, content, named, stored_sales
from write_side.errors import FeedUnavailable, QuarantineUnavailable, ReportNameInvalid
from write_side.event_store import NO_STREAM
from write_side.events import REPORTS_STREAM
from write_side.feed.completeness import Completeness
from write_side.feed.content import checksum
from write_side.feed.drop_location import DropLocation, Listing, WaitingReport
from write_side.feed.local_folder import LocalFolder, NamedFiles
from write_side.feed.quarantine import Quarantine
from write_side.hours import end_of, format_stamp
from write_side.ingestion import Ingestion, IngestOutcome, IngestResult
from write_side.intake import Intake, KnownFiles, take_in
from write_side.memory_event_store import MemoryEventStore

NOW = end_of(HOUR + 100)
FIRST = content("p1,toys,2,10.00")
OTHER = content("p1,toys,9,10.00")


class Feed(LocalFolder):
    """A folder without waiting, that counts what is read of it."""

    def __init__(self, folder: Path, completeness: Completeness | None = None) -> None:
        super().__init__(folder, completeness or Completeness(0), lambda: 4e9)
        self.folder = folder
        self.reads = 0

    def read(self, waiting: WaitingReport, max_bytes: int = 1 << 30) -> bytes:
        self.reads += 1
        return super().read(waiting, max_bytes)

    def write(self, data: bytes, hour: int = HOUR, ending: str = "") -> Path:
        path = self.folder / f"SalesReport-{format_stamp(hour)}.csv{ending}"
        path.write_bytes(data)
        return path


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    return Feed(tmp_path / "dropbox")


@pytest.fixture
def ingestion(tmp_path: Path) -> Ingestion:
    quarantine = Quarantine(tmp_path / "quarantine")
    return Ingestion(MemoryEventStore(), quarantine, b"a key of 16 bytes", lambda: NOW)


def take(ingestion: Ingestion, location: DropLocation, *, correct: bool = False) -> Intake:
    return take_in(ingestion, location, KnownFiles(None), correct=correct)


def test_an_empty_folder_gives_nothing(ingestion: Ingestion, feed: Feed) -> None:
    assert take(ingestion, feed) == Intake()


def test_reports_that_wait_are_taken_in_the_order_of_their_hours(
    ingestion: Ingestion, feed: Feed
) -> None:
    for n in (5, -3, 0, 20, 1):
        feed.write(content(f"p{n},toys,1,1.00"), HOUR + n)
    intake = take(ingestion, feed)
    expected = [HOUR + n for n in (-3, 0, 1, 5, 20)]
    assert [outcome.hour for outcome in intake.outcomes] == expected
    assert [report.hour for report in closed(ingestion.store)] == expected


def test_each_report_is_told_as_soon_as_it_is_done(ingestion: Ingestion, feed: Feed) -> None:
    told: list[tuple[int, int]] = []

    def hear(outcome: IngestOutcome) -> None:
        told.append((outcome.hour, ingestion.store.last_version(REPORTS_STREAM)))

    for n in range(3):
        feed.write(FIRST, HOUR + n)
    take_in(ingestion, feed, KnownFiles(None), told=hear)
    assert told == [(HOUR + n, n) for n in range(3)]


def test_a_refused_report_that_waits_is_named_each_time_and_holds_up_none(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    known = KnownFiles(tmp_path / "known.json")
    feed.write(FIRST)
    take_in(ingestion, feed, known)
    feed.write(OTHER)
    feed.write(b"no header\n", HOUR + 1)
    feed.write(FIRST, HOUR + 2)
    feed.write(FIRST, HOUR + 200)
    (feed.folder / "SalesReport-2026139907.csv").write_bytes(FIRST)
    for result in (IngestResult.INGESTED, IngestResult.UNCHANGED):
        intake = take_in(ingestion, feed, known)
        assert [(refusal.name, refusal.error.code) for refusal in intake.refusals] == [
            ("SalesReport-2026139907.csv", "REPORT_NAME_INVALID"),
            (named(HOUR).name, "REPORT_CONFLICTS"),
            (named(HOUR + 1).name, "REPORT_UNREADABLE"),
            (named(HOUR + 200).name, "REPORT_IN_FUTURE"),
        ]
        assert [(o.hour, o.result) for o in intake.outcomes] == [(HOUR + 2, result)]
    assert ingestion.store.last_version(REPORTS_STREAM) == 1


def test_correct_takes_what_was_refused(ingestion: Ingestion, feed: Feed) -> None:
    feed.write(FIRST)
    take(ingestion, feed)
    feed.write(OTHER)
    (outcome,) = take(ingestion, feed, correct=True).outcomes
    assert outcome.result is IngestResult.CORRECTED


def test_a_compressed_report_of_the_same_content_is_the_same_report(
    ingestion: Ingestion, feed: Feed
) -> None:
    feed.write(FIRST)
    feed.write(gzip.compress(FIRST), ending=".gz")
    intake = take(ingestion, feed)
    assert [outcome.result for outcome in intake.outcomes] == [
        IngestResult.INGESTED,
        IngestResult.UNCHANGED,
    ]


def test_two_files_of_an_hour_that_differ_are_not_both_taken(
    ingestion: Ingestion, feed: Feed
) -> None:
    feed.write(FIRST)
    feed.write(gzip.compress(OTHER), ending=".gz")
    intake = take(ingestion, feed)
    assert [outcome.name for outcome in intake.outcomes] == [named().name]
    assert [refusal.name for refusal in intake.refusals] == [f"{named().name}.gz"]


def test_unfinished_and_other_files_are_left(ingestion: Ingestion, tmp_path: Path) -> None:
    feed = Feed(tmp_path / "marked", Completeness(marker=".done"))
    feed.write(FIRST)
    (feed.folder / "notes.txt").write_text("hello")
    (feed.folder / f"{named(HOUR + 1).name}.part").write_bytes(FIRST)
    intake = take(ingestion, feed)
    assert (intake.outcomes, intake.unready, intake.ignored) == ([], [named().name], ("notes.txt",))
    (feed.folder / f"{named().name}.done").write_text("")
    assert [outcome.hour for outcome in take(ingestion, feed).outcomes] == [HOUR]


def test_a_file_that_changes_while_it_is_read_is_left_for_later(
    ingestion: Ingestion, feed: Feed
) -> None:
    class Growing(Feed):
        def read(self, waiting: WaitingReport, max_bytes: int = 1 << 30) -> bytes:
            with Path(waiting.key).open("ab") as file:
                file.write(b"1782000000,p2,toys,,1,1.00\n")
            return super().read(waiting, max_bytes)

    growing = Growing(feed.folder)
    growing.write(FIRST)
    intake = take(ingestion, growing)
    assert (intake.outcomes, intake.unready) == ([], [named().name])
    assert ingestion.store.last_version(REPORTS_STREAM) == NO_STREAM
    assert take(ingestion, feed).outcomes[0].rows == 2


def test_a_file_that_was_read_before_is_not_read_again(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    path = tmp_path / "home" / "known.json"
    feed.write(FIRST)
    take_in(ingestion, feed, KnownFiles(path))
    assert feed.reads == 1
    intake = take_in(ingestion, feed, KnownFiles(path))
    assert (feed.reads, intake.outcomes[0].result) == (1, IngestResult.UNCHANGED)
    assert [entry.name for entry in path.parent.iterdir()] == ["known.json"]


def test_a_known_file_follows_from_the_store_alone(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    known = KnownFiles(tmp_path / "known.json")
    feed.write(FIRST)
    take_in(ingestion, feed, known)
    another = replace(ingestion, store=MemoryEventStore())
    assert take_in(another, feed, known).outcomes[0].result is IngestResult.INGESTED
    assert stored_sales(another.store, closed(another.store)[0]).height == 1


def test_a_known_file_that_was_replaced_is_read_again(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    known = KnownFiles(tmp_path / "known.json")
    path = feed.write(FIRST)
    os.utime(path, (10, 10))
    take_in(ingestion, feed, known)
    os.utime(feed.write(OTHER), (20, 20))
    assert [refusal.error.code for refusal in take_in(ingestion, feed, known).refusals] == [
        "REPORT_CONFLICTS"
    ]


@pytest.mark.parametrize("correct", [False, True])
@pytest.mark.parametrize("renamed", [False, True])
def test_another_content_of_the_same_size_and_time_is_noticed(
    ingestion: Ingestion, feed: Feed, tmp_path: Path, renamed: bool, correct: bool
) -> None:
    known = KnownFiles(tmp_path / "known.json")
    path = feed.write(FIRST)
    other = FIRST.replace(b"p1", b"p9")
    os.utime(path, (10, 10))
    take_in(ingestion, feed, known)
    if renamed:
        copy = tmp_path / "copy"
        copy.write_bytes(other)
        os.utime(copy, (10, 10))
        copy.replace(path)
    else:
        path.write_bytes(other)
        os.utime(path, (10, 10))
    intake = take_in(ingestion, feed, KnownFiles(tmp_path / "known.json"), correct=correct)
    if correct:
        assert [outcome.result for outcome in intake.outcomes] == [IngestResult.CORRECTED]
        return
    (refusal,) = intake.refusals
    assert checksum(FIRST) in str(refusal.error)
    assert checksum(other) in str(refusal.error)


def test_who_asks_for_a_correction_has_every_file_read(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    known = KnownFiles(tmp_path / "known.json")
    feed.write(FIRST)
    take_in(ingestion, feed, known)
    intake = take_in(ingestion, feed, known, correct=True)
    assert (feed.reads, intake.outcomes[0].result) == (2, IngestResult.UNCHANGED)


def test_files_that_are_gone_are_forgotten(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    path = tmp_path / "known.json"
    for hour in (HOUR, HOUR + 1):
        feed.write(FIRST, hour)
    take_in(ingestion, feed, KnownFiles(path))
    (feed.folder / named().name).unlink()
    take_in(ingestion, feed, KnownFiles(path))
    (identity,) = json.loads(path.read_bytes())
    assert named(HOUR + 1).name in identity


def test_a_report_that_memory_does_not_suffice_for_is_refused_and_holds_up_none(
    ingestion: Ingestion, feed: Feed
) -> None:
    class Huge(Feed):
        def read(self, waiting: WaitingReport, max_bytes: int = 1 << 30) -> bytes:
            if waiting.report.hour == HOUR:
                raise MemoryError
            return super().read(waiting, max_bytes)

    huge = Huge(feed.folder)
    for hour in (HOUR, HOUR + 1):
        huge.write(FIRST, hour)
    intake = take(ingestion, huge)
    assert [outcome.hour for outcome in intake.outcomes] == [HOUR + 1]
    assert [(r.name, r.error.code) for r in intake.refusals] == [(named().name, "REPORT_TOO_LARGE")]


def test_a_crash_after_the_close_is_made_up_for_though_the_file_is_known(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    known = KnownFiles(tmp_path / "known.json")
    feed.write(content("p1,toys,0,1.00"))
    take_in(ingestion, feed, known)
    (kept,) = (tmp_path / "quarantine").iterdir()
    unsettled = kept.with_name(f"SalesReport-{format_stamp(HOUR)}.attempt-1.rejected.csv")
    kept.rename(unsettled)
    take_in(ingestion, feed, known)
    assert (feed.reads, kept.exists(), unsettled.exists()) == (1, True, False)


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff"])
def test_a_damaged_list_of_known_files_costs_a_reading_only(
    ingestion: Ingestion, feed: Feed, tmp_path: Path, damage: bytes
) -> None:
    path = tmp_path / "known.json"
    path.write_bytes(damage)
    feed.write(FIRST)
    assert take_in(ingestion, feed, KnownFiles(path)).outcomes[0].result is IngestResult.INGESTED
    assert take_in(ingestion, feed, KnownFiles(path)).outcomes[0].result is IngestResult.UNCHANGED


def test_known_files_that_cannot_be_kept_are_no_error(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    feed.write(FIRST)
    known = KnownFiles(tmp_path / "file" / "known.json")
    assert len(take_in(ingestion, feed, known).outcomes) == 1


def test_rejected_rows_that_cannot_be_kept_end_the_pass(
    ingestion: Ingestion, feed: Feed, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    stuck = replace(ingestion, quarantine=Quarantine(tmp_path / "file"))
    feed.write(content("p1,toys,0,1.00"))
    with pytest.raises(QuarantineUnavailable):
        take(stuck, feed)
    assert take(ingestion, feed).outcomes[0].rejected_rows == 1


def test_a_drop_location_that_is_away_is_told(ingestion: Ingestion) -> None:
    class Away:
        def list(self) -> Listing:
            raise FeedUnavailable("away")

        def read(self, waiting: WaitingReport, max_bytes: int = 0) -> bytes:
            raise FeedUnavailable("away")

    with pytest.raises(FeedUnavailable):
        take(ingestion, Away())


def test_named_files_are_taken_whatever_their_time(ingestion: Ingestion, feed: Feed) -> None:
    paths = [feed.write(FIRST, HOUR + n) for n in (2, 1)]
    intake = take(ingestion, NamedFiles(paths))
    assert [outcome.hour for outcome in intake.outcomes] == [HOUR + 1, HOUR + 2]
    with pytest.raises(ReportNameInvalid, match=r"nothing\.csv"):
        NamedFiles([feed.folder / "nothing.csv"])


def test_files_are_never_moved_or_changed(ingestion: Ingestion, feed: Feed) -> None:
    path = feed.write(FIRST)
    before = path.stat()
    take(ingestion, feed)
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ino, path.read_bytes()) == (
        before.st_mtime_ns,
        before.st_ino,
        FIRST,
    )
