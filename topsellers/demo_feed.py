"""The demo's shop: a first batch of hours at once, then an hour every few seconds.

It begins some months ago, so that its hours never lie in the future however long it runs; once it
has come to the present, an hour comes when it has passed.
"""

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from topsellers.generate import generate_report, write_report
from write_side.hours import hour_of

FIRST_HOURS: Final = 30
"""At once: a whole day, its previous ranks, and some history."""
HOUR_SECONDS: Final = 5.0
"""An hour of the shop."""
HOURS_BACK: Final = 120 * 24
"""Enough for four hours of demo."""
KEPT_FILES: Final = 48
"""Reports that stay in the feed: what was taken is in the event store."""
ROWS: Final = 1_500
PRODUCTS: Final = 1_200
CATEGORIES: Final = 8
SEED: Final = 20


class DemoFeed:
    """Writes the demo's reports into a folder."""

    def __init__(
        self, folder: Path, newest: int | None, now: Callable[[], datetime] | None = None
    ) -> None:
        """Go on after `newest`, an hour that was ingested before, or begin months ago."""
        self._folder = folder
        self._now = now or (lambda: datetime.now(UTC))
        first = hour_of(self._now()) - HOURS_BACK
        self._hour = first if newest is None else max(first, newest + 1)
        self._due = 0.0
        self._files: deque[Path] = deque()

    def begin(self) -> None:
        """Write the first batch."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for _ in range(FIRST_HOURS):
            self._write()
        self._due = time.monotonic() + HOUR_SECONDS

    def look(self) -> Path | None:
        """Write the next hour if it is due, and return it. To be called every second or so."""
        if time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + HOUR_SECONDS
        return self._write()

    def _write(self) -> Path | None:
        if self._hour >= hour_of(self._now()):
            return None
        report = generate_report(self._hour, ROWS, PRODUCTS, CATEGORIES, SEED)
        self._files.append(write_report(self._folder, self._hour, report))
        self._hour += 1
        if len(self._files) > KEPT_FILES:
            self._files.popleft().unlink(missing_ok=True)
        return self._files[-1]
