"""The rules by which a report is taken in, each as a sentence."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from polars.testing import assert_frame_equal

from tests.write_side.reports import (
    HOUR,
    closed,
    content,
    large_content,
    named,
    stored_sales,
    stored_totals,
)
from write_side import ingestion as ingestion_module
from write_side.errors import (
    EventStoreUnavailable,
    HourNotIngested,
    QuarantineUnavailable,
    ReportConflicts,
    ReportInFuture,
    ReportUnreadable,
)
from write_side.event_store import NO_STREAM, EventStore, Metadata, StreamAppend
from write_side.events import (
    REPORTS_STREAM,
    SalesReportOpened,
    SalesReportWithdrawn,
    report_stream,
    sales_stream,
)
from write_side.feed.content import checksum
from write_side.feed.quarantine import Quarantine
from write_side.feed.report_parser import PARSER_VERSION, parse_report
from write_side.hours import end_of, format_stamp
from write_side.ingestion import (
    Ingestion,
    IngestOutcome,
    IngestResult,
    ingest_report,
    withdraw_report,
)
from write_side.memory_event_store import MemoryEventStore
from write_side.report_history import read_report_history
from write_side.sale_frames import total_sales
from write_side.sqlite_event_store import SqliteEventStore

KEY = b"a key of 16 bytes at least"
NOW = end_of(HOUR + 100)
STAMP = format_stamp(HOUR)
FIRST = content("p1,toys,2,10.00", "p2,books,1,5.00")
OTHER = content("p1,toys,9,10.00")
WITH_BAD_ROWS = content("p1,toys,2,10.00", "p2,books,0,5.00")
PLAIN = Metadata()


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore()


@pytest.fixture
def ingestion(store: MemoryEventStore, tmp_path: Path) -> Ingestion:
    return Ingestion(store, Quarantine(tmp_path / "quarantine"), KEY, lambda: NOW)


def ingest(
    ingestion: Ingestion, data: bytes, hour: int = HOUR, *, correct: bool = False
) -> IngestOutcome:
    return ingest_report(ingestion, named(hour), data, checksum(data), correct=correct)


def attempts(store: EventStore, hour: int = HOUR) -> list[SalesReportOpened]:
    return [
        recorded.event
        for recorded in store.read(report_stream(format_stamp(hour)))
        if isinstance(recorded.event, SalesReportOpened)
    ]


def assert_whole(store: EventStore, data: bytes) -> None:
    """See that the last closed report holds each sale of a content once."""
    report = closed(store)[-1]
    sales = parse_report(data, "report", KEY).sales
    assert_frame_equal(stored_sales(store, report), sales)
    assert_frame_equal(stored_totals(store, report), total_sales(sales))
    assert report.rows == sales.height
    assert report.sha256 == checksum(data)


def test_a_report_becomes_sales_totals_and_one_closing_event(ingestion: Ingestion) -> None:
    outcome = ingest(ingestion, FIRST)
    assert outcome == IngestOutcome(
        f"SalesReport-{STAMP}.csv", HOUR, IngestResult.INGESTED, 2, 0, 1, 0, None
    )
    assert_whole(ingestion.store, FIRST)
    (report,) = closed(ingestion.store)
    assert (report.hour, report.attempt, report.revision) == (HOUR, 1, 1)
    assert report.ingested_at == int(NOW.timestamp() * 1000)
    assert report.partitions == sorted(report.partitions)


def test_the_same_content_again_changes_nothing(ingestion: Ingestion) -> None:
    ingest(ingestion, FIRST)
    for correct in (False, True):
        again = ingest(ingestion, FIRST, correct=correct)
        assert (again.result, again.revision, again.version) == (IngestResult.UNCHANGED, 1, 0)
    assert ingestion.store.last_version(REPORTS_STREAM) == 0
    assert len(attempts(ingestion.store)) == 1


def test_the_content_of_an_earlier_revision_changes_nothing(ingestion: Ingestion) -> None:
    ingest(ingestion, FIRST)
    ingest(ingestion, OTHER, correct=True)
    for correct in (False, True):
        assert ingest(ingestion, FIRST, correct=correct).result is IngestResult.UNCHANGED
    assert ingestion.store.last_version(REPORTS_STREAM) == 1


def test_the_same_content_after_a_withdrawal_changes_nothing(ingestion: Ingestion) -> None:
    ingest(ingestion, FIRST)
    withdraw_report(ingestion.store, HOUR, "wrong", NOW)
    assert ingest(ingestion, FIRST).result is IngestResult.UNCHANGED
    assert not read_report_history(ingestion.store).in_force


def test_a_withdrawn_hour_is_reinstated_with_the_same_content_by_correct_only(
    ingestion: Ingestion,
) -> None:
    ingest(ingestion, FIRST)
    withdraw_report(ingestion.store, HOUR, "wrong", NOW)
    outcome = ingest(ingestion, FIRST, correct=True)
    assert (outcome.result, outcome.revision) == (IngestResult.CORRECTED, 2)
    assert_whole(ingestion.store, FIRST)
    assert ingest(ingestion, FIRST, correct=True).result is IngestResult.UNCHANGED
    # Its sales are there already, under the first attempt.
    assert [report.attempt for report in closed(ingestion.store)] == [1, 1]


def test_another_content_is_refused_with_both_checksums(ingestion: Ingestion) -> None:
    ingest(ingestion, FIRST)
    with pytest.raises(ReportConflicts) as refused:
        ingest(ingestion, OTHER)
    for named_too in (STAMP, checksum(FIRST), checksum(OTHER), "--correct"):
        assert named_too in str(refused.value)
    assert "\n" not in str(refused.value)
    assert ingestion.store.last_version(REPORTS_STREAM) == 0
    assert len(attempts(ingestion.store)) == 1


def test_another_content_is_refused_after_a_withdrawal_too(ingestion: Ingestion) -> None:
    ingest(ingestion, FIRST)
    withdraw_report(ingestion.store, HOUR, "wrong", NOW)
    with pytest.raises(ReportConflicts, match="was withdrawn after"):
        ingest(ingestion, OTHER)


def test_a_correction_replaces_the_hour(ingestion: Ingestion) -> None:
    ingest(ingestion, FIRST)
    outcome = ingest(ingestion, OTHER, correct=True)
    assert (outcome.result, outcome.revision, outcome.version) == (IngestResult.CORRECTED, 2, 1)
    assert read_report_history(ingestion.store).in_force[HOUR].sha256 == checksum(OTHER)
    assert_whole(ingestion.store, OTHER)


def test_correct_also_takes_a_first_report(ingestion: Ingestion) -> None:
    assert ingest(ingestion, FIRST, correct=True).result is IngestResult.INGESTED


@pytest.mark.parametrize(
    ("ahead", "is_taken"),
    [
        (timedelta(minutes=5), True),
        (timedelta(minutes=5, microseconds=1), False),
        (timedelta(0), True),
        (timedelta(days=365), False),
    ],
)
def test_an_hour_that_ends_more_than_5_minutes_from_now_is_refused(
    ingestion: Ingestion, ahead: timedelta, is_taken: bool
) -> None:
    late = replace(ingestion, now=lambda: end_of(HOUR) - ahead)
    if is_taken:
        assert ingest(late, FIRST).result is IngestResult.INGESTED
        return
    with pytest.raises(ReportInFuture, match=f"SalesReport-{STAMP}.csv: its hour ends at"):
        ingest(late, FIRST, correct=True)
    assert late.store.last_version(REPORTS_STREAM) == NO_STREAM


def test_a_report_without_a_good_row_closes_its_hour(ingestion: Ingestion) -> None:
    for hour, data in ((HOUR, content()), (HOUR + 1, content("p,c,0,1.00"))):
        outcome = ingest(ingestion, data, hour)
        assert (outcome.result, outcome.rows) == (IngestResult.INGESTED, 0)
    first, second = closed(ingestion.store)
    assert (first.rejected_rows, first.partitions) == (0, [])
    assert (second.rejected_rows, second.partitions) == (1, [])
    assert read_report_history(ingestion.store).newest_at(1) == HOUR + 1


def test_a_report_without_a_header_is_refused_and_opens_nothing(ingestion: Ingestion) -> None:
    for data in (b"", b"timestamp,product_id\n"):
        with pytest.raises(ReportUnreadable):
            ingest(ingestion, data)
    assert attempts(ingestion.store) == []


def test_a_withdrawal_takes_back_what_is_in_force_only(ingestion: Ingestion) -> None:
    with pytest.raises(HourNotIngested, match=STAMP):
        withdraw_report(ingestion.store, HOUR, "wrong", NOW)
    ingest(ingestion, FIRST)
    event = withdraw_report(ingestion.store, HOUR, "wrong shop", NOW)
    assert event == SalesReportWithdrawn(HOUR, 1, "wrong shop", int(NOW.timestamp() * 1000))
    with pytest.raises(HourNotIngested):
        withdraw_report(ingestion.store, HOUR, "again", NOW)


class Interrupted(MemoryEventStore):
    """A store that goes away before its n-th append; `before` hears of each append first."""

    def __init__(self) -> None:
        super().__init__()
        self.appends_left = 10**9
        self.before: Callable[[Sequence[StreamAppend]], None] = lambda appends: None

    def append_many(self, appends: Sequence[StreamAppend], metadata: Metadata = PLAIN) -> None:
        if self.appends_left == 0:
            raise EventStoreUnavailable("gone")
        self.appends_left -= 1
        self.before(appends)
        super().append_many(appends, metadata)


@pytest.fixture
def one_row_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion_module, "ROWS_PER_COMMIT", 1)


SIX = content(*(f"p{n},c{n},1,1.00" for n in range(6)))


def interrupted_after(ingestion: Ingestion, appends: int) -> tuple[Interrupted, Ingestion]:
    store = Interrupted()
    wired = replace(ingestion, store=store)
    store.appends_left = appends
    with pytest.raises(EventStoreUnavailable):
        ingest(wired, SIX)
    store.appends_left = 10**9
    return store, wired


@pytest.mark.usefixtures("one_row_a_commit")
@pytest.mark.parametrize("appends", range(8))
def test_an_ingest_goes_on_where_it_stopped(ingestion: Ingestion, appends: int) -> None:
    store, wired = interrupted_after(ingestion, appends)
    assert closed(store) == []
    assert ingest(wired, SIX).result is IngestResult.INGESTED
    assert_whole(store, SIX)
    assert len(attempts(store)) == 1


@pytest.mark.usefixtures("one_row_a_commit")
def test_a_file_replaced_half_way_opens_a_new_attempt(ingestion: Ingestion) -> None:
    store, wired = interrupted_after(ingestion, 4)
    ingest(wired, FIRST)
    assert [opened.sha256 for opened in attempts(store)] == [checksum(SIX), checksum(FIRST)]
    assert closed(store)[0].attempt == 2
    assert_whole(store, FIRST)


@pytest.mark.usefixtures("one_row_a_commit")
def test_another_pseudonym_key_opens_a_new_attempt(ingestion: Ingestion) -> None:
    store, wired = interrupted_after(ingestion, 4)
    ingest(replace(wired, pseudonym_key=b"another key of 16 bytes"), SIX)
    assert closed(store)[0].attempt == 2
    customers = stored_sales(store, closed(store)[0]).get_column("customer")
    assert customers.n_unique() == 6


@pytest.mark.usefixtures("one_row_a_commit")
def test_another_parser_opens_a_new_attempt(
    ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, wired = interrupted_after(ingestion, 4)
    monkeypatch.setattr(ingestion_module, "PARSER_VERSION", PARSER_VERSION + 1)
    ingest(wired, SIX)
    assert [opened.parser_version for opened in attempts(store)] == [
        PARSER_VERSION,
        PARSER_VERSION + 1,
    ]
    assert_whole(store, SIX)


@pytest.mark.usefixtures("one_row_a_commit")
def test_a_replaced_file_that_comes_back_never_mixes_with_what_it_left(
    ingestion: Ingestion,
) -> None:
    store, wired = interrupted_after(ingestion, 4)
    store.appends_left = 2
    with pytest.raises(EventStoreUnavailable):
        ingest(wired, OTHER)
    store.appends_left = 10**9
    ingest(wired, SIX)
    assert len(attempts(store)) == 3
    assert_whole(store, SIX)


def test_rejected_rows_are_on_the_disk_before_the_report_closes(
    ingestion: Ingestion, tmp_path: Path
) -> None:
    store = Interrupted()
    kept = tmp_path / "quarantine" / f"SalesReport-{STAMP}.rejected.csv"
    there: list[bool] = []

    def look(appends: Sequence[StreamAppend]) -> None:
        if appends[0].stream == REPORTS_STREAM:
            there.append(kept.exists())

    store.before = look
    outcome = ingest(replace(ingestion, store=store), WITH_BAD_ROWS)
    assert there == [True]
    assert (outcome.rejected_rows, outcome.quarantine) == (1, kept)
    assert "p2" in kept.read_text()


def quarantined(folder: Path) -> dict[str, str]:
    """Return the product whose row was rejected, by the end of the file's name."""
    return {
        path.name.removeprefix(f"SalesReport-{STAMP}."): path.read_text().split(",")[-5]
        for path in (folder / "quarantine").iterdir()
    }


