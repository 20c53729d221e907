"""Totals anew from every single sale, in SQL, for `verify` alone.

Sales are summed once, by the windows in which they count (`CountedAttempt.mask`), so that every
window of the version and of the one before it follows from few sums of each pair.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import duckdb
import polars as pl

from projections.ranking_lists import FIRST_POSITIONS, RankingMetric, RankingWindow
from projections.verify_reports import CountedAttempt, counts_in
from write_side.event_store import EventStore
from write_side.events import sales_stream
from write_side.hours import format_stamp
from write_side.partitioning import partition_of

SALES_AT_ONCE: Final = 1_000_000
"""Sales that are handed to DuckDB together, about: one statement costs a millisecond."""
MERGED_AT: Final = 8_000_000
"""Summed rows that may gather before those of the same pair are merged."""

TOTAL_COLUMNS: Final = {RankingMetric.UNITS: "units", RankingMetric.REVENUE: "amount_minor"}

_ADD: Final = """
INSERT INTO sums
SELECT mask, category_id, product_id, sum(quantity)::BIGINT, sum(amount_minor)::BIGINT
FROM sales GROUP BY ALL
"""
_MERGE: Final = """
CREATE TABLE merged AS
SELECT mask, category_id, product_id, sum(units)::BIGINT AS units,
    sum(amount_minor)::BIGINT AS amount_minor
FROM sums GROUP BY ALL;
DROP TABLE sums;
ALTER TABLE merged RENAME TO sums;
"""
_CODED: Final = """
CREATE OR REPLACE TABLE totals AS
SELECT mask, category, product_id, sum(units)::BIGINT AS units,
    sum(amount_minor)::BIGINT AS amount_minor
FROM sums JOIN codes USING (category_id) GROUP BY ALL;
DROP TABLE sums;
"""
_ROLLING: Final = """
CREATE OR REPLACE TABLE expected AS
SELECT category, product_id, sum(units)::BIGINT AS units,
    sum(amount_minor)::BIGINT AS amount_minor
FROM totals WHERE mask & {bit} <> 0 GROUP BY category, product_id
HAVING sum(units) <> 0 OR sum(amount_minor) <> 0
"""
_ALL_TIME: Final = """
CREATE OR REPLACE TABLE expected AS
SELECT category, product_id, sum(if(mask & {bit} <> 0, units, 0))::BIGINT AS units,
    sum(if(mask & {bit} <> 0, amount_minor, 0))::BIGINT AS amount_minor
FROM totals GROUP BY category, product_id
"""
_BY_PRODUCT: Final = """
SELECT category, product_id, units, amount_minor FROM expected ORDER BY category, product_id
"""
_BY_TOTAL: Final = """
SELECT category, product_id, units, amount_minor FROM expected
WHERE {total} > 0 ORDER BY category, {total} DESC, product_id
"""
_RANKS: Final = """
WITH ranks AS (
    SELECT category, total, row_number() OVER (PARTITION BY category ORDER BY total DESC) AS rank
    FROM (SELECT DISTINCT category, {total} AS total FROM expected WHERE {total} > 0))
SELECT rank FROM places JOIN ranks USING (category, total) ORDER BY place
"""
_FIRST: Final = """
WITH first AS (
    SELECT category, product_id, {total} AS total FROM expected WHERE {total} > 0
    QUALIFY row_number() OVER (PARTITION BY category ORDER BY {total} DESC, product_id)
        <= {positions})
SELECT category, product_id,
    dense_rank() OVER (PARTITION BY category ORDER BY total DESC) AS rank
