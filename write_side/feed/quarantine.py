"""Where rejected rows are kept, so that someone can look at them and nothing is lost unseen."""

import fcntl
import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from write_side.errors import QuarantineUnavailable

_KEPT: Final = re.compile(r"SalesReport-[0-9]{10}(?:\.(?:revision|attempt)-[0-9]+)?\.rejected\.csv")
_UNFINISHED: Final = re.compile(r"\.SalesReport-[0-9]{10}(?:\.attempt-[0-9]+)?\.rejected\..*\.tmp")


@dataclass(frozen=True, slots=True)
class KeptRevision:
    """A revision of an hour's report, as far as it matters to its rejected rows."""

    number: int
    attempt: int
    """The one that it was made by."""
    rejected_rows: int


class Quarantine:
    """A folder with one file of rejected rows for each report that has any.

    Several processes may write to it at once. The files hold raw lines, customers' ids included,
    so only their owner may read them. The folder is made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, stamp: str) -> Path:
        """Return where the rejected rows of an hour's report in force stand."""
        return self._folder / f"SalesReport-{stamp}.rejected.csv"

    def keep(self, stamp: str, rejected: pl.DataFrame, attempt: int, *, alone: bool) -> Path | None:
        """Keep the rejected rows (`record_splitter.REJECTED_SCHEMA`) of an attempt at a report.

        They are on the disk, whole, before this returns, under the attempt's own name: whether they
        are those of the report in force is not known before it closed, and `settle` gives them
        that name then. `alone` says that the hour has no revision yet: then they get it at once
        where it is free. Returns where the rows will stand, None where none is rejected. Raises
        `QuarantineUnavailable`.
        """
        if not rejected.height:
            return None
        path = self.path_of(stamp)
        content = _csv(rejected)
        try:
            self._make_folder()
            with _locked(self._folder) as folder:
                if not (path.exists() and path.read_bytes() == content):
                    own = self._own_path(stamp, attempt)
                    _replace(own, content)
                    if alone:
                        with suppress(FileExistsError):
                            path.hardlink_to(own)
                os.fsync(folder)
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        return path

    def settle(self, stamp: str, revisions: Sequence[KeptRevision]) -> None:
        """Give the rejected rows of an hour's closed revisions their names.

        `revisions` are all of the hour, oldest first. Those of the last go to `path_of`, those that
        stood there stay beside it under `.revision-N.rejected.csv`; where that name is taken, N is
        the first free one from there. Rows of attempts that never closed keep their own names.
        Calling it again changes nothing, and after a crash it goes on. Raises
        `QuarantineUnavailable`.
        """
        if not revisions:
            return
        last = revisions[-1]
        try:
            waiting = any(self._own_path(stamp, one.attempt).exists() for one in revisions)
            if not waiting and (last.rejected_rows or not self.path_of(stamp).exists()):
                return
            with _locked(self._folder) as folder:
                for revision in self._unsettled(stamp, revisions):
                    self._settle(stamp, revision)
                os.fsync(folder)
        except OSError as error:
            raise _unavailable(self._folder, error) from error

    def purge(self, older_than: timedelta, now: datetime) -> int:
        """Delete what was kept longer ago than that, and return how many files it was.

        Leftovers of writers that died go too. `now` is an aware instant. Raises
        `QuarantineUnavailable`.
        """
        oldest = (now - older_than).timestamp()
        deleted = 0
        try:
            if not self._folder.exists():
                return 0
            for path in sorted(self._folder.iterdir()):
                kept = _KEPT.fullmatch(path.name)
                if not kept and not _UNFINISHED.fullmatch(path.name):
                    continue
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()
                        deleted += bool(kept)
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        return deleted

    def _make_folder(self) -> None:
        if self._folder.is_dir():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        parent = os.open(self._folder.parent, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)

    def _own_path(self, stamp: str, attempt: int) -> Path:
        return self._folder / f"SalesReport-{stamp}.attempt-{attempt}.rejected.csv"

    def _unsettled(self, stamp: str, revisions: Sequence[KeptRevision]) -> Sequence[KeptRevision]:
        """Return the revisions from the first on whose rows wait for their name, or the last."""
        # A content that was taken back and came again has two revisions of one attempt.
        by_attempt = {revision.attempt: place for place, revision in enumerate(revisions)}
        waiting = (
            place
            for attempt, place in by_attempt.items()
            if self._own_path(stamp, attempt).exists()
        )
        return revisions[min(waiting, default=len(revisions) - 1) :]

    def _settle(self, stamp: str, revision: KeptRevision) -> None:
        path, own = self.path_of(stamp), self._own_path(stamp, revision.attempt)
        content = own.read_bytes() if own.exists() else None
        if content is None and revision.rejected_rows:
            return
        there = path.read_bytes() if path.exists() else None
        if there is not None and there != content and not self._is_kept_elsewhere(path, stamp):
            self._keep_beside(path, stamp, there, max(1, revision.number - 1))
        if content is None:
            path.unlink(missing_ok=True)
        elif there == content:
            own.unlink()
        else:
            own.replace(path)

    def _is_kept_elsewhere(self, path: Path, stamp: str) -> bool:
        """Tell whether a file is that of an attempt which never closed: its own name stays."""
        attempts = self._folder.glob(f"SalesReport-{stamp}.attempt-*.rejected.csv")
        return any(own.samefile(path) for own in attempts)

    def _keep_beside(self, path: Path, stamp: str, earlier: bytes, revision: int) -> None:
        """Give a file a second name of its own; a crash before the first is replaced loses none."""
        while True:
            beside = self._folder / f"SalesReport-{stamp}.revision-{revision}.rejected.csv"
            try:
                # A link fails where the name is taken, and keeps the time that `purge` goes by.
                beside.hardlink_to(path)
            except FileExistsError:
                if beside.read_bytes() == earlier:
                    return
                revision += 1
            else:
                return


def _csv(rejected: pl.DataFrame) -> bytes:
    """Return rows as RFC 4180, texts always in quotes: raw lines stand exactly as they were."""
    buffer = io.BytesIO()
    rejected.write_csv(buffer, quote_style="non_numeric")
    return buffer.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write a file beside and rename it into place once it is on the disk."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the folder's lock, which ends with the process at the latest; yield its descriptor."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _unavailable(folder: Path, error: OSError) -> QuarantineUnavailable:
    return QuarantineUnavailable(
        f"rejected rows cannot be kept: {folder} ({error.strerror or error}). "
        "Make room, or make the folder writable, and ingest again."
    )
