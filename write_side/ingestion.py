"""One report into events: exactly once, however often it is killed, repeated or run twice at once.

A report's rows go to the streams of one *attempt*. Event n of a sale stream is the n-th good row of
its partition, so the streams' versions say how far an attempt came, and anyone with the same
content, parser and key goes on there. Nothing counts before the one event in `sales-reports` that
closes the report, written by expected version.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from write_side.errors import (
    EventStoreCorrupted,
    HourNotIngested,
    ReportConflicts,
    ReportInFuture,
    WrongExpectedVersion,
)
from write_side.event_store import NO_STREAM, EventStore, StreamAppend
from write_side.events import (
    REPORTS_STREAM,
    SalesReportIngested,
    SalesReportOpened,
    SalesReportWithdrawn,
    SalesTotalled,
    report_stream,
    sales_stream,
    totals_stream,
)
from write_side.feed.pseudonyms import key_fingerprint
from write_side.feed.quarantine import KeptRevision, Quarantine
from write_side.feed.report_name import ReportName
from write_side.feed.report_parser import PARSER_VERSION, parse_report
from write_side.hours import end_of, format_stamp
from write_side.report_history import ReportHistory, catch_up, read_report_history
from write_side.sale_frames import encode_frame, split_by_partition, total_sales

FUTURE_TOLERANCE: Final = timedelta(minutes=5)
"""How far ahead of our clock a shop's may be before its report is taken for misdated."""
ROWS_PER_COMMIT: Final = 500_000
"""Sales appended in one go: bounds memory and how long other writers wait."""


class IngestResult(Enum):
    """What became of a report."""

    INGESTED = "ingested"
    CORRECTED = "corrected"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class IngestOutcome:
    """What an ingest did, for the person who asked for it."""

    name: str
    hour: int
    result: IngestResult
    rows: int
    rejected_rows: int
    revision: int
    version: int
    """The version of `sales-reports` that holds the report."""
    quarantine: Path | None
    """Where the rejected rows lie, where there are any."""


@dataclass(frozen=True)
class Ingestion:
    """What ingesting needs: the store, where rejected rows go, the pseudonyms' key, and a clock."""

    store: EventStore
    quarantine: Quarantine
    pseudonym_key: bytes
    now: Callable[[], datetime]


def would_change(history: ReportHistory, hour: int, sha256: str, *, correct: bool) -> bool:
    """Return whether a report of this content would be taken; raises `ReportConflicts`.

    The same content as any revision of its hour changes nothing. Only an hour that was withdrawn
    takes it again, when asked to by `correct`.
    """
    revisions = history.revisions(hour)
    if not revisions:
        return True
    if any(revision.sha256 == sha256 for revision in revisions):
        return correct and history.is_withdrawn(hour)
    if correct:
        return True
    stamp = format_stamp(hour)
    was = "was withdrawn after" if history.is_withdrawn(hour) else "is already ingested with"
    raise ReportConflicts(
        f"hour {stamp} {was} another content: SHA-256 {revisions[-1].sha256} in the store, "
        f"{sha256} in this file. To replace the hour, run `topsellers ingest --correct FILE`"
    )


def check_hour(hour: int, name: str, now: datetime) -> None:
    """Raise `ReportInFuture` for a report whose hour ends more than 5 minutes from `now`."""
    if end_of(hour) > now + FUTURE_TOLERANCE:
        raise ReportInFuture(
            f"{name}: its hour ends at {end_of(hour):%Y-%m-%d %H:%M} UTC, in the future. "
            "Check the stamp in its name and this machine's clock"
        )


def ingest_report(
    ingestion: Ingestion,
    report: ReportName,
    content: bytes,
    sha256: str,
    *,
    correct: bool = False,
    history: ReportHistory | None = None,
) -> IngestOutcome:
    """Take in one report: its uncompressed content, with that content's SHA-256 in hex.

    Blocks for as long as it takes. `history` is one of this store that the caller goes on with, so
    that it is not read anew for each report; it is brought up to date. Raises a `ReportRefused`
    where the report may not be taken, `QuarantineUnavailable` where rejected rows can't be kept,
    `EventStoreUnavailable`; after any of them the same call again goes on where this one stopped.
    """
    store = ingestion.store
    check_hour(report.hour, report.name, ingestion.now())
    history = ReportHistory() if history is None else history
    catch_up(history, store)
    # Where the process before ended between a report's close and this.
    settle_rejected_rows(ingestion, history, report.hour)
    if not would_change(history, report.hour, sha256, correct=correct):
        return unchanged(history, report, sha256)
    parsed = parse_report(content, report.name, ingestion.pseudonym_key)
    while True:
        again = _revision_of(history, report.hour, sha256)
        if again is None:
            attempt = _open_attempt(ingestion, history, report.hour, sha256)
            partitions = _append_attempt(store, report.hour, attempt, parsed.sales)
        else:
            attempt, partitions = again.attempt, again.partitions
        revisions = history.revisions(report.hour)
        quarantined = ingestion.quarantine.keep(
            report.stamp, parsed.rejected, attempt, alone=not revisions
        )
        closing = SalesReportIngested(
            hour=report.hour,
            attempt=attempt,
            revision=len(revisions) + 1,
            sha256=sha256,
            rows=parsed.sales.height if again is None else again.rows,
            rejected_rows=parsed.rejected.height if again is None else again.rejected_rows,
            partitions=partitions,
            ingested_at=_milliseconds(ingestion.now()),
        )
        try:
            version = store.append(REPORTS_STREAM, [closing], history.version)
        except WrongExpectedVersion:
            catch_up(history, store)
            settle_rejected_rows(ingestion, history, report.hour)
            if not would_change(history, report.hour, sha256, correct=correct):
                return unchanged(history, report, sha256)
            continue
        catch_up(history, store)
        settle_rejected_rows(ingestion, history, report.hour)
        return IngestOutcome(
            name=report.name,
            hour=report.hour,
            result=IngestResult.CORRECTED if revisions else IngestResult.INGESTED,
            rows=closing.rows,
            rejected_rows=closing.rejected_rows,
            revision=closing.revision,
            version=version,
            quarantine=quarantined,
        )