FROM first
"""

Counter = Callable[[int], None]
"""Is told of each sales read, how many they were."""


def sum_sales(
    connection: duckdb.DuckDBPyConnection,
    store: EventStore,
    attempts: Sequence[CountedAttempt],
    partitions: Sequence[int],
    on_sales: Counter,
    *,
    at_once: int = SALES_AT_ONCE,
    merged_at: int = MERGED_AT,
) -> None:
    """Sum every sale of the attempts in the partitions, into the table `sums`.

    Columns: mask, category_id, product_id, units, amount_minor. Raises the event store's errors.
    """
    connection.execute(
        "CREATE OR REPLACE TABLE sums (mask SMALLINT, category_id VARCHAR, product_id VARCHAR, "
        "units BIGINT, amount_minor BIGINT)"
    )
    merge_at = merged_at
    for sales in _batches(store, attempts, partitions, at_once):
        connection.register("sales", sales.to_arrow())
        connection.execute(_ADD)
        connection.unregister("sales")
        on_sales(sales.height)
        if _rows_of(connection, "sums") > merge_at:
            connection.execute(_MERGE)
            merge_at = max(merged_at, 2 * _rows_of(connection, "sums"))


def _batches(
    store: EventStore,
    attempts: Sequence[CountedAttempt],
    partitions: Sequence[int],
    at_once: int,
) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    rows = 0
    for attempt in attempts:
        stamp = format_stamp(attempt.hour)
        mask = pl.lit(attempt.mask, pl.Int16).alias("mask")
        for partition in partitions:
            if partition not in attempt.partitions:
                continue
            for sales in store.read_sales(sales_stream(stamp, attempt.attempt, partition)):
                waiting.append(
                    sales.select(mask, "category_id", "product_id", "quantity", "amount_minor")
                )
                rows += sales.height
                if rows >= at_once:
                    yield pl.concat(waiting)
                    waiting, rows = [], 0
    if waiting:
        yield pl.concat(waiting)


def known_categories(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the categories that ever had a sale, by partition, then by the ids' bytes."""
    rows = connection.execute("SELECT DISTINCT category_id FROM sums").fetchall()
    return in_order(str(category_id) for (category_id,) in rows)


def in_order(category_ids: Iterable[str]) -> list[str]:
    """Return categories by partition, then by the ids' bytes: the order of all tables here."""
    return sorted(category_ids, key=lambda i: (partition_of(i), i.encode()))


def code_categories(connection: duckdb.DuckDBPyConnection, category_ids: Sequence[str]) -> None:
    """Turn `sums` into the table `totals`, in which a category is its place in `category_ids`."""
    codes = pl.DataFrame(
        {"category_id": category_ids, "category": range(len(category_ids))},
        schema={"category_id": pl.String, "category": pl.UInt32},
    )
    connection.register("codes", codes.to_arrow())
    connection.execute(_CODED)
    connection.unregister("codes")


class ExpectedWindow:
    """A window as it follows from the table `totals`; one at a time for each connection.

    Frames have `category`, `product_id`, `units`, `amount_minor`.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        window: RankingWindow,
        *,
        before: bool = False,
    ) -> None:
        self._connection = connection
        query = _ALL_TIME if window is RankingWindow.ALL_TIME else _ROLLING
        connection.execute(query.format(bit=counts_in(window, before=before)))

    def by_product(self) -> pl.DataFrame:
        """Return all rows, by category and the product ids' bytes."""
        return self._frame(_BY_PRODUCT)

    def by_total(self, metric: RankingMetric) -> pl.DataFrame:
        """Return the rows that a metric ranks, in the order of their places."""
        return self._frame(_BY_TOTAL.format(total=TOTAL_COLUMNS[metric]))

    def ranks(self, metric: RankingMetric, places: pl.DataFrame) -> pl.Series:
        """Return the dense rank of each of some `category` and `total`, in their order."""
        self._connection.register("places", places.with_row_index("place").to_arrow())
        ranks = self._frame(_RANKS.format(total=TOTAL_COLUMNS[metric])).get_column("rank")
        self._connection.unregister("places")
        return ranks

    def first(self, metric: RankingMetric) -> pl.DataFrame:
        """Return `category`, `product_id` and dense `rank` of the first 100 of each list."""
        return self._frame(_FIRST.format(total=TOTAL_COLUMNS[metric], positions=FIRST_POSITIONS))

    def _frame(self, query: str) -> pl.DataFrame:
        return pl.DataFrame(self._connection.sql(query).to_arrow_table())


def _rows_of(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return connection.table(table).shape[0]
