"""Clock hours in UTC, the grain of the feed and of every window.

An hour is an `int`: whole hours since 1970-01-01T00:00Z. It covers its start up to, and without,
its end; a ranking is "as of" the end of the newest closed hour.
"""

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP = re.compile(r"\d{10}", re.ASCII)


def parse_stamp(stamp: str) -> int:
    """Return the hour of a `YYYYMMDDHH` stamp; raises `ValueError` where it names none."""
    if not _STAMP.fullmatch(stamp):
        raise ValueError(f"{stamp!r} is not an hour like 2026112507 (YYYYMMDDHH, UTC)")
    try:
        start = datetime.strptime(stamp, "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{stamp!r} names no hour of the calendar (YYYYMMDDHH, UTC)") from error
    return hour_of(start)


def format_stamp(hour: int) -> str:
    """Return the `YYYYMMDDHH` stamp of an hour."""
    return start_of(hour).strftime("%Y%m%d%H")


def hour_of(instant: datetime) -> int:
    """Return the hour that holds an aware instant."""
    return (instant - _EPOCH) // timedelta(hours=1)


def start_of(hour: int) -> datetime:
    """Return the UTC instant at which an hour begins."""
    return _EPOCH + timedelta(hours=hour)


def end_of(hour: int) -> datetime:
    """Return the UTC instant at which an hour ends: the `as_of` of a ranking that counts it."""
    return _EPOCH + timedelta(hours=hour + 1)