def test_rejected_rows_of_a_report_that_lost_never_take_the_winners_name(
    ingestion: Ingestion, tmp_path: Path
) -> None:
    store = Interrupted()
    wired = replace(ingestion, store=store)

    def overtake(appends: Sequence[StreamAppend]) -> None:
        if appends[0].stream == REPORTS_STREAM:
            store.before = lambda appends: None
            ingest(wired, content("p1,toys,2,10.00", "won,toys,0,1.00"))

    store.before = overtake
    with pytest.raises(ReportConflicts):
        ingest(wired, content("p1,toys,3,10.00", "lost,toys,0,1.00"))
    assert quarantined(tmp_path) == {"rejected.csv": "won", "attempt-1.rejected.csv": "lost"}


@pytest.mark.parametrize("again", ["the same", "a refused one", "a correction"])
def test_rejected_rows_get_their_name_though_a_crash_came_after_the_close(
    ingestion: Ingestion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    contents = [content("p1,toys,2,10.00", f"p{n},toys,0,1.00") for n in (7, 8, 9)]
    ingest(ingestion, contents[0])

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Quarantine, "_settle", crash)
        with pytest.raises(KeyboardInterrupt):
            ingest(ingestion, contents[1], correct=True)
    assert closed(ingestion.store)[-1].revision == 2
    assert quarantined(tmp_path) == {"rejected.csv": "p7", "attempt-2.rejected.csv": "p8"}
    settled = {"rejected.csv": "p8", "revision-1.rejected.csv": "p7"}
    if again == "the same":
        assert ingest(ingestion, contents[1]).result is IngestResult.UNCHANGED
    elif again == "a correction":
        ingest(ingestion, contents[2], correct=True)
        settled |= {"rejected.csv": "p9", "revision-2.rejected.csv": "p8"}
    else:
        with pytest.raises(ReportConflicts):
            ingest(ingestion, contents[2])
    assert quarantined(tmp_path) == settled


