"""Reports for the tests of the ingestion, and what a store holds of one."""

import polars as pl

from write_side.event_store import EventStore
from write_side.events import (
    REPORTS_STREAM,
    SalesReportIngested,
    SalesTotalled,
    sales_stream,
    totals_stream,
)
from write_side.feed.report_name import ReportName, parse_report_name
from write_side.hours import format_stamp
from write_side.sale_frames import SALES_SCHEMA, TOTALS_SCHEMA, decode_frame

HEADER = "timestamp,product_id,category_id,customer_id,qty,total_price"
HOUR = 495_000


def named(hour: int = HOUR) -> ReportName:
    """Return the name of an hour's report."""
    report = parse_report_name(f"SalesReport-{format_stamp(hour)}.csv")
    assert report is not None
    return report


def content(*rows: str) -> bytes:
    """Return a report of rows written `product,category,qty,price`."""
    lines = [HEADER]
    for row in rows:
        product, category, quantity, price = row.split(",")
        lines.append(f"1782000000,{product},{category},c-{product},{quantity},{price}")
    return ("\n".join(lines) + "\n").encode()


def large_content(rows: int, categories: int = 150, products: int = 4_000) -> bytes:
    """Return a report of many rows over all partitions, 3 of them bad."""
    row = pl.int_range(rows, eager=True)
    frame = pl.DataFrame(
        {
            "timestamp": 1_782_000_000 + row % 3_600,
            "product_id": "p" + (row * 7_919 % products).cast(pl.String),
            "category_id": "c" + (row * 31 % categories).cast(pl.String),
            "customer_id": (row % 997).cast(pl.String),
            "qty": row % 5 + 1,
            "total_price": (row % 9_000).cast(pl.String) + ".50",
        }
    )
    bad = b"1782000000,p1,c1,,0,1.00\n1782000000,p1,c1,,1\n1782000000,,c1,,1,1.00\n"
    return frame.write_csv().encode() + bad


def closed(store: EventStore) -> list[SalesReportIngested]:
    """Return the reports that were closed, in order."""
    return [
        recorded.event
        for recorded in store.read(REPORTS_STREAM)
        if isinstance(recorded.event, SalesReportIngested)
    ]


def stored_sales(store: EventStore, report: SalesReportIngested) -> pl.DataFrame:
    """Return all sales of a closed report, in the order of its lines."""
    stamp = format_stamp(report.hour)
    frames = [
        frame
        for partition in report.partitions
        for frame in store.read_sales(sales_stream(stamp, report.attempt, partition))
    ]
    return pl.concat([pl.DataFrame(schema=SALES_SCHEMA), *frames]).sort("line", maintain_order=True)


def stored_totals(store: EventStore, report: SalesReportIngested) -> pl.DataFrame:
    """Return all totals of a closed report."""
    stamp = format_stamp(report.hour)
    frames = [pl.DataFrame(schema=TOTALS_SCHEMA)]
    for partition in report.partitions:
        (recorded,) = store.read(totals_stream(stamp, report.attempt, partition))
        assert isinstance(recorded.event, SalesTotalled)
        frame = decode_frame(recorded.event.totals)
        assert frame.height == recorded.event.pairs
        frames.append(frame)
    return pl.concat(frames).sort("category_id", "product_id")
