"""The header line: which column is where."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from write_side.errors import ReportUnreadable
from write_side.feed.physical_lines import PhysicalLines
from write_side.feed.quoted_records import MAX_RECORD_BYTES, fields_of

COLUMNS: Final = (
    "timestamp",
    "product_id",
    "category_id",
    "customer_id",
    "qty",
    "total_price",
)
"""What every report has, under these names in any letter case and order."""

_BLANK_LINES: Final = re.compile(rb"(?: *+\r?\n)*+")


@dataclass(frozen=True, slots=True)
class ReportHeader:
    """What a report's header says."""

    width: int
    """How many fields it has, and so every record."""
    positions: Mapping[str, int]
    """The index of each of `COLUMNS`."""
    body: int
    """Index of the first physical line after it."""


def read_header(lines: PhysicalLines, name: str) -> ReportHeader:
    """Return what the first line that is not blank says.

    Raises `ReportUnreadable` where a column is missing or there twice, or where there is no header
    that can be read; `name` is the report's.
    """
    blank = _BLANK_LINES.match(lines.content)
    first = int(np.searchsorted(lines.starts, blank.end() if blank else 0))
    if first >= len(lines) or not lines.line(first).strip(b" "):
        raise _unreadable(name, "it has no header line")
    last = _last_line(lines, first, name)
    text = lines.line(first, last).decode("utf-8", "backslashreplace")
    fields = fields_of(text)
    if fields is None:
        raise _unreadable(name, "the quotes in its header line do not match")
    names = [field.strip(" ").lower() for field in fields]
    for column in COLUMNS:
        if names.count(column) != 1:
            times = "has no column" if column not in names else "has more than one column"
            raise _unreadable(name, f"its header {times} {column}")
    positions = {column: names.index(column) for column in COLUMNS}
    return ReportHeader(len(names), positions, last + 1)


def _last_line(lines: PhysicalLines, first: int, name: str) -> int:
    """Return the line on which the header ends: quotes may keep it open over several."""
    begin, last, quotes = lines.starts[first], first, 0
    while last < len(lines) and lines.ends[last] - begin <= MAX_RECORD_BYTES:
        quotes += lines.content.count(b'"', int(lines.starts[last]), int(lines.ends[last]))
        if quotes % 2 == 0:
            return last
        last += 1
    if last == first:
        raise _unreadable(name, f"its header is longer than {MAX_RECORD_BYTES:,} bytes")
    raise _unreadable(name, "a quote in its header is never closed")


def _unreadable(name: str, what: str) -> ReportUnreadable:
    return ReportUnreadable(
        f"the report cannot be read, {what}: {name}. "
        f"Its first line names the columns {', '.join(COLUMNS)}, each once."
    )
