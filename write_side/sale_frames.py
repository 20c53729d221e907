"""The columns that sales and their totals have in Polars frames, and how frames become bytes.

A million rows never become a million Python objects: they travel as frames, and are stored as
Arrow IPC with zstd.
"""

import io

import polars as pl

from write_side.partitioning import partition_of

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
            pl.col("quantity").cast(pl.Int64).sum().alias("units"),
            pl.col("amount_minor").sum(),
        )
        .sort("category_id", "product_id")
        .collect()
    )


def split_by_partition(rows: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    """Return the rows of each partition that has any, in their order; any frame of categories."""
    categories = rows.get_column("category_id").unique()
    partitions = pl.DataFrame(
        {
            "category_id": categories,
            "partition": pl.Series([partition_of(i) for i in categories], dtype=pl.UInt8),
        }
    )
    by_partition = (
        rows.join(partitions, on="category_id", how="left", maintain_order="left")
        .sort("partition", maintain_order=True)
        .partition_by("partition", maintain_order=True, as_dict=True, include_key=False)
    )
    return [(int(key[0]), frame) for key, frame in by_partition.items()]


def encode_frame(frame: pl.DataFrame) -> bytes:
    """Return a frame as an Arrow IPC file, zstd-compressed, readable by any Arrow library."""
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="zstd", compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()


def decode_frame(data: bytes) -> pl.DataFrame:
    """Return the frame that `encode_frame` wrote."""
    return pl.read_ipc(io.BytesIO(data))
