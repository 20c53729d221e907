"""Sales in every event store: the same rows as frames and as events."""

from uuid import uuid4

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from write_side.errors import EventStoreCorrupted, WrongExpectedVersion
from write_side.event_store import NO_STREAM, EventStore, Metadata, StreamAppend
from write_side.events import SaleRecorded, SalesReportWithdrawn
from write_side.sale_frames import SALES_SCHEMA

ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
sales_rows = st.builds(
    SaleRecorded,
    line=st.integers(2, 2**32 - 1),
    timestamp=st.integers(-(2**63), 2**63 - 1),
    product_id=ids,
    category_id=ids,
    quantity=st.integers(-1_000_000, 1_000_000),
    amount_minor=st.integers(-(2**63), 2**63 - 1),
    customer=st.none() | st.integers(0, 2**64 - 1),
)
EXTREME = SaleRecorded(
    2**32 - 1, -(2**63), "Größe-🛒", "\u200b类别", -1_000_000, -(2**63), 2**64 - 1
)


def sale(line: int) -> SaleRecorded:
    customer = None if line % 3 == 0 else line * 2**40
    return SaleRecorded(line, line * 1_000, f"P{line}", f"C{line % 5}", 1 - line, line, customer)


def frame_of(sales: list[SaleRecorded]) -> pl.DataFrame:
    columns = {name: [getattr(each, name) for each in sales] for name in SALES_SCHEMA}
    return pl.DataFrame(columns, schema=SALES_SCHEMA)


def sales_in(store: EventStore, stream: str, start: int = 0) -> list[SaleRecorded]:
    sales = []
    for version, recorded in enumerate(store.read(stream, start), start):
        assert recorded.version == version
        assert isinstance(recorded.event, SaleRecorded)
        sales.append(recorded.event)
    return sales


def frame_in(store: EventStore, stream: str, start: int = 0) -> pl.DataFrame:
    frames = list(store.read_sales(stream, start))
    assert all(len(frame) for frame in frames)
    return pl.concat([pl.DataFrame(schema=SALES_SCHEMA), *frames])


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sales=st.lists(sales_rows, max_size=8), start=st.integers(0, 9))
@example(sales=[EXTREME, sale(3)], start=0)
def test_frames_and_events_are_the_same_sales(
    store: EventStore, stream: str, sales: list[SaleRecorded], start: int
) -> None:
    as_frame, as_events = f"{stream}-{uuid4().hex}", f"{stream}-{uuid4().hex}"
    assert store.append_sales(as_frame, frame_of(sales), NO_STREAM) == len(sales) - 1
    assert store.append(as_events, sales, NO_STREAM) == len(sales) - 1
    for written in (as_frame, as_events):
        assert sales_in(store, written, start) == sales[start:]
        assert_frame_equal(frame_in(store, written, start), frame_of(sales)[start:])


def test_sales_of_many_appends_follow_each_other(store: EventStore, stream: str) -> None:
    sales = [sale(line) for line in range(2, 62)]
    store.append_sales(stream, frame_of(sales[:20]), NO_STREAM)
    store.append(stream, sales[20:25], 19)
    store.append_many([StreamAppend(stream, frame_of(sales[25:]), 24)])
    assert store.last_version(stream) == 59
    for start in (0, 1, 19, 20, 22, 25, 59, 60):
        assert sales_in(store, stream, start) == sales[start:]
        assert_frame_equal(frame_in(store, stream, start), frame_of(sales)[start:])


def test_any_single_sale_is_read_by_its_version(store: EventStore, stream: str) -> None:
    sales = [sale(line) for line in range(2, 302)]
    store.append_sales(stream, frame_of(sales), NO_STREAM)
    for version in (0, 1, 150, 299):
        (recorded,) = store.read(stream, version, limit=1)
        assert (recorded.version, recorded.event) == (version, sales[version])


def test_a_frame_of_slices_is_appended_as_it_looks(store: EventStore, stream: str) -> None:
    sales = [sale(line) for line in range(2, 32)]
    whole = frame_of(sales)
    pieces = pl.concat([whole[3:5], whole[10:20], whole[0:1]], rechunk=False)
    store.append_sales(stream, pieces, NO_STREAM)
    assert sales_in(store, stream) == [*sales[3:5], *sales[10:20], sales[0]]


def test_an_empty_frame_only_checks_the_version(store: EventStore, stream: str) -> None:
    assert store.append_sales(stream, frame_of([]), NO_STREAM) == NO_STREAM
    assert list(store.read_sales(stream)) == []
    with pytest.raises(WrongExpectedVersion):
        store.append_sales(stream, frame_of([]), 3)


def test_sales_at_the_wrong_version_are_refused(store: EventStore, stream: str) -> None:
    store.append_sales(stream, frame_of([sale(2), sale(3)]), NO_STREAM)
    for expected in (NO_STREAM, 0, 2):
        with pytest.raises(WrongExpectedVersion):
            store.append_sales(stream, frame_of([sale(9)]), expected)
    assert sales_in(store, stream) == [sale(2), sale(3)]


def test_metadata_comes_back_with_sales(store: EventStore, stream: str) -> None:
    metadata = Metadata(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    store.append_many([StreamAppend(stream, frame_of([sale(2), sale(3)]), NO_STREAM)], metadata)
    assert [recorded.metadata for recorded in store.read(stream)] == [metadata, metadata]


def test_what_is_no_sale_cannot_be_read_as_one(store: EventStore, stream: str) -> None:
    store.append(stream, [sale(2), SalesReportWithdrawn(1, 1, "wrong file", 1)], NO_STREAM)
    with pytest.raises(EventStoreCorrupted, match="SalesReportWithdrawn, no sale"):
        list(store.read_sales(stream))


def test_a_frame_with_other_columns_is_refused(store: EventStore, stream: str) -> None:
    frame = frame_of([sale(2)])
    for wrong in (
        frame.drop("customer"),
        frame.with_columns(pl.lit(1).alias("more")),
        frame.with_columns(pl.col("quantity").cast(pl.Int64)),
        frame.with_columns(pl.lit(None, pl.String).alias("product_id")),
    ):
        with pytest.raises(ValueError, match="no frame of sales"):
            store.append_sales(stream, wrong, NO_STREAM)
    assert store.last_version(stream) == NO_STREAM
