"""Sales and totals in frames: folded, split and stored without losing a row."""

import io
from collections import defaultdict

import polars as pl
import pyarrow.ipc
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from write_side.partitioning import partition_of
from write_side.sale_frames import (
    SALES_SCHEMA,
    TOTALS_SCHEMA,
    decode_frame,
    encode_frame,
    split_by_partition,
    total_sales,
)

_ids = st.sampled_from(["a", "b", "Z", "ä", "ﬁ", "𝄞", "a/b", "0", "00", "toys", "books"])
_quantities = st.integers(-1_000_000, 1_000_000).filter(bool)
_rows = st.tuples(_ids, _ids, _quantities, st.integers(-(10**11), 10**11))


def sales_frame(rows: list[tuple[str, str, int, int]]) -> pl.DataFrame:
    """Sales of (category, product, quantity, minor units)."""
    return pl.DataFrame(
        [
            (line, 0, product, category, quantity, amount, None)
            for line, (category, product, quantity, amount) in enumerate(rows, 2)
        ],
        schema=SALES_SCHEMA,
        orient="row",
    )


sales_frames = st.lists(_rows, max_size=40).map(sales_frame)


@settings(deadline=None)
@given(sales_frames)
def test_totals_are_the_sums_of_each_pair_in_the_order_of_bytes(sales: pl.DataFrame) -> None:
    sums: dict[tuple[bytes, bytes], list[int]] = defaultdict(lambda: [0, 0])
    for row in sales.iter_rows(named=True):
        pair = sums[row["category_id"].encode(), row["product_id"].encode()]
        pair[0] += row["quantity"]
        pair[1] += row["amount_minor"]
    expected = [
        (category.decode(), product.decode(), units, amount)
        for (category, product), (units, amount) in sorted(sums.items())
    ]
    totals = total_sales(sales)
    assert totals.rows() == expected
    assert dict(totals.schema) == TOTALS_SCHEMA


@settings(deadline=None)
@given(sales_frames)
def test_each_sale_is_in_its_partition_once_in_the_order_of_lines(sales: pl.DataFrame) -> None:
    parts = split_by_partition(sales)
    partitions = [partition for partition, _ in parts]
    assert partitions == sorted(set(partitions))
    for partition, part in parts:
        assert part.height
        expected = [
            row
            for row in sales.iter_rows()
            if partition_of(row[sales.columns.index("category_id")]) == partition
        ]
        assert part.rows() == expected
        assert dict(part.schema) == SALES_SCHEMA
    assert sum(part.height for _, part in parts) == sales.height


def test_a_report_of_a_million_units_a_row_does_not_overflow() -> None:
    sales = sales_frame([("a", "p", 1_000_000, 10**11)] * 5_000)
    assert total_sales(sales).rows() == [("a", "p", 5_000_000_000, 5_000 * 10**11)]


@settings(deadline=None)
@given(sales_frames)
def test_a_frame_comes_back_from_its_bytes(sales: pl.DataFrame) -> None:
    for frame in (sales, total_sales(sales)):
        back = decode_frame(encode_frame(frame))
        assert_frame_equal(back, frame)
        assert back.schema == frame.schema


def test_a_stored_frame_is_an_arrow_file_that_any_library_reads() -> None:
    data = encode_frame(sales_frame([("a", "p", 1, 5), ("b", "é", -1, -5)]))
    assert data.startswith(b"ARROW1")
    table = pyarrow.ipc.open_file(io.BytesIO(data)).read_all()
    assert table.column("product_id").to_pylist() == ["p", "é"]
    assert table.column("amount_minor").to_pylist() == [5, -5]
    assert [str(field.type) for field in table.schema] == [
        *("uint32", "int64", "large_string", "large_string", "int32", "int64", "uint64")
    ]