def test_a_history_that_the_caller_holds_is_gone_on_with(ingestion: Ingestion) -> None:
    history = read_report_history(ingestion.store)
    for n in range(3):
        data = content(f"p{n},toys,1,1.00")
        outcome = ingest_report(ingestion, named(HOUR + n), data, checksum(data), history=history)
        assert (outcome.version, history.version) == (n, n)


def test_a_report_whose_rejected_rows_cannot_be_kept_does_not_close(
    ingestion: Ingestion, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    stuck = replace(ingestion, quarantine=Quarantine(tmp_path / "file" / "quarantine"))
    with pytest.raises(QuarantineUnavailable):
        ingest(stuck, WITH_BAD_ROWS)
    assert closed(ingestion.store) == []
    ingest(ingestion, WITH_BAD_ROWS)
    assert_whole(ingestion.store, WITH_BAD_ROWS)
    assert len(attempts(ingestion.store)) == 1


def test_one_that_was_overtaken_by_another_report_closes_after_it(ingestion: Ingestion) -> None:
    store = Interrupted()
    wired = replace(ingestion, store=store)

    def overtake(appends: Sequence[StreamAppend]) -> None:
        if appends[0].stream == REPORTS_STREAM:
            store.before = lambda appends: None
            ingest(wired, OTHER, HOUR + 1)

    store.before = overtake
    outcome = ingest(wired, FIRST)
    assert (outcome.result, outcome.version) == (IngestResult.INGESTED, 1)
    assert_whole(store, FIRST)


@pytest.mark.parametrize("correct", [False, True])
def test_one_that_was_overtaken_by_another_content_is_judged_anew(
    ingestion: Ingestion, correct: bool
) -> None:
    store = Interrupted()
    wired = replace(ingestion, store=store)

    def overtake(appends: Sequence[StreamAppend]) -> None:
        if appends[0].stream == REPORTS_STREAM:
            store.before = lambda appends: None
            ingest(wired, OTHER)

    store.before = overtake
    if correct:
        outcome = ingest(wired, FIRST, correct=True)
        assert (outcome.result, outcome.revision) == (IngestResult.CORRECTED, 2)
        assert_whole(store, FIRST)
        return
    with pytest.raises(ReportConflicts):
        ingest(wired, FIRST)
    assert_whole(store, OTHER)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteEventStore]:
    store = SqliteEventStore(tmp_path / "events.db")
    yield store
    store.close()


