"""Drop locations on this machine: a folder, and files that someone named."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from write_side.errors import (
    FeedUnavailable,
    ReportChanging,
    ReportNameInvalid,
    ReportRefused,
    ReportTooLarge,
)
from write_side.feed.completeness import Completeness, Sighting, Stillness
from write_side.feed.drop_location import MAX_REPORT_BYTES, Listing, WaitingReport
from write_side.feed.report_name import ReportName, is_unfinished, parse_report_name


class _Found(NamedTuple):
    """A regular file as it was seen, and what tells it from another of that size and time."""

    sighting: Sighting
    revision: str


class LocalFolder:
    """Reports in a folder, without its subfolders; a missing folder is made.

    It remembers what it listed, to tell files that still grow: one watcher owns it.
    """

    def __init__(
        self, folder: Path, completeness: Completeness, clock: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._marker = completeness.marker
        self._stillness = Stillness(completeness.settle_seconds)
        self._clock = clock
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unavailable(folder, error) from error

    def list(self) -> Listing:
        """Return what is in the folder now; raises `FeedUnavailable` where it cannot be listed."""
        now = self._clock()
        reports: list[WaitingReport] = []
        refused: list[ReportRefused] = []
        ignored: list[str] = []
        files = self._files()
        for name, found in sorted(files.items()):
            if is_unfinished(name) or self._is_marker(name):
                continue
            try:
                report = parse_report_name(name)
            except ReportNameInvalid as error:
                refused.append(error)
                continue
            if report is None or found is None:
                ignored.append(_printable(name))
                continue
            complete = self._is_complete(name, found.sighting, files.keys(), now)
            key = str(self._folder / name)
            reports.append(_waiting(report, key, found, complete=complete))
        self._stillness.forget_all_but(files)
        reports.sort(key=lambda waiting: (waiting.report.hour, waiting.report.name))
        return Listing(tuple(reports), tuple(refused), tuple(ignored))

    def read(self, waiting: WaitingReport, max_bytes: int = MAX_REPORT_BYTES) -> bytes:
        """Return a listed report's bytes; raises as `DropLocation.read` says."""
        return _read_unchanged(waiting, max_bytes)

    def _files(self) -> dict[str, _Found | None]:
        """Return what each name of the folder stands for: None where it is no regular file."""
        files: dict[str, _Found | None] = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    try:
                        files[entry.name] = _found(entry.stat())
                    except FileNotFoundError:
                        continue  # gone since it was listed, or a link to nowhere
                    except OSError:
                        files[entry.name] = None
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        return files

    def _is_marker(self, name: str) -> bool:
        return bool(self._marker) and name.endswith(self._marker or "")

    def _is_complete(self, name: str, found: Sighting, names: Iterable[str], now: float) -> bool:
        if self._marker:
            return name + self._marker in names
        return self._stillness.stands_still(name, found, now)


class NamedFiles:
    """Reports that someone named one by one: complete by that, whatever their time.

    Raises `ReportNameInvalid` where a path is no file, or its name is no report's.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        reports = [_named_report(path) for path in paths]
        reports.sort(key=lambda waiting: (waiting.report.hour, waiting.key))
        self._listing = Listing(tuple(reports))

    def list(self) -> Listing:
        """Return the named files as they were when they were named."""
        return self._listing

    def read(self, waiting: WaitingReport, max_bytes: int = MAX_REPORT_BYTES) -> bytes:
        """Return a named report's bytes; raises as `DropLocation.read` says."""
        return _read_unchanged(waiting, max_bytes)


def _named_report(path: Path) -> WaitingReport:
    report = parse_report_name(path.name)
    if report is None:
        raise ReportNameInvalid(
            f"not a report: {path}. "
            "Name a file like SalesReport-2026112507.csv, .csv.gz or .csv.zst."
        )
    try:
        found = _found(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        found = None
    except OSError as error:
        raise _unavailable(path, error) from error
    if found is None:
        raise ReportNameInvalid(f"no such file: {path}. Name a report that exists.")
    return _waiting(report, str(path), found, complete=True)


def _read_unchanged(waiting: WaitingReport, max_bytes: int) -> bytes:
    """Read a file that is, before and after, what was listed."""
    listed = _Found(Sighting(waiting.size, waiting.modified_ns), waiting.revision)
    if waiting.size > max_bytes:
        raise ReportTooLarge(
            f"{waiting.size:,} bytes are more than the {max_bytes:,} that a report may have: "
            f"{waiting.key}. Deliver the hour in a smaller file."
        )
    path = Path(waiting.key)
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            data = file.read(waiting.size + 1) if _found(before) == listed else b""
        after = path.stat()
    except FileNotFoundError as error:
        raise _changing(waiting) from error
    except OSError as error:
        raise _unavailable(path, error) from error
    same_file = (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)
    if not (same_file and _found(after) == listed and len(data) == waiting.size):
        raise _changing(waiting)
    return data


def _found(status: os.stat_result) -> _Found | None:
    if not stat.S_ISREG(status.st_mode):
        return None
    # `cp -p` and `rsync -t` keep the time of what they copy, but no inode's time of change.
    revision = f"{status.st_ino}-{status.st_ctime_ns}"
    return _Found(Sighting(status.st_size, status.st_mtime_ns), revision)


def _waiting(report: ReportName, key: str, found: _Found, *, complete: bool) -> WaitingReport:
    seen = found.sighting
    return WaitingReport(report, key, seen.size, seen.modified_ns, complete, found.revision)


def _printable(name: str) -> str:
    """Return a name that any log can hold, though names need not be UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _changing(waiting: WaitingReport) -> ReportChanging:
    return ReportChanging(
        f"the report changed while it was read: {waiting.key}. It is taken once it stands still."
    )


def _unavailable(path: Path, error: OSError) -> FeedUnavailable:
    return FeedUnavailable(
        f"the drop location cannot be read: {path} ({error.strerror or error}). "
        "Check that it exists and may be read."
    )
