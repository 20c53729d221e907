"""Where rejected rows are kept, so that someone can look at them and nothing is lost unseen."""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from write_side.errors import QuarantineUnavailable

_KEPT: Final = re.compile(r"SalesReport-[0-9]{10}(?:\.revision-[0-9]+)?\.rejected\.csv")
_UNFINISHED: Final = re.compile(r"\.SalesReport-[0-9]{10}\.rejected\..*\.tmp")


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

    def keep(
        self, stamp: str, rejected: pl.DataFrame, earlier_revision: int | None = None
    ) -> Path | None:
        """Keep a report's rejected rows (`report_parser.REJECTED_SCHEMA`) and return where.

        The file is on the disk, whole, before this returns; where no row is rejected there is none
        and the answer is None. Rows of an earlier revision stay beside it under
        `.revision-N.rejected.csv`; N is `earlier_revision`, or the first from there (else from 1)
        that is free. The same rows again change nothing. Raises `QuarantineUnavailable`.
        """
        path = self.path_of(stamp)
        content = _csv(rejected) if rejected.height else None
        try:
            if content is None and not path.exists():
                return None
            self._make_folder()
            with _locked(self._folder) as folder:
                self._put(path, stamp, content, earlier_revision or 1)
                os.fsync(folder)
        except OSError as error:
            raise _unavailable(self._folder, error) from error
        return path if content is not None else None

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

    def _put(self, path: Path, stamp: str, content: bytes | None, revision: int) -> None:
        earlier = path.read_bytes() if path.exists() else None
        if earlier == content:
            return
        if earlier is not None:
            self._keep_beside(path, stamp, earlier, revision)
        if content is None:
            path.unlink()
        else:
            _replace(path, content)

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
    return rejected.write_csv(quote_style="non_numeric").encode()


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
