"""From a drop location to events: what waits there is taken in the order of the reports' hours.

A file that was read once is known by its size, time and what else the drop location tells it from
another by, so that a folder of a year's reports is not read anew each time; what is done with it
still follows from the event store alone. Who asks for a correction has every file read.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from write_side.errors import ReportChanging, ReportRefused, ReportTooLarge
from write_side.feed.content import checksum, uncompressed
from write_side.feed.drop_location import DropLocation, WaitingReport
from write_side.ingestion import (
    Ingestion,
    IngestOutcome,
    check_hour,
    ingest_report,
    settle_rejected_rows,
    unchanged,
    would_change,
)
from write_side.report_history import ReportHistory, catch_up

_NAME: Final = re.compile(r"SalesReport-[0-9]{10}\.csv(\.gz|\.zst)?")


class KnownFiles:
    """Checksums of files that were read before, by what each was known by; kept in one small file.

    Losing it costs reading the files again, nothing else, so what cannot be kept is left.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._checksums: dict[str, str] = {}
        if path is not None and path.exists():
            try:
                self._checksums = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
            except (OSError, msgspec.DecodeError):
                self._checksums = {}

    def checksum(self, waiting: WaitingReport) -> str | None:
        """Return the SHA-256 of a file's content, null where it was not read before."""
        return self._checksums.get(_identity(waiting))

    def remember(self, waiting: WaitingReport, sha256: str) -> None:
        """Keep a file's checksum."""
        self._checksums[_identity(waiting)] = sha256

    def forget_all_but(self, waiting: Iterable[WaitingReport]) -> None:
        """Drop what is known of files that are gone, or are others now."""
        kept = set(map(_identity, waiting))
        self._checksums = {key: known for key, known in self._checksums.items() if key in kept}

    def save(self) -> None:
        """Write what is known; a folder that can't be written is no error."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self._path.parent, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(self._checksums))
                Path(temporary).replace(self._path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError:
            return


@dataclass(frozen=True)
class Refusal:
    """A report that was not taken, and why."""

    name: str
    error: ReportRefused


@dataclass
class Intake:
    """What one pass over a drop location did."""

    outcomes: list[IngestOutcome] = field(default_factory=list)
    """The complete reports, also those that changed nothing."""
    refusals: list[Refusal] = field(default_factory=list)
    unready: list[str] = field(default_factory=list)
    """Reports that are still being written, or changed while they were read: left for later."""
    ignored: tuple[str, ...] = ()
    """Names that are no report's."""


def take_in(
    ingestion: Ingestion,
    location: DropLocation,
    known: KnownFiles,
    *,
    correct: bool = False,
    told: Callable[[IngestOutcome], None] = lambda outcome: None,
) -> Intake:
    """Take in every complete report that waits, oldest hour first; blocks while it works.

    `told` hears of each report as soon as it is done. A report that is refused never holds up the
    next. Raises `FeedUnavailable`, `QuarantineUnavailable`, `EventStoreUnavailable`.
    """
    listing = location.list()
    intake = Intake(ignored=listing.ignored)
    intake.refusals += [Refusal(_name_of(error), error) for error in listing.refused]
    history = ReportHistory()
    for waiting in listing.reports:
        if not waiting.complete:
            intake.unready.append(waiting.report.name)
            continue
        try:
            outcome = _take_one(ingestion, location, known, history, waiting, correct=correct)
        except ReportRefused as error:
            intake.refusals.append(Refusal(waiting.report.name, error))
        except ReportChanging:
            intake.unready.append(waiting.report.name)
        except MemoryError:
            refused = ReportTooLarge(
                f"there is not the memory to read it: {waiting.report.name}. "
                "Deliver the hour in a smaller file, or give the process more"
            )
            intake.refusals.append(Refusal(waiting.report.name, refused))
        else:
            intake.outcomes.append(outcome)
            told(outcome)
    known.forget_all_but(listing.reports)
    known.save()
    return intake


def _take_one(
    ingestion: Ingestion,
    location: DropLocation,
    known: KnownFiles,
    history: ReportHistory,
    waiting: WaitingReport,
    *,
    correct: bool,
) -> IngestOutcome:
    report = waiting.report
    check_hour(report.hour, report.name, ingestion.now())
    sha256 = None if correct else known.checksum(waiting)
    if sha256 is not None:
        catch_up(history, ingestion.store)
        if not would_change(history, report.hour, sha256, correct=correct):
            settle_rejected_rows(ingestion, history, report.hour)
            return unchanged(history, report, sha256)
    content = uncompressed(location.read(waiting), report)
    sha256 = checksum(content)
    known.remember(waiting, sha256)
    return ingest_report(ingestion, report, content, sha256, correct=correct, history=history)


def _identity(waiting: WaitingReport) -> str:
    return f"{waiting.key}\n{waiting.size}\n{waiting.modified_ns}\n{waiting.revision}"


def _name_of(error: ReportRefused) -> str:
    found = _NAME.search(str(error))
    return found.group() if found else "a report"
