"""One writer of a SQLite file at a time, over all threads and processes of a host.

SQLite has a lock of its own for that. This one stands before it for two reasons. Up to release
3.51.2, a commit during another connection's checkpoint can lose stored pages (the "WAL-reset
bug"); commits checkpoint, so they must not overlap. And who waits here looks again after a
millisecond, where SQLite's waits grow to a tenth of a second.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

_POLL_SECONDS: Final = 0.001


class WriteTurn:
    """The right to write: an advisory lock on a file beside the database.

    Each process has its own; a forked child must make a new one, since a thread of its parent may
    have held this one.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._threads = Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the turn; blocks for `timeout` seconds at most.

        Raises `TimeoutError` after it, and `OSError` where the lock file cannot be opened.
        """
        deadline = time.monotonic() + self._timeout
        if not self._threads.acquire(timeout=self._timeout):
            raise TimeoutError
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock_before(deadline, file)
                try:
                    yield
                finally:
                    # Closing is not enough: a child forked meanwhile has the same lock open.
                    fcntl.flock(file, fcntl.LOCK_UN)
            finally:
                os.close(file)
        finally:
            self._threads.release()


def _lock_before(deadline: float, file: int) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(_POLL_SECONDS)
        else:
            return
