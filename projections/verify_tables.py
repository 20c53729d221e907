"""The windows' tables and their directories, compared with what the sales say."""

from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from projections.blocks import BLOCK_ROWS
from projections.errors import BlockCorrupted, BlockMissing
from projections.head import StoredTable, TableOrder
from projections.ranking_lists import METRICS, RankingMetric, RankingWindow
from projections.verify_blocks import Directory, StoredPartition, read_directory, read_rows
from projections.verify_partitions import ORDER_OF, ComparedPartitions
from projections.verify_rows import row_differences
from projections.verify_sales import TOTAL_COLUMNS, ExpectedWindow

_METRIC_OF: Final = {order: metric for metric, order in ORDER_OF.items()}

IntArray = npt.NDArray[np.int64]


def compare_window(
    connection: duckdb.DuckDBPyConnection,
    compared: ComparedPartitions,
    window: RankingWindow,
    expected: ExpectedWindow,
) -> tuple[pl.DataFrame, dict[RankingMetric, pl.DataFrame]]:
    """Compare a window's three tables; return what they have to hold, by product and by metric."""
    by_product = expected.by_product()
    _compare_table(connection, compared, window, TableOrder.BY_ID, expected, by_product)
    by_total = {}
    for metric in METRICS:
        by_total[metric] = expected.by_total(metric)
        _compare_table(connection, compared, window, ORDER_OF[metric], expected, by_total[metric])
    return by_product, by_total


def starts_of(rows: pl.DataFrame, compared: ComparedPartitions) -> IntArray:
    """Return the row at which each category begins, and after them the number of rows."""
    # Of the same type as the categories, or searching would convert them all.
    codes = np.arange(len(compared.categories) + 1, dtype=np.uint32)
    starts: IntArray = np.searchsorted(rows.get_column("category").to_numpy(), codes)
    return starts


def _compare_table(
    connection: duckdb.DuckDBPyConnection,
    compared: ComparedPartitions,
    window: RankingWindow,
    order: TableOrder,
    expected: ExpectedWindow,
    rows: pl.DataFrame,
) -> None:
    starts = starts_of(rows, compared)
    directories = _expected_directories(compared, order, expected, rows, starts)
    for stored, wanted in zip(compared.stored, directories, strict=True):
        first, end = (int(starts[code]) for code in compared.span_of(stored))
        try:
            table = _table(stored, window, order)
            directory = read_directory(stored.head, table)
            found = read_rows(stored, table, directory)
        except (BlockCorrupted, BlockMissing) as error:
            compared.differs(
                stored, "the table", f"{end - first} rows", error, window=window, order=order
            )
            continue
        if compared.has_same_categories(stored):
            _compare_directories(compared, stored, window, order, wanted, directory)
        if first == end and found.is_empty():
            continue
        found = compared.found_of(stored, found)
        wanted_rows = compared.expected_of(stored, rows)
        compared.rows += found.height
        if found.equals(wanted_rows):
            continue
        some, count = row_differences(
            connection, wanted_rows, found, is_ordered=True, keep=compared.differences.room
        )
        for one in some:
            compared.differs(
                stored,
                one.what,
                one.expected,
                one.found,
                category=one.list,
                window=window,
                order=order,
            )
        compared.differences.extend((), count - len(some))


def _table(stored: StoredPartition, window: RankingWindow, order: TableOrder) -> StoredTable:
    tables = stored.head.windows.get(window.value)
    if tables is None:
        raise BlockMissing("the head does not name it")
    return {
        TableOrder.BY_ID: tables.by_id,
        TableOrder.UNITS: tables.units,
        TableOrder.REVENUE: tables.revenue,
    }[order]


def _expected_directories(
    compared: ComparedPartitions,
    order: TableOrder,
    expected: ExpectedWindow,
    rows: pl.DataFrame,
    starts: IntArray,
) -> list[Directory]:
    spans = [compared.span_of(stored) for stored in compared.stored]
    firsts = [np.arange(starts[first], starts[end], BLOCK_ROWS) for first, end in spans]
    blocks = rows[np.concatenate(firsts)]
    ids: list[bytes] = []
    totals, ranks = np.zeros(0, np.int64), np.zeros(0, np.int64)
    if order is TableOrder.BY_ID:
        ids = [product_id.encode() for product_id in blocks.get_column("product_id")]
    else:
        metric = _METRIC_OF[order]
        places = blocks.select("category", pl.col(TOTAL_COLUMNS[metric]).alias("total"))
        totals = places.get_column("total").to_numpy()
        ranks = expected.ranks(metric, places).to_numpy()
    directories = []
    at = 0
    for (first, end), some in zip(spans, firsts, strict=True):
        span = slice(at, at + len(some))
        own_starts = starts[first : end + 1] - starts[first]
        directories.append(Directory(own_starts, tuple(ids[span]), totals[span], ranks[span]))
        at += len(some)
    return directories


def _compare_directories(
    compared: ComparedPartitions,
    stored: StoredPartition,
    window: RankingWindow,
    order: TableOrder,
    expected: Directory,
    found: Directory,
) -> None:
    parts = (
        ("the directory's starts", expected.starts, found.starts),
        ("the directory's first products", expected.first_ids, found.first_ids),
        ("the directory's first totals", expected.first_totals, found.first_totals),
        ("the directory's first ranks", expected.first_ranks, found.first_ranks),
    )
    for what, wanted, there in parts:
        if len(wanted) != len(there):
            compared.differs(
                stored, what, f"{len(wanted)} of them", len(there), window=window, order=order
            )
            continue
        place = next(
            (n for n, (a, b) in enumerate(zip(wanted, there, strict=True)) if a != b), None
        )
        if place is not None:
            a, b = wanted[place], there[place]
            where = f"{what}, at {place}"
            compared.differs(stored, where, _plain(a), _plain(b), window=window, order=order)


def _plain(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
