"""From a report's physical lines to records, and their wanted fields as columns of text.

Almost all lines of almost all reports are whole records: as many fields as the header, and quotes,
if any, in order. Those go through Polars together, and so do lines without quotes that are blank or
have another count of fields. Each other line is looked at alone, so that a bad one takes no
neighbour along: a record that a quote leaves open can only end on the next line with an odd count
of quotes, and where those lines together are no record, its first line is rejected and the next one
begins anew. Every line is thereby read twice at most, however its quotes stand; and there is a
bound to the lines looked at alone, so that a small hostile file costs no minutes and no gigabytes.
"""

import io
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

import numpy as np
import polars as pl

from write_side.errors import ReportTooLarge
from write_side.feed.physical_lines import Flags, Offsets, PhysicalLines
from write_side.feed.quoted_lines import COMMA, QUOTE, check_quotes
from write_side.feed.quoted_records import (
    MAX_RECORD_BYTES,
    flaw_of,
    record_pattern,
    wrong_width,
)
from write_side.feed.report_header import COLUMNS, ReportHeader

MAX_ODD_LINES: Final = 2_000_000
"""Lines of a report that are looked at one by one: that have quotes out of order, a record over
several lines, bytes that are not UTF-8, or a stray carriage return."""
REJECTED_SCHEMA: Final[dict[str, pl.DataType]] = {
    "line": pl.UInt32(),
    "reason": pl.String(),
    "raw": pl.String(),
}
"""One row a rejected record: its first physical line, why in plain words, and how it stands."""


@dataclass(frozen=True, slots=True)
class SplitReport:
    """A report's records, told apart."""

    fields: pl.DataFrame
    """`line` (UInt32, from 1) and each of `COLUMNS` as text, in the order of the lines."""
    malformed: pl.DataFrame
    """What is no record: `REJECTED_SCHEMA`, in no order."""
    continued: dict[int, int]
    """Last line of each record that goes over several, by its first."""


def split_records(lines: PhysicalLines, header: ReportHeader, name: str) -> SplitReport:
    """Split the lines after the header into records; those that are blank are left out.

    Raises `ReportTooLarge` where more than `MAX_ODD_LINES` are to be looked at one by one; `name`
    is the report's.
    """
    commas = lines.counts(COMMA)
    quotes = np.zeros_like(commas)
    invalid = lines.have_invalid_utf8()
    whole = ~(invalid | lines.have_stray_carriage_return())
    if b'"' in lines.content:
        quotes = lines.counts(QUOTE)
        in_order, quoted_commas = check_quotes(lines, quotes)
        whole &= in_order
        commas -= quoted_commas
    of_other_width = commas != header.width - 1
    whole &= ~of_other_width
    others = ~whole
    whole[: header.body] = others[: header.body] = False
    plain = others & of_other_width & (quotes == 0) & ~invalid
    alone = np.flatnonzero(others & ~plain)
    if len(alone) > MAX_ODD_LINES:
        raise ReportTooLarge(
            f"more than {MAX_ODD_LINES:,} of its lines have quotes out of order, go on over the "
            f"line's end or are not UTF-8: {name}. Check how the file is written"
        )
    odd = _OddLines(lines, header, quotes, invalid)
    odd.read(alone)
    for first, last in odd.continued.items():
        whole[first : last + 1] = plain[first : last + 1] = False
    quote = '"' if quotes[whole].any() else None
    frame = _frame(np.flatnonzero(whole), _read_whole(lines, header, whole, quote))
    if odd.records:
        columns = [_unquoted(values) for values in zip(*odd.records, strict=True)]
        wanted = [columns[place] for place in odd.places]
        frame = pl.concat([frame, _frame(np.array(odd.indexes), wanted)]).sort("line")
    malformed = pl.DataFrame(odd.malformed, schema=REJECTED_SCHEMA, orient="row")
    if plain.any():
        malformed.extend(_of_other_width(lines, plain, commas, header.width))
    return SplitReport(
        frame,
        malformed,
        {first + 1: last + 1 for first, last in odd.continued.items()},
    )


def raw_text(lines: PhysicalLines, first: int, last: int) -> str:
    r"""Return lines, numbered from 1, as they stand; what is not UTF-8 as `\xNN`.

    Where that is needed backslashes are doubled, so that the bytes can be told from the text.
    """
    data = lines.line(first - 1, last - 1)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def _frame(indexes: Offsets, columns: list[pl.Series]) -> pl.DataFrame:
    numbers = pl.Series("line", indexes + 1, dtype=pl.UInt32)
    named = [series.alias(name) for series, name in zip(columns, COLUMNS, strict=True)]
    return pl.DataFrame([numbers, *named])


def _read_whole(
    lines: PhysicalLines, header: ReportHeader, whole: Flags, quote: str | None
) -> list[pl.Series]:
    """Return the columns of lines of which each is known to be a record."""
    if not whole.any():
        return [pl.Series(dtype=pl.String) for _ in COLUMNS]
    # A header of our own: Polars would strip a byte-order mark from the first line that it gets.
    names = ",".join(map(str, range(header.width))).encode()
    content = b"\n".join((names, lines.selected(whole[header.body :], header.body)))
    wanted = [str(header.positions[column]) for column in COLUMNS]
    frame = pl.read_csv(
        io.BytesIO(content),
        columns=wanted,
        quote_char=quote,
        infer_schema=False,
        empty_string_is_null=False,
    )
    return [frame[name] for name in wanted]


