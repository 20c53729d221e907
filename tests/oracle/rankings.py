"""The oracle: every list at every version, by SQL over all sales."""

from collections.abc import Iterable
from datetime import datetime
from types import TracebackType

import duckdb
import polars as pl

from tests.oracle.operations import Operation, Timeline, hour_end
from tests.oracle.report_files import good_rows

PUBLISHED = 100
"""How many positions of a list are history."""

WINDOWS = ("hour", "day", "week", "month", "all_time")
METRICS = ("units", "revenue")

_SCHEMA = """
CREATE TABLE operations (version INTEGER, hour BIGINT, kind VARCHAR);
CREATE TABLE sales (
    version INTEGER, category_id VARCHAR, product_id VARCHAR, units BIGINT, amount_minor BIGINT);
CREATE MACRO ranked(last_version, only_category) AS TABLE (
    WITH in_force AS (
        SELECT hour, max(version) AS version FROM operations WHERE version <= last_version
        GROUP BY hour HAVING arg_max(kind, version) <> 'withdraw'),
    newest AS (SELECT max(hour) AS hour FROM in_force),
    windows (name, hours) AS (
        VALUES ('hour', 1), ('day', 24), ('week', 168), ('month', 720), ('all_time', NULL)),
    counted AS (
        SELECT windows.name AS "window", in_force.version FROM windows, in_force, newest
        WHERE windows.hours IS NULL OR in_force.hour > newest.hour - windows.hours),
    totals AS (
        SELECT category_id, "window", product_id,
            sum(units)::BIGINT AS units, sum(amount_minor)::BIGINT AS amount_minor
        FROM sales JOIN counted USING (version)
        WHERE only_category IS NULL OR category_id = only_category
        GROUP BY ALL),
    valued AS (
        SELECT *, 'units' AS metric, units AS total FROM totals WHERE units > 0
        UNION ALL
        SELECT *, 'revenue' AS metric, amount_minor AS total FROM totals WHERE amount_minor > 0)
    SELECT category_id, "window", metric,
        row_number() OVER (list ORDER BY total DESC, product_id) AS position,
        dense_rank() OVER (list ORDER BY total DESC) AS rank,
        product_id, units, amount_minor,
        count(*) OVER list AS total_count
    FROM valued
    WINDOW list AS (PARTITION BY category_id, "window", metric)
);
"""

_LISTS = f"""
SELECT lists.category_id, lists."window", lists.metric, lists.position, lists.rank,
    lists.product_id, lists.units, lists.amount_minor, before.rank AS previous_rank,
    lists.total_count
FROM ranked($at, $category) AS lists
LEFT JOIN (SELECT * FROM ranked($before, $category) WHERE position <= {PUBLISHED}) AS before
    USING (category_id, "window", metric, product_id)
ORDER BY ALL
"""


class Oracle:
    """Answers for every version of a sequence of operations. Versions begin with 0."""

    def __init__(self, operations: Iterable[Operation] = (), *, threads: int = 1) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": threads})
        self._connection.execute(_SCHEMA)
        self._timeline = Timeline()
        for operation in operations:
            self.record(operation)

    def __enter__(self) -> "Oracle":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def record(self, operation: Operation) -> int:
        """Add the next accepted operation and return the version that it makes."""
        report = operation.report
        if isinstance(report, pl.DataFrame):
            # Named, because only then does DuckDB find it in the query.
            rows = self._connection.from_arrow(report.to_arrow())
        elif report is not None:
            rows = good_rows(self._connection, report)
        else:
            rows = None
        version = self._timeline.record(operation)
        self._connection.execute(
            "INSERT INTO operations VALUES (?, ?, ?)", [version, operation.hour, operation.kind]
        )
        if rows is not None:
            rows.aggregate(
                f"{version}, category_id, product_id, sum(quantity), sum(amount_minor)",
                "category_id, product_id",
            ).insert_into("sales")
        return version

    @property
    def last_version(self) -> int:
        """-1 before the first operation."""
        return self._timeline.last_version

    def at(self, version: int, category: str | None = None) -> pl.DataFrame:
        """Every list at a version, whole, one row a ranked product; of one category, or of all.

        Columns: category_id, window, metric, position, rank, product_id, units, amount_minor,
        previous_rank, total_count; in this order of columns and rows.
        """
        lists = self._connection.sql(
            _LISTS,
            params={
                "at": version,
                "before": self._timeline.previous_version(version),
                "category": category,
            },
        )
        return pl.DataFrame(lists.to_arrow_table())

    def as_of(self, version: int) -> datetime | None:
        """The end of the newest hour, or of the last that was, where none is in force."""
        return self._timeline.as_of(version)

    def newest(self, version: int) -> int | None:
        """The newest hour in force, None where none is."""
        return self._timeline.newest(version)

    def newest_hours(self, version: int) -> list[int]:
        """Every hour that was ever the newest up to a version, the withdrawn ones too."""
        return sorted(self._timeline.newest_hours(version))

    def categories(self, version: int) -> dict[str, int]:
        """The known categories in the order of their bytes, and how many products each ever sold.

        What a correction or a withdrawal took away stays known.
        """
        rows = self._connection.execute(
            "SELECT category_id, count(DISTINCT product_id) FROM sales WHERE version <= ? "
            "GROUP BY ALL ORDER BY ALL",
            [version],
        ).fetchall()
        return dict(rows)

    def products(self, version: int) -> dict[str, set[str]]:
        """The known products, and the categories that each ever sold in."""
        rows = self._connection.execute(
            "SELECT product_id, list(DISTINCT category_id) FROM sales WHERE version <= ? "
            "GROUP BY ALL ORDER BY ALL",
            [version],
        ).fetchall()
        return {product: set(categories) for product, categories in rows}

    def as_of_version(self, instant: datetime, version: int) -> int | None:
        """The version whose lists answer `as_of` an instant, None where no hour had ended then."""
        return self._timeline.published_version(instant, version)

    def as_of_lists(
        self, instant: datetime, version: int, category: str | None = None
    ) -> pl.DataFrame:
        """The lists as last published while the hour that ended then was the newest.

        Their first 100 positions, with the full total_count; no rows where no hour had ended then.
        """
        published = self.as_of_version(instant, version)
        lists = self.at(version if published is None else published, category)
        return lists.filter(pl.col("position") <= (0 if published is None else PUBLISHED))

    def rank_history(
        self,
        product: str,
        category: str,
        window: str,
        metric: str,
        begin: datetime,
        end: datetime,
        version: int,
    ) -> list[tuple[datetime, int, int, int]]:
        """(as_of, rank, units, amount_minor) at each hour's end from `begin` to `end`, both too.

        Only hours that were ever the newest, and in which the product was in the first 100.
        """
        points = []
        for hour, published in sorted(self._timeline.newest_hours(version).items()):
            if not begin <= hour_end(hour) <= end:
                continue
            found = self._connection.execute(
                f"""
                SELECT rank, units, amount_minor FROM ranked($at, $category)
                WHERE position <= {PUBLISHED} AND product_id = $product
                    AND "window" = $window AND metric = $metric
                """,
                {
                    "at": published,
                    "category": category,
                    "product": product,
                    "window": window,
                    "metric": metric,
                },
            ).fetchall()
            points += [(hour_end(hour), *figures) for figures in found]
        return points
