"""Sales as events and as frames: the same rows."""

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from write_side.events import SaleRecorded
from write_side.sale_frames import SALES_SCHEMA
from write_side.sale_rows import check_sales, frame_of_sales, sales_of_frame

sales = st.builds(
    SaleRecorded,
    line=st.integers(0, 2**32 - 1),
    timestamp=st.integers(-(2**63), 2**63 - 1),
    product_id=st.text(st.characters(exclude_categories=["Cs"])),
    category_id=st.text(st.characters(exclude_categories=["Cs"])),
    quantity=st.integers(-(2**31), 2**31 - 1),
    amount_minor=st.integers(-(2**63), 2**63 - 1),
    customer=st.none() | st.integers(0, 2**64 - 1),
)


@given(rows=st.lists(sales, max_size=20))
def test_sales_survive_the_way_to_columns_and_back(rows: list[SaleRecorded]) -> None:
    frame = frame_of_sales(rows)
    check_sales(frame)
    assert list(sales_of_frame(frame)) == rows


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("line", -1),
        ("line", 2**32),
        ("timestamp", 2**63),
        ("quantity", 2**31),
        ("amount_minor", 2**64),
        ("customer", 2**64),
        ("customer", -1),
        ("product_id", 7),
        ("quantity", 1.5),
        ("category_id", None),
    ],
)
def test_a_value_that_no_column_holds_is_refused(column: str, value: object) -> None:
    good = SaleRecorded(2, 0, "P", "C", 1, 1, None)
    bad = msgspec.structs.replace(good, **{column: value})
    with pytest.raises(ValueError, match="sale"):
        frame_of_sales([good, bad])


def test_columns_in_another_order_are_no_frame_of_sales() -> None:
    frame = pl.DataFrame(schema=SALES_SCHEMA)
    with pytest.raises(ValueError, match="no frame of sales"):
        check_sales(frame.select(reversed(frame.columns)))