def settle_rejected_rows(ingestion: Ingestion, history: ReportHistory, hour: int) -> None:
    """See that the rejected rows of an hour's last revision stand under its report's name.

    Cheap where they do. Raises `QuarantineUnavailable`.
    """
    revisions = [
        KeptRevision(event.revision, event.attempt, event.rejected_rows)
        for event in history.revisions(hour)
    ]
    ingestion.quarantine.settle(format_stamp(hour), revisions)


def withdraw_report(
    store: EventStore, hour: int, reason: str, now: datetime
) -> SalesReportWithdrawn:
    """Take an hour back; raises `HourNotIngested` where no report is in force for it."""
    history = read_report_history(store)
    while True:
        in_force = history.in_force.get(hour)
        if in_force is None:
            raise HourNotIngested(
                f"hour {format_stamp(hour)} has no report in force, so there is nothing to "
                "withdraw. `topsellers status` shows what was ingested"
            )
        event = SalesReportWithdrawn(
            hour=hour,
            revision=in_force.revision,
            reason=reason,
            withdrawn_at=_milliseconds(now),
        )
        try:
            store.append(REPORTS_STREAM, [event], history.version)
        except WrongExpectedVersion:
            catch_up(history, store)
            continue
        return event


def unchanged(history: ReportHistory, report: ReportName, sha256: str) -> IngestOutcome:
    """Return the outcome for a content that some revision of its hour already has."""
    revision = _revision_of(history, report.hour, sha256)
    assert revision is not None  # noqa: S101  (would_change saw it)
    return IngestOutcome(
        name=report.name,
        hour=report.hour,
        result=IngestResult.UNCHANGED,
        rows=revision.rows,
        rejected_rows=revision.rejected_rows,
        revision=revision.revision,
        version=history.version,
        quarantine=None,
    )


def _revision_of(history: ReportHistory, hour: int, sha256: str) -> SalesReportIngested | None:
    return next(
        (revision for revision in history.revisions(hour) if revision.sha256 == sha256), None
    )


def _open_attempt(ingestion: Ingestion, history: ReportHistory, hour: int, sha256: str) -> int:
    stream = report_stream(format_stamp(hour))
    fingerprint = key_fingerprint(ingestion.pseudonym_key)
    while True:
        opened = [
            recorded.event
            for recorded in ingestion.store.read(stream)
            if isinstance(recorded.event, SalesReportOpened)
        ]
        last = opened[-1] if opened else None
        closed = {revision.attempt for revision in history.revisions(hour)}
        if (
            last is not None
            and last.attempt not in closed
            and (last.sha256, last.parser_version, last.pseudonym_key)
            == (sha256, PARSER_VERSION, fingerprint)
        ):
            return last.attempt
        event = SalesReportOpened(
            hour=hour,
            attempt=1 if last is None else last.attempt + 1,
            sha256=sha256,
            parser_version=PARSER_VERSION,
            pseudonym_key=fingerprint,
        )
        try:
            ingestion.store.append(stream, [event], len(opened) - 1)
        except WrongExpectedVersion:
            continue
        return event.attempt


class _Part(NamedTuple):
    """What a report has for one partition."""

    partition: int
    sales: pl.DataFrame
    totals: pl.DataFrame


def _append_attempt(store: EventStore, hour: int, attempt: int, sales: pl.DataFrame) -> list[int]:
    # Totalled in one go: a small report's 64 partitions must not cost 64 times the overhead.
    totals = dict(split_by_partition(total_sales(sales)))
    parts = [
        _Part(partition, frame, totals[partition]) for partition, frame in split_by_partition(sales)
    ]
    waiting: list[_Part] = []
    for part in parts:
        waiting.append(part)
        if sum(one.sales.height for one in waiting) >= ROWS_PER_COMMIT:
            _append_parts(store, hour, attempt, waiting)
            waiting = []
    _append_parts(store, hour, attempt, waiting)
    return [part.partition for part in parts]


def _append_parts(store: EventStore, hour: int, attempt: int, parts: Sequence[_Part]) -> None:
    while True:
        appends = [append for part in parts for append in _missing_of(store, hour, attempt, part)]
        if not appends:
            return
        try:
            store.append_many(appends)
        except WrongExpectedVersion:
            continue
        return


def _missing_of(store: EventStore, hour: int, attempt: int, part: _Part) -> list[StreamAppend]:
    stamp = format_stamp(hour)
    sales = sales_stream(stamp, attempt, part.partition)
    rows = part.sales.height
    last = store.last_version(sales)
    if last >= rows:
        raise EventStoreCorrupted(
            f"{sales} holds {last + 1} events, but its report has {rows} rows there. "
            "Run `topsellers verify`, and restore the store from a backup"
        )
    appends: list[StreamAppend] = []
    if last < rows - 1:
        appends.append(StreamAppend(sales, part.sales.slice(last + 1), last))
    totals = totals_stream(stamp, attempt, part.partition)
    if store.last_version(totals) == NO_STREAM:
        event = SalesTotalled(
            hour=hour,
            attempt=attempt,
            partition=part.partition,
            pairs=part.totals.height,
            totals=encode_frame(part.totals),
        )
        appends.append(StreamAppend(totals, [event], NO_STREAM))
    return appends


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
