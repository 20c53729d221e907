"""Which lines have all their quotes where RFC 4180 wants them: a check on whole columns.

A quote opens a field or closes it, by turns along a line. One that opens stands at the start of the
line or after a comma, one that closes before a comma or the line's end; a doubled quote inside a
field is one that closes and, right behind it, one that opens.
"""

from typing import Final

import numpy as np

from write_side.feed.physical_lines import CARRIAGE_RETURN, NEWLINE, Flags, Offsets, PhysicalLines

COMMA: Final = ord(",")
QUOTE: Final = ord('"')
_LINES_AT_ONCE: Final = 1 << 14
"""Bounds the memory that the arrays of offsets take."""


def check_quotes(lines: PhysicalLines, quotes: Offsets) -> tuple[Flags, Offsets]:
    """Return for each line whether its quotes are in order, and how many commas are within them.

    `quotes` has the count of them for each line. What it says of a line with a stray carriage
    return means nothing; the commas of one whose quotes are not in order neither.
    """
    in_order = quotes % 2 == 0
    commas = np.zeros_like(quotes)
    for first in range(0, len(lines), _LINES_AT_ONCE):
        part = slice(first, min(first + _LINES_AT_ONCE, len(lines)))
        if quotes[part].any():
            _check_part(lines, part, quotes, in_order, commas)
    return in_order, commas


def _check_part(
    lines: PhysicalLines, part: slice, quotes: Offsets, in_order: Flags, commas: Offsets
) -> None:
    counts = quotes[part]
    # A newline on either side stands for the borders of the first and the last line.
    data = lines.bytes_of(part.start, part.stop - 1)
    text = np.concatenate(([NEWLINE], data, [NEWLINE])).astype(np.uint8)
    places = np.flatnonzero(text == QUOTE)
    line = np.repeat(np.arange(len(counts)), counts)
    opens = (np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)) % 2 == 0
    before, after = text[places - 1], text[places + 1]
    starts = (before == COMMA) | (before == NEWLINE) | (before == QUOTE)
    ends = (after == COMMA) | (after == NEWLINE) | (after == CARRIAGE_RETURN) | (after == QUOTE)
    in_order[part] &= np.bincount(line[~np.where(opens, starts, ends)], minlength=len(counts)) == 0
    passed = np.searchsorted(np.flatnonzero(text == COMMA), places)
    within = np.bincount(line, np.where(opens, -passed, passed), minlength=len(counts))
    commas[part] = within.astype(np.int64)
