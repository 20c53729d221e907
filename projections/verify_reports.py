"""Which sales count where at a version: decided in SQL from the report events, for `verify` alone.

It shares nothing with the fold and its windows, so that a mistake there cannot hide here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import duckdb
import polars as pl

from projections.ranking_lists import RankingWindow
from write_side.events import ReportEvent, SalesReportIngested

_REPORTS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "version": pl.Int64(),
    "hour": pl.Int64(),
    "attempt": pl.Int64(),
    "is_ingested": pl.Boolean(),
}
_BITS: Final = {
    RankingWindow.HOUR: 0,
    RankingWindow.DAY: 1,
    RankingWindow.WEEK: 2,
    RankingWindow.MONTH: 3,
    RankingWindow.ALL_TIME: 4,
}
_BEFORE: Final = 5
"""The bits of the version that previous ranks come from stand above those of the version itself."""

# Few stretches end by a withdrawal; the others need no join of every version with every hour.
_DEFINITIONS: Final = """
CREATE TABLE reports (version BIGINT, hour BIGINT, attempt BIGINT, is_ingested BOOLEAN);
CREATE TABLE windows (bit INTEGER, hours BIGINT);
INSERT INTO windows VALUES (0, 1), (1, 24), (2, 168), (3, 720), (4, NULL);
CREATE MACRO in_force(upto) AS TABLE (
    SELECT hour, max_by(attempt, version) AS attempt FROM reports WHERE version <= upto
    GROUP BY hour HAVING max_by(is_ingested, version));
CREATE MACRO newest_hours(upto) AS TABLE (
    WITH changes AS (
        SELECT version, hour, is_ingested FROM reports WHERE version <= upto
        QUALIFY is_ingested <> coalesce(
            lag(is_ingested) OVER (PARTITION BY hour ORDER BY version), false)),
    stretches AS (
        SELECT version AS begins, hour, is_ingested,
            lead(version) OVER (PARTITION BY hour ORDER BY version) AS ends
        FROM changes),
    lasting AS (SELECT begins, hour FROM stretches WHERE is_ingested AND ends IS NULL),
    ended AS (
        SELECT reports.version, max(stretches.hour) AS hour FROM reports JOIN stretches
            ON reports.version >= stretches.begins AND reports.version < stretches.ends
        WHERE stretches.is_ingested GROUP BY reports.version)
    SELECT reports.version,
        greatest(max(lasting.hour) OVER (ORDER BY reports.version), ended.hour) AS hour
    FROM reports LEFT JOIN lasting ON lasting.begins = reports.version
        LEFT JOIN ended ON ended.version = reports.version
    WHERE reports.version <= upto);
"""

_NEWEST: Final = """
SELECT max_by(hour, version) FILTER (version = $at), max_by(hour, version)
FROM newest_hours($at) WHERE hour IS NOT NULL
"""

_PREVIOUS: Final = """
WITH newest AS (FROM newest_hours($at))
SELECT max(version) FROM newest WHERE hour = (
    SELECT max(hour) FROM in_force($at)
    WHERE hour < (SELECT hour FROM newest WHERE version = $at)
        AND hour IN (SELECT hour FROM newest))
"""

_MASKS: Final = f"""
WITH counted AS (
    SELECT hour, attempt, 0 AS first_bit, max(hour) OVER () AS newest FROM in_force($at)
    UNION ALL
    SELECT hour, attempt, {_BEFORE}, max(hour) OVER () FROM in_force($before)),
places AS (
    SELECT hour, attempt, first_bit + bit AS bit FROM counted, windows
    WHERE hours IS NULL OR hour > newest - hours),
stored AS (SELECT DISTINCT hour, attempt FROM reports WHERE is_ingested AND version <= $at)
SELECT hour, attempt, coalesce(bit_or(1::BIGINT << bit), 0)
FROM stored LEFT JOIN places USING (hour, attempt)
GROUP BY hour, attempt ORDER BY hour, attempt
"""


@dataclass(frozen=True)
class CountedAttempt:
    """One stored reading of an hour's report, and where its sales count."""

    hour: int
    attempt: int
    mask: int
    """Bits of `counts_in`; 0 where its pairs are only known."""
    partitions: frozenset[int]
    """Those that have sales in it."""


@dataclass(frozen=True)
class ReportsAt:
    """What the report events say of one version."""

    version: int
    hour: int | None
    """The newest closed hour; null where none is in force."""
    as_of_hour: int | None
    """The last hour that was the newest; null before the first report."""
    previous_version: int | None
    """The version whose lists give the previous ranks; null where none does."""
    attempts: tuple[CountedAttempt, ...]
    """Every one that was ever in force up to the version."""


def counts_in(window: RankingWindow, *, before: bool = False) -> int:
    """Return the bit of `CountedAttempt.mask` for a window.

    `before` asks for the window at the version that previous ranks come from.
    """
    return 1 << (_BITS[window] + (_BEFORE if before else 0))


class ReportEvents:
    """The report events so far, in SQL."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.execute(_DEFINITIONS)
        self._ingested: dict[tuple[int, int], SalesReportIngested] = {}
        self.last_version = -1

    def extend(self, events: Iterable[ReportEvent]) -> None:
        """Take in the next events of the stream."""
        rows: list[tuple[int, int, int | None, bool]] = []
        for version, event in enumerate(events, self.last_version + 1):
            if isinstance(event, SalesReportIngested):
                self._ingested[event.hour, event.attempt] = event
                rows.append((version, event.hour, event.attempt, True))
            else:
                rows.append((version, event.hour, None, False))
        self.last_version += len(rows)
        frame = pl.DataFrame(rows, schema=_REPORTS_SCHEMA, orient="row")
        self._connection.register("given", frame.to_arrow())
        self._connection.execute("INSERT INTO reports FROM given")
        self._connection.unregister("given")

    def close(self) -> None:
        """Give the memory back."""
        self._connection.close()

    @property
    def sales(self) -> int:
        """Sales in all reports, those that were replaced or withdrawn included."""
        return sum(event.rows for event in self._ingested.values())

    def at(self, version: int) -> ReportsAt:
        """Return what counts at a version up to `last_version`."""
        (newest, as_of) = self._row(_NEWEST, {"at": version})
        (previous,) = self._row(_PREVIOUS, {"at": version})
        masks = self._connection.execute(_MASKS, {"at": version, "before": previous}).fetchall()
        attempts = []
        for hour, attempt, mask in masks:
            partitions = frozenset(self._ingested[hour, attempt].partitions)
            attempts.append(CountedAttempt(hour, attempt, mask, partitions))
        return ReportsAt(version, newest, as_of, previous, tuple(attempts))

    def _row(self, query: str, parameters: dict[str, int]) -> tuple[int | None, ...]:
        row: tuple[int | None, ...] | None = self._connection.execute(query, parameters).fetchone()
        return row if row is not None else ()
