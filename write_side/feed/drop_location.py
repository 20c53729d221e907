"""The port to the place where shops drop their reports.

It speaks of keys, sizes and bytes only, so that a folder and an object store serve alike.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from write_side.errors import ReportRefused
from write_side.feed.report_name import ReportName

MAX_REPORT_BYTES: Final = 1024**3
"""Of a file, and of its content when uncompressed."""
MAX_REPORT_LINES: Final = 20_000_000
"""Of the content: each costs memory, however little is on it."""


@dataclass(frozen=True, slots=True)
class WaitingReport:
    """A report's file as it was listed."""

    report: ReportName
    key: str
    """Where the drop location has it: a path, an object's key."""
    size: int
    """Bytes as stored, compressed or not."""
    modified_ns: int
    """Nanoseconds since 1970 of its last change."""
    complete: bool
    """Whether it may be taken."""
    revision: str = ""
    """What else tells this content from another of the same size and time: an object's ETag."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a drop location holds at one moment."""

    reports: tuple[WaitingReport, ...] = ()
    """In the order of their hours, then names; also those that are not complete yet."""
    refused: tuple[ReportRefused, ...] = ()
    """One error for each file that is meant as a report but names no hour."""
    ignored: tuple[str, ...] = ()
    """Other names, sorted; without markers and files under way."""


class DropLocation(Protocol):
    """Where reports wait. Nothing in it is ever moved or changed. Calls block."""

    def list(self) -> Listing:
        """Return what is there now; raises `FeedUnavailable` where it cannot be listed."""

    def read(self, waiting: WaitingReport, max_bytes: int = MAX_REPORT_BYTES) -> bytes:
        """Return the bytes of a listed report, as stored.

        Raises `ReportChanging` where it is gone, or is not, before and after, what was listed;
        `ReportTooLarge` where it has more than `max_bytes`; `FeedUnavailable` where it cannot be
        read.
        """
