"""Another process of the ingestion tests: takes in reports, and may be killed or starved of disk.

python ingest_process.py EVENTS_DB REPORT QUARANTINE [LARGEST_FILE]

Says `ready`, waits for a line on stdin, and says what became of the report. Few sales go into one
commit, so that a kill hits an attempt in the middle.
"""

import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from write_side import ingestion
from write_side.errors import WriteSideError
from write_side.feed.completeness import Completeness
from write_side.feed.local_folder import LocalFolder, NamedFiles
from write_side.feed.quarantine import Quarantine
from write_side.ingestion import Ingestion
from write_side.intake import KnownFiles, take_in
from write_side.sqlite_event_store import SqliteEventStore

KEY = b"a key of 16 bytes at least"
SALES_IN_COMMIT = 4_000


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def ingest(events: Path, report: Path, quarantine: Path) -> None:
    """Take in a report, or all that wait in a folder."""
    store = SqliteEventStore(events)
    wired = Ingestion(store, Quarantine(quarantine), KEY, lambda: datetime.now(UTC))
    location = (
        LocalFolder(report, Completeness(settle_seconds=0), lambda: 1e12)
        if report.is_dir()
        else NamedFiles([report])
    )
    intake = take_in(wired, location, KnownFiles(None))
    for refusal in intake.refusals:
        say(f"refused {refusal.error}")
    for outcome in intake.outcomes:
        say(f"{outcome.result.value} {outcome.rows}")
    store.close()


if __name__ == "__main__":
    paths = [Path(argument) for argument in sys.argv[1:4]]
    say("ready")
    sys.stdin.readline()
    if sys.argv[4:]:
        limit = int(sys.argv[4])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with mock.patch.object(ingestion, "ROWS_PER_COMMIT", SALES_IN_COMMIT):
        try:
            ingest(*paths)
        except WriteSideError as error:
            say(f"{error.code} {error}")
            sys.exit(1)
