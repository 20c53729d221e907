"""`topsellers ingest`: take reports in, those that were named or all that wait in the feed."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from topsellers.cli.failures import REFUSED, describe_failure, tell
from topsellers.cli.options import FeedOptions, JsonFlag, settings_of
from topsellers.cli.terminal import counted, progress, say, say_json, took
from topsellers.settings import Settings

if TYPE_CHECKING:
    from write_side.ingestion import IngestOutcome
    from write_side.intake import Intake


def ingest(
    *file: Annotated[Path, Parameter(help="Reports; without any, all complete ones of the feed.")],
    correct: Annotated[
        bool, Parameter(negative=(), help="Replace hours that were ingested with another content.")
    ] = False,
    json: JsonFlag = False,
    options: FeedOptions = FeedOptions(),  # noqa: B008  (frozen)
) -> int:
    """Take reports in: the named ones, or all that wait in the feed."""
    settings = settings_of(options)
    from topsellers.composition import (
        known_files,
        make_ingestion,
        open_feed,
        opened_store,
        purge_quarantine,
    )
    from write_side.feed.local_folder import NamedFiles
    from write_side.intake import KnownFiles, take_in

    location = NamedFiles(file) if file else None
    with opened_store(settings) as opened:
        ingestion = make_ingestion(settings, opened.store)
        purge_quarantine(settings)
        known = KnownFiles(None) if file else known_files(settings)
        told = _Told(settings, json=json, named=bool(file))
        with progress("Taking reports in"):
            intake = take_in(
                ingestion, location or open_feed(settings), known, correct=correct, told=told.hear
            )
    for name, message in _left(intake, named=bool(file)):
        tell(f"topsellers: {message if message.startswith(name) else f'{name}: {message}'}")
    if json:
        say_json(_body(settings, intake, told.seconds))
    elif not told.said and not intake.refusals and not intake.unready:
        say(_nothing_new(intake))
    return REFUSED if intake.refusals or (file and intake.unready) else 0


def outcome_line(settings: Settings, outcome: "IngestOutcome", seconds: float) -> str:
    """Return the one line that tells of a report: what, how much, how long."""
    if outcome.result.value == "unchanged":
        return f"{outcome.name}  unchanged: ingested before ({counted(outcome.rows, 'row')})"
    from topsellers.composition import shown_path

    parts = [counted(outcome.rows, "row")]
    if outcome.quarantine is not None:
        place = shown_path(settings, outcome.quarantine)
        parts.append(f"{outcome.rejected_rows:,} rejected ({place})")
    if outcome.result.value == "corrected":
        parts.append(f"revision {outcome.revision}")
    return f"{outcome.name}  {', '.join(parts)}  {took(seconds)}"


class _Told:
    """Prints reports as they are done, and keeps how long each took."""

    def __init__(self, settings: Settings, *, json: bool, named: bool) -> None:
        self._settings = settings
        self._json = json
        self._named = named
        self._since = time.monotonic()
        self.seconds: list[float] = []
        self.said = False

    def hear(self, outcome: "IngestOutcome") -> None:
        now = time.monotonic()
        self.seconds.append(now - self._since)
        self._since = now
        # A year's feed is mostly of known reports: only who named one wants to hear of it.
        if not self._json and (self._named or outcome.result.value != "unchanged"):
            say(outcome_line(self._settings, outcome, self.seconds[-1]))
            self.said = True


def _left(intake: "Intake", *, named: bool) -> list[tuple[str, str]]:
    """Return what is told of files that were not taken: names and messages."""
    left = [(refusal.name, describe_failure(refusal.error).message) for refusal in intake.refusals]
    if named:
        left += [(name, "it changed while it was read. Try again.") for name in intake.unready]
    elif intake.unready:
        left.append((", ".join(intake.unready), "still being written, so left for later."))
    if intake.ignored:
        left.append((", ".join(intake.ignored), "ignored, as that is no report's file."))
    return left


def _nothing_new(intake: "Intake") -> str:
    return f"Nothing new: {counted(len(intake.outcomes), 'report')} in the feed, all known."


def _body(settings: Settings, intake: "Intake", seconds: list[float]) -> dict[str, Any]:
    from write_side.hours import format_stamp

    return {
        "reports": [
            {
                "name": outcome.name,
                "hour": format_stamp(outcome.hour),
                "result": outcome.result.value,
                "rows": outcome.rows,
                "rejected_rows": outcome.rejected_rows,
                "revision": outcome.revision,
                "version": outcome.version,
                "quarantine": None if outcome.quarantine is None else str(outcome.quarantine),
                "seconds": round(spent, 3),
            }
            for outcome, spent in zip(intake.outcomes, seconds, strict=True)
        ],
        "refused": [
            {
                "name": refusal.name,
                "code": refusal.error.code,
                "message": describe_failure(refusal.error).message,
            }
            for refusal in intake.refusals
        ],
        "unready": intake.unready,
        "ignored": list(intake.ignored),
    }
