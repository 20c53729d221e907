"""Sales in their two forms: one event a row, and a frame of columns."""

from collections.abc import Iterable, Iterator

import msgspec
import polars as pl

from write_side.events import SaleRecorded
from write_side.sale_frames import SALES_SCHEMA

_ALWAYS_GIVEN = [column for column in SALES_SCHEMA if column != "customer"]


def frame_of_sales(sales: Iterable[SaleRecorded]) -> pl.DataFrame:
    """Return sales as a `SALES_SCHEMA` frame, in their order.

    Raises `ValueError` where a value does not fit its column.
    """
    rows = [msgspec.structs.astuple(sale) for sale in sales]
    columns = dict(zip(SALES_SCHEMA, zip(*rows, strict=True), strict=False))
    try:
        frame = pl.DataFrame(columns, schema=SALES_SCHEMA, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise ValueError(f"sales do not fit the columns of a sale frame: {error}") from error
    check_sales(frame)
    return frame


def sales_of_frame(frame: pl.DataFrame) -> Iterator[SaleRecorded]:
    """Yield one `SaleRecorded` a row of a `SALES_SCHEMA` frame, in order."""
    for row in frame.iter_rows():
        yield SaleRecorded(*row)


def check_sales(frame: pl.DataFrame) -> None:
    """Raise `ValueError` where a frame is no `SALES_SCHEMA` frame, or lacks a value in a row."""
    if dict(frame.schema) != SALES_SCHEMA or frame.columns != list(SALES_SCHEMA):
        raise ValueError(f"no frame of sales: its columns are {dict(frame.schema)}")
    for column in _ALWAYS_GIVEN:
        if frame.get_column(column).null_count():
            raise ValueError(f"no frame of sales: column {column} has rows without a value")
