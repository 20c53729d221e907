"""Two tables of rows that are not the same: which rows differ, found in SQL."""

from dataclasses import dataclass
from typing import Final

import duckdb
import polars as pl

# Of a list that lacks a row, each later position differs too: only the row is told.
_DIFFERENCES: Final = """
WITH apart AS (
    SELECT list, product_id, expected_rows.text AS expected, found_rows.text AS found
    FROM expected_rows FULL JOIN found_rows USING (list, product_id)
    WHERE expected_rows.text IS DISTINCT FROM found_rows.text),
moved AS (
    SELECT list, position, expected_rows.product_id AS expected, found_rows.product_id AS found
    FROM expected_rows FULL JOIN found_rows USING (list, position)
    WHERE expected_rows.product_id IS DISTINCT FROM found_rows.product_id
        AND list NOT IN (SELECT list FROM apart)
    QUALIFY row_number() OVER (PARTITION BY list ORDER BY position) = 1),
differences AS (
    SELECT list, 'product ' || product_id AS what, expected, found FROM apart
    UNION ALL
    SELECT list, 'position ' || (position + 1), expected, found FROM moved)
SELECT list, what, coalesce(expected, 'nothing'), coalesce(found, 'nothing'), count(*) OVER ()
FROM differences ORDER BY list, what LIMIT $kept
"""


@dataclass(frozen=True)
class RowDifference:
    """A product whose values differ, or the first position of a list that has another product."""

    list: int
    what: str
    expected: str
    found: str


def row_differences(
    connection: duckdb.DuckDBPyConnection,
    expected: pl.DataFrame,
    found: pl.DataFrame,
    *,
    is_ordered: bool,
    keep: int,
) -> tuple[list[RowDifference], int]:
    """Return the first `keep` differences between two frames, and how many there are.

    Frames have the number of a list, `product_id` and values, in the order of their places; where
    `is_ordered`, that order has to be the same in both.
    """
    for name, frame in (("expected_rows", expected), ("found_rows", found)):
        connection.register(name, _as_text(frame, is_ordered=is_ordered).to_arrow())
    rows = connection.execute(_DIFFERENCES, {"kept": max(keep, 1)}).fetchall()
    for name in ("expected_rows", "found_rows"):
        connection.unregister(name)
    differences = [RowDifference(*row[:4]) for row in rows]
    return differences[:keep], rows[0][4] if rows else 0


def _as_text(frame: pl.DataFrame, *, is_ordered: bool) -> pl.DataFrame:
    numbers, product_id, *values = frame.columns
    named = [pl.format("{} {}", pl.lit(value), pl.col(value)) for value in values]
    # Where order does not count, products stand for it: then the same rows have the same places.
    ordered = frame if is_ordered else frame.sort(numbers, product_id)
    return ordered.select(
        pl.col(numbers).alias("list"),
        product_id,
        pl.concat_str(named, separator=", ").alias("text"),
        pl.int_range(pl.len()).over(numbers).alias("position"),
    )
