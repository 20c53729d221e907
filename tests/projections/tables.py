"""Tables of one partition: made of plain rows, ranked in plain Python, and stored in Redis."""

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import polars as pl
from hypothesis import strategies as st

from projections.fold import TABLE_SCHEMA, Categories, Tables
from projections.head import Head, new_build
from projections.ranking import first_rows, ranked_orders
from projections.ranking_lists import WINDOWS, RankingMetric
from projections.read_model_writer import Build, write_build
from projections.redis_connection import RedisClient
from write_side.partitioning import partition_of

PARTITION = 7
SHARING = tuple(f"c{n}" for n in range(2_000) if partition_of(f"c{n}") == PARTITION)[:5]
"""Categories of one partition, whose rows share blocks."""

Totals = Mapping[str, Mapping[str, tuple[int, int]]]
"""Units and minor units by category, then product."""

_products = st.sampled_from([f"p{n}" for n in range(30)] + ["ä", "Z", "ﬁ", "𝄞", "", "p"])
_totals = st.tuples(st.integers(-2, 5), st.integers(-2, 5))
totals: st.SearchStrategy[Totals] = st.fixed_dictionaries(
    {category: st.dictionaries(_products, _totals, max_size=30) for category in SHARING}
)


def table_of(rows: Totals) -> pl.DataFrame:
    """Return a window's table of totals, with each category's place among them."""
    return pl.DataFrame(
        [
            (place, product, *values)
            for place, category in enumerate(rows)
            for product, values in sorted(rows[category].items(), key=lambda item: item[0].encode())
        ],
        schema=TABLE_SCHEMA,
        orient="row",
    )


def tables_of(rows: Totals) -> Tables:
    """Return tables that hold the same totals in every window."""
    ids = sorted(rows, key=str.encode)
    table = table_of({category: rows[category] for category in ids})
    return Tables(Categories(ids, [PARTITION] * len(ids)), dict.fromkeys(WINDOWS, table))


def ranked(
    rows: Mapping[str, tuple[int, int]], metric: RankingMetric
) -> list[tuple[int, int, str, int, int]]:
    """Return a list, by a plain sort: position, dense rank, product, units, minor units."""
    column = 0 if metric is RankingMetric.UNITS else 1
    order = sorted(
        (item for item in rows.items() if item[1][column] > 0),
        key=lambda item: (-item[1][column], item[0].encode()),
    )
    ranks: dict[int, int] = defaultdict(lambda: len(ranks) + 1)
    return [
        (position, ranks[values[column]], product, *values)
        for position, (product, values) in enumerate(order, 1)
    ]


def store_tables(redis: RedisClient, rows: Totals, previous: pl.DataFrame | None = None) -> Head:
    """Write the tables of totals as a build of their partition, and return its head."""
    tables = tables_of(rows)
    orders = ranked_orders(tables)
    none = pl.DataFrame(schema={"list": pl.UInt32, "product_id": pl.String, "rank": pl.Int32})
    build = Build(
        tables, orders, first_rows(tables, orders), none if previous is None else previous
    )
    head = Head(
        store_id="store",
        partition=PARTITION,
        generation="g",
        version=1,
        build=new_build(),
        hour=10,
        as_of_hour=10,
        categories=tuple(tables.categories.ids),
        windows={},
        lists=(),
    )
    with ThreadPoolExecutor(1) as threads:
        (stored,) = write_build(redis, build, [head], {}, threads)
    return stored
