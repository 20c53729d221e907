"""The lists as the projections have them, in the shape in which the oracle gives its own."""

import polars as pl

from projections.published_lists import PublishedLists
from projections.ranking_lists import METRICS, WINDOWS

LIST_NAMES = pl.DataFrame(
    {
        "offset": range(10),
        "window": [window.value for window in WINDOWS for _ in METRICS],
        "metric": [metric.value for _ in WINDOWS for metric in METRICS],
    },
    schema={"offset": pl.UInt32, "window": pl.String, "metric": pl.String},
)

KEY = ["category_id", "window", "metric", "position"]
COLUMNS = [*KEY, "rank", "product_id", "units", "amount_minor", "previous_rank", "total_count"]


def published_as_expected(lists: PublishedLists) -> pl.DataFrame:
    """Return published lists as the oracle's rows."""
    ids = pl.Series("category_id", lists.categories.ids, dtype=pl.String)
    counts = pl.Series("total_count", lists.total_counts)
    number = lists.rows.get_column("list")
    return normal(
        lists.rows.with_columns(
            ids.gather(number // 10).alias("category_id"),
            counts.gather(number).alias("total_count"),
            (pl.col("list") % 10).alias("offset"),
        ).join(LIST_NAMES, on="offset", how="left")
    )


def normal(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with the same columns, types and order for both sides."""
    numbers = [column for column in COLUMNS if rows.schema.get(column) != pl.String]
    return rows.select(COLUMNS).with_columns(pl.col(numbers).cast(pl.Int64)).sort(KEY)
