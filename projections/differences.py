"""What verification found to differ, each in one clear line."""

from collections.abc import Iterable
from typing import Final

import msgspec

KEPT_DIFFERENCES: Final = 1_000
"""Differences named one by one; beyond it they are only counted."""


class Difference(msgspec.Struct, frozen=True):
    """One place at which the read model is not what the events say."""

    partition: int
    category: str | None
    """Null where it concerns a whole partition or one of its tables."""
    window: str | None
    """A `RankingWindow` value."""
    order: str | None
    """What the rows are sorted by: `product`, `units` or `revenue`."""
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        """Return the one line that people read."""
        named = (("category", self.category), ("window", self.window), ("by", self.order))
        where = [f"partition {self.partition:02d}"]
        where += [f"{name} {value}" for name, value in named if value is not None]
        return f"{', '.join(where)}: {self.what}: expected {self.expected}, found {self.found}"


class Differences:
    """Keeps the first differences, and counts all."""

    def __init__(self, keep: int = KEPT_DIFFERENCES) -> None:
        self.kept: list[Difference] = []
        self.count = 0
        self._keep = keep

    @property
    def room(self) -> int:
        """How many more are kept."""
        return self._keep - len(self.kept)

    def add(self, difference: Difference) -> None:
        """Count a difference, and keep it where there is room."""
        self.extend([difference], 1)

    def extend(self, some: Iterable[Difference], count: int) -> None:
        """Count `count` differences, of which `some` are given one by one."""
        self.count += count
        for difference in some:
            if self.room <= 0:
                break
            self.kept.append(difference)
