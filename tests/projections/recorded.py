"""Reports put into an event store as frames, without files, and feeds made of them."""

from collections.abc import Sequence

import polars as pl
from hypothesis import strategies as st

from tests.oracle.operations import Operation
from write_side.event_store import NO_STREAM, EventStore
from write_side.events import (
    REPORTS_STREAM,
    SalesReportIngested,
    SalesReportWithdrawn,
    SalesTotalled,
    sales_stream,
    totals_stream,
)
from write_side.hours import format_stamp
from write_side.report_history import read_report_history
from write_side.sale_frames import SALES_SCHEMA, encode_frame, split_by_partition, total_sales

FIRST_HOUR = 495_000


def record(store: EventStore, operation: Operation) -> None:
    """Append what an ingest, a correction or a withdrawal of this operation would."""
    history = read_report_history(store)
    hour = operation.hour
    if operation.kind == "withdraw":
        revision = history.in_force[hour].revision
        event = SalesReportWithdrawn(hour, revision, "test", 0)
        store.append(REPORTS_STREAM, [event], history.version)
        return
    frame = operation.report
    assert isinstance(frame, pl.DataFrame)
    attempt = len(history.revisions(hour)) + 1
    parts = split_by_partition(as_sales(frame))
    for partition, sales in parts:
        stamp = format_stamp(hour)
        store.append_sales(sales_stream(stamp, attempt, partition), sales, NO_STREAM)
        pairs = total_sales(sales)
        totals = SalesTotalled(hour, attempt, partition, pairs.height, encode_frame(pairs))
        store.append(totals_stream(stamp, attempt, partition), [totals], NO_STREAM)
    closing = SalesReportIngested(
        hour=hour,
        attempt=attempt,
        revision=attempt,
        sha256=f"{hour:x}-{attempt}",
        rows=frame.height,
        rejected_rows=0,
        partitions=[partition for partition, _ in parts],
        ingested_at=0,
    )
    store.append(REPORTS_STREAM, [closing], history.version)


def as_sales(frame: pl.DataFrame) -> pl.DataFrame:
    """Give rows of (category_id, product_id, quantity, amount_minor) the columns of sales."""
    return frame.select(
        pl.int_range(2, pl.len() + 2, dtype=pl.UInt32).alias("line"),
        pl.lit(0, pl.Int64).alias("timestamp"),
        "product_id",
        "category_id",
        pl.col("quantity").cast(pl.Int32),
        pl.col("amount_minor").cast(pl.Int64),
        pl.lit(None, pl.UInt64).alias("customer"),
    ).cast(SALES_SCHEMA)


def report(rows: Sequence[tuple[str, str, int, int]]) -> pl.DataFrame:
    """Return a report's frame of (category, product, quantity, minor units)."""
    schema = {
        "category_id": pl.String,
        "product_id": pl.String,
        "quantity": pl.Int64,
        "amount_minor": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


_ids = st.sampled_from(["a", "b", "ä", "a/b", "zz", "Z", "0", "00"])
_sales = st.tuples(_ids, _ids, st.integers(1, 4), st.integers(0, 5))
_returns = st.tuples(_ids, _ids, st.integers(-4, -1), st.integers(-5, 0))
_reports = st.lists(_sales | _returns, max_size=12).map(report)
_steps = st.sampled_from([1, 1, 1, 2, 23, 24, 25, 167, 168, 720, -1, -2, -24, -168])


@st.composite
def operations(draw: st.DrawFn, max_size: int = 8) -> list[Operation]:
    """Any order of reports on time, late, after missing hours, corrected and withdrawn."""
    hour = FIRST_HOUR
    done = [Operation("ingest", hour, draw(_reports))]
    in_force, seen = {hour}, {hour}
    for _ in range(draw(st.integers(0, max_size - 1))):
        kind = draw(st.sampled_from(["ingest", "ingest", "ingest", "correct", "withdraw"]))
        if kind == "ingest":
            hour += draw(_steps)
            while hour in seen:
                hour += 1
        elif not in_force:
            continue
        else:
            hour = draw(st.sampled_from(sorted(in_force | (seen if kind == "correct" else set()))))
        if kind == "withdraw":
            if hour not in in_force:
                continue
            done.append(Operation("withdraw", hour))
            in_force.discard(hour)
            continue
        done.append(Operation(kind, hour, draw(_reports)))
        in_force.add(hour)
        seen.add(hour)
    return done
