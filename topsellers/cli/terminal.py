"""What commands print, and how they show that they are at work."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

_PATIENCE_SECONDS: Final = 1.0
"""Work that is done by then shows no progress."""
_MINUTE: Final = 60.0

Advance = Callable[[int, int], None]
"""Takes how much is done, and of how much."""


def say(line: str) -> None:
    """Print a line on stdout."""
    print(line, flush=True)  # noqa: T201


def say_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    say(msgspec.json.encode(value).decode())


def took(seconds: float) -> str:
    """Return how long something took: `1.3 s`, `2 min 05 s`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return `1 report`, `1,390,000 reports`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show a progress bar on a terminal once work takes longer than a second; yields its `Advance`.

    It stands on stderr, and is gone at the end.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda done, of: None
        return
    bar = _LateBar(what)
    timer = threading.Timer(_PATIENCE_SECONDS, bar.show)
    timer.daemon = True
    timer.start()
    try:
        yield bar.advance
    finally:
        timer.cancel()
        bar.close()


class _LateBar:
    """A bar that appears later than its first steps."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._done = 0
        self._of: int | None = None
        self._bar: Any = None
        self._closed = False

    def advance(self, done: int, of: int) -> None:
        with self._lock:
            self._done, self._of = done, of
            if self._bar is not None:
                self._bar.update(0, completed=done, total=of)

    def show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        with self._lock:
            if self._closed:
                return
            # rich keeps to NO_COLOR by itself.
            self._bar = Progress(
                console=Console(stderr=True),
                transient=True,
                # Lines for the same terminal go above the bar; those for a file stay out of it.
                redirect_stdout=sys.stdout.isatty(),
            )
            self._bar.add_task(self._what, total=self._of, completed=self._done)
            self._bar.start()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._bar is not None:
                self._bar.stop()
