"""The connections of a process to a SQLite event store, and what its threads tell each other."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, RLock
from typing import Final
from weakref import WeakMethod

from write_side.errors import EventStoreUnavailable
from write_side.sqlite_file import SQLITE_ERRORS, check, connect, failure, is_made, make
from write_side.sqlite_write_turn import WriteTurn

_KEPT_OPEN: Final = 8
"""Connections that wait for their next use; more are opened when more threads ask at once."""


class SqliteConnections:
    """Lends each caller a connection of its own, in whichever thread or forked child it runs.

    `busy_seconds` is how long a call waits for other writers.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._idle: list[sqlite3.Connection] = []
        self._lent = 0
        self._writes = 0
        self._closed = False
        self._reset()
        self._open()
        self._keep_away_from_forks()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection; what the block reads should be read to its end, and soon.

        Raises `EventStoreUnavailable` and `EventStoreCorrupted` for all that SQLite raises.
        """
        connection = self._lend()
        try:
            yield connection
        except SQLITE_ERRORS as error:
            self._take_back(connection, usable=False)
            raise failure(self._path, error) from error
        except BaseException:
            connection.rollback()
            self._take_back(connection)
            raise
        self._take_back(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection in a transaction: committed, or as if it had never been.

        Blocks while others write. Raises as `reading`.
        """
        try:
            with self._turn.taken(), self.reading() as connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
        except TimeoutError as error:
            raise self._busy() from error
        except OSError as error:
            raise failure(self._path, error) from error
        with self._changed:
            self._writes += 1
            self._changed.notify_all()

    def writes(self) -> int:
        """Return how often this process has written: a mark for `await_write`."""
        return self._writes

    def await_write(self, mark: int, timeout: float) -> None:
        """Block until this process has written since the mark, or closes, or time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._writes != mark, timeout)

    def close(self) -> None:
        """Close all connections; those in use are closed when they come back."""
        with self._changed:
            self._closed = True
            self._close_idle()
            self._changed.notify_all()

    def _open(self) -> None:
        """Make the file where it is missing, and see whether it is an event store."""
        if self._path.is_dir():
            raise EventStoreUnavailable(f"event store {self._path} is a folder. Name a file in it")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = self._connect_to_made()
        except TimeoutError as error:
            raise self._busy() from error
        except SQLITE_ERRORS as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise EventStoreUnavailable(
                    f"{self._path} is no SQLite database. Name another file"
                ) from error
            raise failure(self._path, error) from error
        except OSError as error:
            raise failure(self._path, error) from error
        self._idle.append(connection)

    def _connect_to_made(self) -> sqlite3.Connection:
        if not self._path.exists():
            self._make()
        connection = connect(self._path, self._busy_seconds)
        try:
            if not is_made(connection):
                connection.close()
                self._make()
                connection = connect(self._path, self._busy_seconds)
            check(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make(self) -> None:
        with self._turn.taken():
            make(self._path, self._busy_seconds)

    def _lend(self) -> sqlite3.Connection:
        with self._changed:
            if self._closed:
                raise EventStoreUnavailable(f"event store {self._path} is closed. Open it anew")
            self._lent += 1
            if self._idle:
                return self._idle.pop()
        try:
            return connect(self._path, self._busy_seconds)
        except BaseException as error:
            self._take_back(None)
            if isinstance(error, SQLITE_ERRORS):
                raise failure(self._path, error) from error
            raise

    def _take_back(self, connection: sqlite3.Connection | None, *, usable: bool = True) -> None:
        with self._changed:
            self._lent -= 1
            if connection is not None:
                if usable and not self._closed and len(self._idle) < _KEPT_OPEN:
                    self._idle.append(connection)
                else:
                    connection.close()
            self._all_back.notify_all()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _busy(self) -> EventStoreUnavailable:
        return EventStoreUnavailable(
            f"event store {self._path}: others have been writing for "
            f"{self._busy_seconds:g} seconds. Try again"
        )

    def _reset(self) -> None:
        lock = self._path.with_name(self._path.name + "-lock")
        changing = RLock()
        self._changed = Condition(changing)
        self._all_back = Condition(changing)
        self._turn = WriteTurn(lock, self._busy_seconds)

    def _keep_away_from_forks(self) -> None:
        """See that no connection is open in the moment of a fork.

        A child may neither use nor close what it inherits; and while SQLite in the child takes
        the parent's locks for its own, even a new connection to the same file is not safe.
        """
        before = WeakMethod(self._before_fork)
        in_parent = WeakMethod(self._after_fork_in_parent)
        in_child = WeakMethod(self._reset)
        os.register_at_fork(
            before=lambda: _call(before),
            after_in_parent=lambda: _call(in_parent),
            after_in_child=lambda: _call(in_child),
        )

    def _before_fork(self) -> None:
        self._changed.acquire()
        self._all_back.wait_for(lambda: self._lent == 0, self._busy_seconds)
        self._close_idle()

    def _after_fork_in_parent(self) -> None:
        self._changed.release()


def _call(method: WeakMethod[Callable[[], None]]) -> None:
    alive = method()
    if alive is not None:
        alive()
