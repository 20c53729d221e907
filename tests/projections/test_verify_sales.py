"""Every sale is summed once, however the sums are gathered."""

import duckdb
import pytest

from projections.ranking_lists import RankingMetric, RankingWindow
from projections.verify_reports import CountedAttempt, counts_in
from projections.verify_sales import (
    ExpectedWindow,
    code_categories,
    known_categories,
    sum_sales,
)
from tests.oracle.operations import Operation
from tests.projections.recorded import FIRST_HOUR, record, report
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import partition_of

TOYS = partition_of("toys")
DAY, ALL_TIME = counts_in(RankingWindow.DAY), counts_in(RankingWindow.ALL_TIME)


@pytest.mark.parametrize(("at_once", "merged_at"), [(1_000, 1_000), (1, 1_000), (1, 2)])
def test_sums_are_the_same_however_they_are_gathered(at_once: int, merged_at: int) -> None:
    store = MemoryEventStore()
    rows = [("toys", "ä", 2, 20), ("toys", "z", 2, 10), ("toys", "a", 3, 1), ("toys", "a", -3, -1)]
    for hour in range(3):
        record(store, Operation("ingest", FIRST_HOUR + hour, report(rows)))
    attempts = [
        CountedAttempt(FIRST_HOUR + hour, 1, mask, frozenset([TOYS]))
        for hour, mask in enumerate((ALL_TIME, DAY | ALL_TIME, 0))
    ]
    told: list[int] = []
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        sum_sales(
            connection, store, attempts, [TOYS], told.append, at_once=at_once, merged_at=merged_at
        )
        assert known_categories(connection) == ["toys"]
        code_categories(connection, ["toys"])
        day = ExpectedWindow(connection, RankingWindow.DAY)
        assert day.by_product().rows() == [(0, "z", 2, 10), (0, "ä", 2, 20)]
        assert day.by_total(RankingMetric.UNITS).rows() == [(0, "z", 2, 10), (0, "ä", 2, 20)]
        assert day.by_total(RankingMetric.REVENUE).rows() == [(0, "ä", 2, 20), (0, "z", 2, 10)]
        assert sorted(day.first(RankingMetric.UNITS).rows()) == [(0, "z", 1), (0, "ä", 1)]
        all_time = ExpectedWindow(connection, RankingWindow.ALL_TIME).by_product()
        assert all_time.rows() == [(0, "a", 0, 0), (0, "z", 4, 20), (0, "ä", 4, 40)]
        before = ExpectedWindow(connection, RankingWindow.ALL_TIME, before=True).by_product()
        assert {row[2:] for row in before.rows()} == {(0, 0)}
    assert sum(told) == 12
