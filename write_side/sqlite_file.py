"""The SQLite file of an event store: how it is made, opened and recognised."""

import os
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from write_side.errors import EventStoreCorrupted, EventStoreError, EventStoreUnavailable

FORMAT_VERSION: Final = 1
"""Of the tables and of the batches in them; kept in the file as `user_version`."""

_APPLICATION_ID: Final = 0x746F7053
"""Marks a SQLite file as an event store of ours: "topS" in ASCII."""

_PAGE_BYTES: Final = 8_192
"""Measured: 4 kB pages cost a tenth more time, above 8 kB small appends write more than needed."""

_CHECKPOINT_PAGES: Final = 2_048
_WAL_BYTES_KEPT: Final = 64 << 20

# The blob comes last, so that the columns before it are read without it. `next_version` is there
# so that batches missing at a stream's end are noticed.
_TABLES: Final = """
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    next_version INTEGER NOT NULL
);
CREATE TABLE batches (
    stream_id INTEGER NOT NULL REFERENCES streams (id),
    first_version INTEGER NOT NULL,
    count INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    traceparent TEXT,
    checksum INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE UNIQUE INDEX batch_places ON batches (stream_id, first_version);
"""

SQLITE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What a call of the `sqlite3` module raises; the latter where damage is in its own message."""

_DAMAGED: Final = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CONSTRAINT,
)
_NOT_WRITABLE: Final = "Make the file and its folder writable"
_FAILURES: Final = {
    sqlite3.SQLITE_BUSY: ("another program keeps it locked", "Try again"),
    sqlite3.SQLITE_FULL: ("the disk is full", "Free some space and try again"),
    sqlite3.SQLITE_IOERR: ("the disk failed", "See to its space and health, then try again"),
    sqlite3.SQLITE_READONLY: ("it is read-only", _NOT_WRITABLE),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", _NOT_WRITABLE),
    sqlite3.SQLITE_PERM: ("it cannot be opened", _NOT_WRITABLE),
}
"""What happened and what to do, for each of SQLite's primary result codes that users may meet."""


def connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Open an existing file for one thread at a time; raises `sqlite3.Error`.

    No statement of it starts a transaction by itself.
    """
    # Not through a memory map: an I/O error would end the process by a signal.
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    # Text that damage made unreadable is left to the batch's checksum.
    connection.text_factory = lambda text: text.decode(errors="replace")
    try:
        for setting in (
            "synchronous = FULL",
            "fullfsync = ON",
            "checkpoint_fullfsync = ON",
            "cache_size = -8192",
            f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            f"journal_size_limit = {_WAL_BYTES_KEPT}",
            "cell_size_check = ON",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_made(connection: sqlite3.Connection) -> bool:
    """Tell whether a file has tables or a format, whosever they are; raises `sqlite3.Error`."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(version or tables)


def make(path: Path, busy_seconds: float) -> None:
    """Make the file, readable by its owner alone, and its tables; the caller has the write turn.

    Does nothing where another process was first, and goes on where one was interrupted. Raises
    `sqlite3.Error`, `OSError` and `EventStoreUnavailable`.
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = connect(path, busy_seconds)
    try:
        if is_made(connection):
            return
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise EventStoreUnavailable(
                f"event store {path} lies on a file system without shared memory. "
                "Put it on a local disk"
            )
        connection.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {_APPLICATION_ID};"
            f"PRAGMA user_version = {FORMAT_VERSION}; COMMIT;"
        )
    finally:
        connection.close()


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `EventStoreUnavailable` where a file is no event store that this release reads."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != _APPLICATION_ID:
        raise EventStoreUnavailable(
            f"{path} is a SQLite database, but no event store. Name another file"
        )
    if version != FORMAT_VERSION:
        raise EventStoreUnavailable(
            f"event store {path} has format {version}, this release reads {FORMAT_VERSION}. "
            "Use the release that wrote it"
        )


def failure(path: Path, error: sqlite3.Error | UnicodeDecodeError | OSError) -> EventStoreError:
    """Return what a failed call means to the user of the store."""
    if isinstance(error, OSError):
        return EventStoreUnavailable(
            f"event store {path}: {error.strerror or error}. {_NOT_WRITABLE}"
        )
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED or isinstance(error, UnicodeDecodeError):
        return EventStoreCorrupted(f"event store {path} is damaged ({error}). Restore a backup")
    what, advice = _FAILURES.get(code, ("it cannot be used", "Try again"))
    return EventStoreUnavailable(f"event store {path}: {what} ({error}). {advice}")
