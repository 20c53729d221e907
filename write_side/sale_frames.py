"""The columns that sales and their totals have in Polars frames, and how frames become bytes.

A million rows never become a million Python objects: they travel as frames, and are stored as
Arrow IPC with zstd.
"""

import io

import polars as pl

SALES_SCHEMA: dict[str, pl.DataType] = {
    "line": pl.UInt32(),
    "timestamp": pl.Int64(),
    "product_id": pl.String(),
    "category_id": pl.String(),
    "quantity": pl.Int32(),
    "amount_minor": pl.Int64(),
    "customer": pl.UInt64(),
}
"""One row a sale: physical line of the report, microseconds since 1970 UTC, signed quantity and
minor units (both below 0 for a return), and the customer's pseudonym, null where none was given."""

TOTALS_SCHEMA: dict[str, pl.DataType] = {
    "category_id": pl.String(),
    "product_id": pl.String(),
    "units": pl.Int64(),
    "amount_minor": pl.Int64(),
}
"""One row a (category, product) pair of a report, sorted by category, then product, as bytes."""


def total_sales(sales: pl.DataFrame) -> pl.DataFrame:
    """Fold sales into net totals for each (category, product), returns subtracted."""
    return (
        sales.lazy()
        .group_by("category_id", "product_id")
        .agg(
            pl.col("quantity").sum().cast(pl.Int64).alias("units"),
            pl.col("amount_minor").sum(),
        )
        .sort("category_id", "product_id")
        .collect()
    )


def encode_frame(frame: pl.DataFrame) -> bytes:
    """Return a frame as an Arrow IPC file, zstd-compressed, readable by any Arrow library."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="zstd", compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()


def decode_frame(data: bytes) -> pl.DataFrame:
    """Return the frame that `encode_frame` wrote."""
    return pl.read_ipc(io.BytesIO(data))
