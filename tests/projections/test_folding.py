"""The pure fold and what is published, against the oracle, without Redis."""

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from projections.fold import Tables
from projections.folding import Publisher, advance, unfolded
from projections.published_lists import events_of, read_published, read_published_list
from projections.ranking_lists import METRICS, WINDOWS, RankingWindow, list_offset
from projections.totals import stored_totals, totals_of_sales, totals_reader
from tests.oracle.operations import Operation
from tests.oracle.rankings import Oracle
from tests.projections.expected import normal, published_as_expected
from tests.projections.recorded import FIRST_HOUR, operations, record, report
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import PARTITIONS, partition_of
from write_side.report_history import read_report_history

ALL = range(PARTITIONS)


def published_store(done: list[Operation]) -> MemoryEventStore:
    store = MemoryEventStore()
    for operation in done:
        record(store, operation)
    history = read_report_history(store)
    publisher = Publisher(store, history, ALL, -1)
    totals_of = totals_reader(store, history, ALL, stored_totals)
    folded = unfolded()
    for version in range(history.version + 1):
        folded = advance(folded, history, version, totals_of)
        publisher.publish(version, publisher.prepare(folded))
    return store


@settings(max_examples=60, deadline=None)
@given(operations())
def test_every_version_published_equals_the_oracle(done: list[Operation]) -> None:
    store = published_store(done)
    with Oracle(done) as oracle:
        for version in range(len(done)):
            lists = read_published(store, ALL, version)
            expected = oracle.at(version).filter(pl.col("position") <= 100)
            assert_frame_equal(published_as_expected(lists), normal(expected))
            known = sorted(oracle.categories(version), key=str.encode)
            assert sorted(lists.categories.ids, key=str.encode) == known


@settings(max_examples=60, deadline=None)
@given(operations(), st.data())
def test_any_way_through_the_versions_gives_the_same_tables(
    done: list[Operation], data: st.DataObject
) -> None:
    store = MemoryEventStore()
    for operation in done:
        record(store, operation)
    history = read_report_history(store)
    last = history.version
    anew = advance(unfolded(), history, last, totals_reader(store, history, ALL, totals_of_sales))
    folded = unfolded()
    for version in [*sorted(data.draw(st.sets(st.integers(0, last)))), last]:
        folded = advance(
            folded, history, version, totals_reader(store, history, ALL, stored_totals)
        )
    for window in WINDOWS:
        assert_frame_equal(named(anew.tables, window), named(folded.tables, window))


def named(tables: Tables, window: RankingWindow) -> pl.DataFrame:
    ids = pl.Series("category_id", tables.categories.ids, dtype=pl.String)
    table = tables.windows[window]
    return table.with_columns(ids.gather(table.get_column("category"))).drop("category")


def test_a_list_reads_back_alone_and_as_part_of_all() -> None:
    done = [
        Operation("ingest", FIRST_HOUR, report([("toys", "p1", 3, 900), ("toys", "p2", 3, 100)])),
        Operation("ingest", FIRST_HOUR + 1, report([("books", "p9", 1, 100)])),
    ]
    store = published_store(done)
    partition = partition_of("toys")
    whole = read_published(store, [partition], 1)
    for window in WINDOWS:
        for metric in METRICS:
            offset = list_offset(window, metric)
            alone = read_published_list(store, partition, 1, "toys", offset)
            assert alone is not None
            place = whole.categories.ids.index("toys") * 10 + offset
            rows = whole.rows.filter(pl.col("list") == place).drop("list").rows(named=True)
            assert [msgspec.structs.asdict(row) for row in alone.rows] == rows
            assert alone.total_count == whole.total_counts[place]


def test_a_list_that_did_not_change_is_not_stored_again() -> None:
    done = [
        Operation("ingest", FIRST_HOUR, report([("toys", "p1", 3, 900)])),
        Operation("ingest", FIRST_HOUR + 1, report([("books", "p9", 1, 100)])),
        Operation("ingest", FIRST_HOUR + 2, report([("books", "p9", 1, 100)])),
    ]
    store = published_store(done)
    lists = read_published(store, [partition_of("toys")], 2)
    ((_, event),) = events_of(lists, [partition_of("toys")])
    all_time = lists.held_at[lists.categories.ids.index("toys") * 10 + 8]
    assert all_time == 1  # its previous ranks came with version 1, and stayed
    assert event.version == 2


def test_a_category_that_was_not_known_yet_has_no_list_then() -> None:
    store = published_store(
        [
            Operation("ingest", FIRST_HOUR, report([("toys", "p1", 3, 900)])),
            Operation("ingest", FIRST_HOUR + 1, report([("books", "p9", 1, 100)])),
        ]
    )
    assert read_published_list(store, partition_of("books"), 0, "books", 0) is None


@pytest.mark.parametrize("kind", ["ingest", "correct"])
def test_a_report_without_sales_closes_its_hour(kind: str) -> None:
    store = published_store(
        [
            Operation("ingest", FIRST_HOUR, report([("toys", "p1", 3, 900)])),
            Operation("ingest", FIRST_HOUR + 1, report([])),
        ]
    )
    lists = read_published(store, ALL, 1)
    assert lists.hour == FIRST_HOUR + 1
    assert lists.total_counts.tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1]
