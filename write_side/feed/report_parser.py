"""From a report's content to its sales, and to the rows that are none."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from write_side.errors import ReportTooLarge
from write_side.feed.physical_lines import PhysicalLines
from write_side.feed.record_splitter import raw_text, split_records
from write_side.feed.report_header import read_header
from write_side.feed.row_checks import check_rows

PARSER_VERSION: Final = 1
"""To be raised with every change that makes other sales of the same content."""

MAX_REJECTED_ROWS: Final = 5_000_000
"""Beyond that a file is taken for no report: rejected rows are looked at by people."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ParsedReport:
    """A report's rows, told apart; both frames are in the order of their lines."""

    sales: pl.DataFrame
    """`sale_frames.SALES_SCHEMA`."""
    rejected: pl.DataFrame
    """`record_splitter.REJECTED_SCHEMA`."""


def parse_report(content: bytes, name: str, pseudonym_key: bytes) -> ParsedReport:
    """Read a report's uncompressed content; it is a pure function of content and key.

    `name` is for messages only. Raises `ReportUnreadable` where there is no usable header, and
    `ReportTooLarge` where more is wrong than can be told row by row; whatever else is wrong with
    the content is wrong with single rows.
    """
    lines = PhysicalLines(content.removeprefix(_BYTE_ORDER_MARK))
    header = read_header(lines, name)
    split = split_records(lines, header, name)
    checked = check_rows(split.fields, pseudonym_key)
    if checked.rejected.height + split.malformed.height > MAX_REJECTED_ROWS:
        raise ReportTooLarge(
            f"more than {MAX_REJECTED_ROWS:,} of its rows are no sales: {name}. "
            "Check how the file is written"
        )
    numbers = checked.rejected["line"].to_list()
    raw = [raw_text(lines, number, split.continued.get(number, number)) for number in numbers]
    rejected = checked.rejected.with_columns(pl.Series("raw", raw, dtype=pl.String))
    if split.malformed.height:
        rejected = pl.concat([rejected, split.malformed]).sort("line")
    return ParsedReport(checked.sales, rejected)