def _of_other_width(
    lines: PhysicalLines, plain: Flags, commas: Offsets, width: int
) -> pl.DataFrame:
    """Return those of lines without quotes, of another width than the header's, that aren't blank.

    All are UTF-8.
    """
    plain &= ~lines.are_empty()
    indexes = np.flatnonzero(plain)
    if not len(indexes):
        return pl.DataFrame(schema=REJECTED_SCHEMA)
    first = int(indexes[0])
    text = bytes(lines.selected(plain[first:], first)).decode()
    # The last one's newline, where it has one, leaves an empty text behind it.
    raw = pl.Series([text], dtype=pl.String).str.split("\n").explode().head(len(indexes))
    counts = commas[indexes] + 1
    kinds = np.unique(counts).tolist()
    rows = pl.DataFrame({"line": indexes + 1, "reason": counts, "raw": raw})
    return rows.select(
        pl.col("line").cast(pl.UInt32),
        pl.col("reason").replace_strict(
            kinds, [wrong_width(count, width) for count in kinds], return_dtype=pl.String
        ),
        pl.col("raw").str.strip_suffix("\r"),
    ).filter(pl.col("raw").str.contains("[^ ]"))


def _unquoted(fields: tuple[str, ...]) -> pl.Series:
    """Return the values of fields that are plain or whole in quotes."""
    series = pl.Series("field", fields, dtype=pl.String)
    text = pl.col("field")
    inside = text.str.slice(1, text.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
    return series.to_frame().select(
        pl.when(text.str.starts_with('"')).then(inside).otherwise(text)
    )["field"]


class _OddLines:
    """Reads lines one by one; their indexes count from 0.

    Of those without quotes only such as have the header's width are given to it.
    """

    def __init__(
        self,
        lines: PhysicalLines,
        header: ReportHeader,
        quotes: Offsets,
        invalid: Flags,
    ) -> None:
        self.records: list[tuple[str, ...]] = []
        """The wanted fields as they stand, quotes included, in the order of the header."""
        self.indexes: list[int] = []
        """Of each record's first line."""
        self.malformed: list[tuple[int, str, str]] = []
        self.continued: dict[int, int] = {}
        self._lines = lines
        self._width = header.width
        ascending = sorted(header.positions, key=header.positions.__getitem__)
        self._columns = ascending
        self.places = [ascending.index(column) for column in COLUMNS]
        """Where in a record each of `COLUMNS` is."""
        positions = [header.positions[column] for column in ascending]
        self._pattern = record_pattern(header.width, positions)
        self._wanted = itemgetter(*positions)
        self._quotes = quotes
        self._invalid = invalid

    def read(self, indexes: Offsets) -> None:
        """Read the lines at ascending indexes, without those that a record before took in."""
        unbalanced = np.flatnonzero(self._quotes % 2)
        following = np.searchsorted(unbalanced, indexes, side="right")
        closings = np.append(unbalanced, len(self._lines))[following]
        resume = 0
        for index, count, closing in zip(
            indexes.tolist(), self._quotes[indexes].tolist(), closings.tolist(), strict=True
        ):
            if index < resume:
                continue
            if self._invalid[index]:
                self._reject(index, "it is not UTF-8")
            elif not count:
                self._accept(index, self._wanted(self._lines.line(index).decode().split(",")))
            elif count % 2 and not self._may_close(index, closing):
                self._reject(index, flaw_of(self._lines.line(index).decode(), self._width))
            else:
                last = closing if count % 2 else index
                resume = last + 1 if self._read_quoted(index, last) else index + 1

    def _may_close(self, index: int, closing: int) -> bool:
        """Tell whether a quote left open on one line may be closed on another."""
        if closing == len(self._lines):
            return False
        size = self._lines.ends[closing] - self._lines.starts[index]
        return bool(size <= MAX_RECORD_BYTES) and not self._invalid[index : closing + 1].any()

    def _read_quoted(self, first: int, last: int) -> bool:
        """Read lines as one record, or reject the first; tell whether they are one."""
        text = self._lines.line(first, last).decode()
        match = self._pattern.fullmatch(text)
        if match is None:
            self._reject(first, flaw_of(text, self._width))
            return False
        fields = match.groups()
        if last > first:
            for column, value in zip(self._columns, fields, strict=True):
                if "\n" in value:
                    self._reject(first, f"{column} goes on over the end of the line")
                    return False
            self.continued[first] = last
        self._accept(first, fields)
        return True

    def _accept(self, index: int, fields: tuple[str, ...]) -> None:
        self.records.append(fields)
        self.indexes.append(index)

    def _reject(self, index: int, reason: str) -> None:
        self.malformed.append((index + 1, reason, raw_text(self._lines, index + 1, index + 1)))
