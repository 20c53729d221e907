"""Ranked orders and dense ranks, against a plain sort."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from projections.ranking import (
    FIRST_ROWS_SCHEMA,
    RankedOrder,
    first_rows,
    ranked_orders,
    total_counts,
)
from projections.ranking_lists import METRICS, WINDOWS, RankingMetric, list_offset
from tests.projections.conftest import SMALL
from tests.projections.tables import SHARING, Totals, ranked, table_of, tables_of, totals

FIRST = SMALL["FIRST_POSITIONS"]


@settings(max_examples=200)
@given(totals)
def test_positions_and_dense_ranks_are_those_of_a_plain_sort(rows: Totals) -> None:
    table = table_of(rows)
    for metric in METRICS:
        order = RankedOrder(table, metric)
        placed = zip(
            order.category.tolist(),
            order.position.tolist(),
            order.rank.tolist(),
            table.get_column("product_id").gather(order.rows).to_list(),
            order.total.tolist(),
            strict=True,
        )
        column = 0 if metric is RankingMetric.UNITS else 1
        assert list(placed) == [
            (place, position, rank, product, values[column])
            for place, category in enumerate(rows)
            for position, rank, product, *values in ranked(rows[category], metric)
        ]
        assert order.counts(len(rows)).tolist() == [
            len(ranked(rows[category], metric)) for category in rows
        ]


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(totals)
def test_the_first_rows_of_every_list_are_those_of_a_plain_sort(rows: Totals) -> None:
    tables = tables_of(rows)
    orders = ranked_orders(tables)
    frame = first_rows(tables, orders)
    expected = [
        (place * 10 + list_offset(window, metric), *row)
        for place, category in enumerate(tables.categories.ids)
        for window in WINDOWS
        for metric in METRICS
        for row in ranked(rows[category], metric)[:FIRST]
    ]
    assert frame.rows() == expected
    assert dict(frame.schema) == FIRST_ROWS_SCHEMA
    assert total_counts(tables, orders).tolist() == [
        len(ranked(rows[category], metric))
        for category in tables.categories.ids
        for _ in WINDOWS
        for metric in METRICS
    ]


def test_what_sums_to_nothing_or_less_is_not_ranked() -> None:
    rows = {SHARING[0]: {"a": (0, 5), "b": (-1, 0), "c": (1, -5)}}
    assert [ranked(rows[SHARING[0]], metric)[0][2] for metric in METRICS] == ["c", "a"]
    for metric, product in zip(METRICS, ["c", "a"], strict=True):
        order = RankedOrder(table_of(rows), metric)
        table = table_of(rows)
        assert table.get_column("product_id").gather(order.rows).to_list() == [product]


def test_totals_as_large_as_they_get_keep_their_order() -> None:
    largest = 2**63 - 1
    rows = {SHARING[0]: {"a": (largest - 1, 1), "b": (largest, 1), "c": (-largest - 1, 1)}}
    order = RankedOrder(table_of(rows), RankingMetric.UNITS)
    assert order.total.tolist() == [largest, largest - 1]
    assert np.array_equal(order.rank, [1, 2])


def test_an_empty_table_ranks_nothing() -> None:
    order = RankedOrder(table_of({}), RankingMetric.UNITS)
    assert (len(order.rows), order.counts(3).tolist()) == (0, [0, 0, 0])
    assert first_rows(tables_of({}), ranked_orders(tables_of({}))).equals(
        pl.DataFrame(schema=FIRST_ROWS_SCHEMA)
    )
