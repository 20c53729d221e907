"""What was done to a feed, in order, and which hours count and are the newest after each step."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import polars as pl

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Operation:
    """One accepted operation; its place in the sequence is the version that it makes.

    `hour` counts whole hours since 1970 UTC. `report` is a file, or a frame of (category_id,
    product_id, quantity, amount_minor), a return's quantity and amount below 0; a withdrawal has
    none.
    """

    kind: Literal["ingest", "correct", "withdraw"]
    hour: int
    report: Path | pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if (self.report is None) != (self.kind == "withdraw"):
            raise ValueError(f"{self.kind} of hour {self.hour} with report {self.report}")


def hour_end(hour: int) -> datetime:
    return EPOCH + timedelta(hours=hour + 1)


class Timeline:
    """Which hours are in force, and which is the newest, at each version."""

    def __init__(self) -> None:
        self._in_force: list[frozenset[int]] = []

    def record(self, operation: Operation) -> int:
        """Add the next operation and return its version; `ValueError` where it cannot be."""
        before = self._in_force[-1] if self._in_force else frozenset()
        if operation.kind == "ingest" and operation.hour in before:
            raise ValueError(f"hour {operation.hour} was ingested before: correct it")
        if operation.kind == "withdraw" and operation.hour not in before:
            raise ValueError(f"hour {operation.hour} is not in force")
        after = (
            before - {operation.hour} if operation.kind == "withdraw" else before | {operation.hour}
        )
        self._in_force.append(after)
        return len(self._in_force) - 1

    @property
    def last_version(self) -> int:
        """-1 before the first operation."""
        return len(self._in_force) - 1

    def newest(self, version: int) -> int | None:
        """The newest hour in force; None where none is."""
        self._check(version)
        return max(self._in_force[version], default=None)

    def newest_hours(self, version: int) -> dict[int, int]:
        """Each hour that was ever the newest, and the last version at which it was."""
        self._check(version)
        last: dict[int, int] = {}
        for at in range(version + 1):
            hour = self.newest(at)
            if hour is not None:
                last[hour] = at
        return last

    def as_of(self, version: int) -> datetime | None:
        """The end of the newest hour, or of the last that was, where none is in force now."""
        self._check(version)
        ends = [hour for hour in map(self.newest, range(version + 1)) if hour is not None]
        return hour_end(ends[-1]) if ends else None

    def previous_version(self, version: int) -> int | None:
        """The last version at which the preceding newest hour was the newest.

        The preceding newest hour is the greatest before the newest one that is in force and was
        the newest at some version; a late report's hour never was.
        """
        newest = self.newest(version)
        if newest is None:
            return None
        earlier = {
            hour: at
            for hour, at in self.newest_hours(version).items()
            if hour < newest and hour in self._in_force[version]
        }
        return earlier[max(earlier)] if earlier else None

    def published_version(self, instant: datetime, version: int) -> int | None:
        """The version that answers `as_of` an instant; None where no hour had ended then."""
        hours = self.newest_hours(version)
        ended = [hour for hour in hours if hour_end(hour) <= instant]
        return hours[max(ended)] if ended else None

    def _check(self, version: int) -> None:
        if not 0 <= version < len(self._in_force):
            raise IndexError(f"version {version} of {len(self._in_force)}")


def files_in_order(folder: Path, now: datetime) -> Sequence[Operation]:
    """The reports of a feed's folder in the order of their hours, without those of the future."""
    named: dict[int, Path] = {}
    for path in sorted(folder.glob("SalesReport-*.csv*")):
        stamp, _, ending = path.name.removeprefix("SalesReport-").partition(".")
        if ending not in ("csv", "csv.gz", "csv.zst") or len(stamp) != 10 or not stamp.isdigit():
            continue
        start = datetime.strptime(stamp, "%Y%m%d%H").replace(tzinfo=UTC)
        hour = (start - EPOCH) // timedelta(hours=1)
        if hour_end(hour) <= now + timedelta(minutes=5):
            named.setdefault(hour, path)
    return [Operation("ingest", hour, named[hour]) for hour in sorted(named)]
