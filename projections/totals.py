"""Where the fold's totals come from: the event store, partition by partition."""

from collections.abc import Callable, Iterable, Sequence

import polars as pl

from projections.fold import TotalsOf
from write_side.errors import EventStoreCorrupted
from write_side.event_store import EventStore
from write_side.events import SalesTotalled, sales_stream, totals_stream
from write_side.hours import format_stamp
from write_side.report_history import Attempt, ReportHistory
from write_side.sale_frames import SALES_SCHEMA, TOTALS_SCHEMA, decode_frame, total_sales

TotalsSource = Callable[[EventStore, Attempt, int], pl.DataFrame]
"""Gives the `TOTALS_SCHEMA` frame of an attempt in one partition that has sales in it."""


def stored_totals(store: EventStore, attempt: Attempt, partition: int) -> pl.DataFrame:
    """Return what the ingest totalled; raises `EventStoreCorrupted` where it is not there."""
    stream = totals_stream(format_stamp(attempt.hour), attempt.attempt, partition)
    for recorded in store.read(stream, limit=1):
        if isinstance(recorded.event, SalesTotalled):
            return decode_frame(recorded.event.totals)
    raise EventStoreCorrupted(
        f"{stream} is empty, though its report is closed. `topsellers rebuild --from events` "
        "goes without it; restore the store from a backup"
    )


def totals_of_sales(store: EventStore, attempt: Attempt, partition: int) -> pl.DataFrame:
    """Return the totals as they follow from every single sale."""
    stream = sales_stream(format_stamp(attempt.hour), attempt.attempt, partition)
    frames = list(store.read_sales(stream))
    return total_sales(pl.concat(frames) if frames else pl.DataFrame(schema=SALES_SCHEMA))


def totals_reader(
    store: EventStore, history: ReportHistory, partitions: Iterable[int], source: TotalsSource
) -> TotalsOf:
    """Return what gives `fold` the totals of an attempt in some partitions."""
    wanted = frozenset(partitions)
    in_partitions: dict[Attempt, Sequence[int]] = {
        Attempt(event.hour, event.attempt): event.partitions
        for event in history.ingested_between(-1, history.version)
    }

    def totals_of(attempt: Attempt) -> pl.DataFrame:
        frames = [
            source(store, attempt, partition)
            for partition in in_partitions[attempt]
            if partition in wanted
        ]
        return pl.concat(frames) if frames else pl.DataFrame(schema=TOTALS_SCHEMA)

    return totals_of