def test_threads_with_the_same_report_store_it_once(
    sqlite: SqliteEventStore, ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion_module, "ROWS_PER_COMMIT", 500)
    wired = replace(ingestion, store=sqlite)
    data = large_content(4_000)
    barrier = Barrier(4)

    def run(_: int) -> IngestResult:
        barrier.wait(20)
        return ingest(wired, data).result

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(run, range(4)))
    assert sorted(result.value for result in results) == ["ingested", *["unchanged"] * 3]
    assert_whole(sqlite, data)
    assert len(attempts(sqlite)) == 1


def test_threads_with_different_contents_of_an_hour_never_mix_them(
    sqlite: SqliteEventStore, ingestion: Ingestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion_module, "ROWS_PER_COMMIT", 300)
    wired = replace(ingestion, store=sqlite)
    contents = [large_content(1_000 + n) for n in range(4)]
    barrier = Barrier(4)

    def run(data: bytes) -> str:
        barrier.wait(20)
        try:
            return ingest(wired, data).result.value
        except ReportConflicts:
            return "refused"

    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(run, contents))
    assert sorted(results) == ["ingested", *["refused"] * 3]
    assert_whole(sqlite, contents[results.index("ingested")])
    assert len(closed(sqlite)) == 1


def test_threads_with_reports_of_many_hours_lose_none(
    sqlite: SqliteEventStore, ingestion: Ingestion
) -> None:
    wired = replace(ingestion, store=sqlite)

    def run(hour: int) -> IngestOutcome:
        return ingest(wired, content(f"p{hour},toys,1,1.00", "p,books,1,1.00"), hour)

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(run, [HOUR + n % 12 for n in range(24)]))
    assert sorted(report.hour for report in closed(sqlite)) == [HOUR + n for n in range(12)]
    assert sum(outcome.result is IngestResult.INGESTED for outcome in outcomes) == 12
    for report in closed(sqlite):
        products = stored_sales(sqlite, report).get_column("product_id").to_list()
        assert products == [f"p{report.hour}", "p"]


def test_nothing_of_an_open_attempt_counts(ingestion: Ingestion) -> None:
    store = Interrupted()
    store.appends_left = 2
    with pytest.raises(EventStoreUnavailable):
        ingest(replace(ingestion, store=store), FIRST)
    report = parse_report(FIRST, "report", KEY).sales
    assert report.height == 2
    assert store.last_version(sales_stream(STAMP, 1, 53)) == 0
    assert read_report_history(store).version == NO_STREAM
