"""The events, and how they become bytes.

Small events are JSON, readable in any tool; the two that carry columns are MessagePack around
Arrow IPC. Field names are part of the stored format: a change needs a new schema version and an
upcast in `upcasting.UPCASTS`.
"""

from typing import Any, Final

import msgspec

from write_side.upcasting import UPCASTS, upcast

SCHEMA_VERSION: Final = 1
"""Of every event written today; kept in each event's metadata."""

REPORTS_STREAM: Final = "sales-reports"
STORE_STREAM: Final = "store"


class StoreCreated(msgspec.Struct, frozen=True, tag=True):
    """The first event of a store: its identity, and what can never change in it."""

    store_id: str
    partitions: int


class SalesReportOpened(msgspec.Struct, frozen=True, tag=True):
    """An attempt at a report begins. Only the same content, parser and key resume it."""

    hour: int
    attempt: int
    sha256: str
    parser_version: int
    pseudonym_key: str
    """Fingerprint of the key that makes customers' pseudonyms."""


class SaleRecorded(msgspec.Struct, frozen=True, tag=True):
    """One good row of a report. Columns, units and signs: `sale_frames.SALES_SCHEMA`."""

    line: int
    timestamp: int
    product_id: str
    category_id: str
    quantity: int
    amount_minor: int
    customer: int | None


class SalesTotalled(msgspec.Struct, frozen=True, tag=True):
    """Net totals of one (hour, attempt, partition) as an encoded `TOTALS_SCHEMA` frame."""

    hour: int
    attempt: int
    partition: int
    pairs: int
    totals: bytes


class SalesReportIngested(msgspec.Struct, frozen=True, tag=True):
    """A report is closed and counts from here on, in place of any earlier one of its hour."""

    hour: int
    attempt: int
    revision: int
    sha256: str
    rows: int
    """Good rows."""
    rejected_rows: int
    partitions: list[int]
    """Those that have sales in it; only they have sale and totals streams for this attempt."""
    ingested_at: int
    """Milliseconds since 1970 UTC."""


class SalesReportWithdrawn(msgspec.Struct, frozen=True, tag=True):
    """An hour is taken back. What was known stays known; nothing of it counts."""

    hour: int
    revision: int
    """The revision that was in force."""
    reason: str
    withdrawn_at: int


class RankingsPublished(msgspec.Struct, frozen=True, tag=True):
    """Version N of a partition's lists: `projections.published_lists` reads and makes them."""

    version: int
    hour: int | None
    """The newest closed hour; null where none is in force."""
    as_of_hour: int
    """The hour whose end is the lists' `as_of`: the last that was the newest."""
    categories: list[str]
    """All that are known in the partition, in the order of their bytes."""
    held_at: bytes
    """Little-endian int32 for each list: the number of the event that holds its rows."""
    total_counts: bytes
    """Little-endian int64 for each list: products ranked."""
    offsets: bytes
    """Little-endian int32 for each category, and one more: where its rows begin in `rows`."""
    rows: bytes
    """For each category the rows of its lists that changed, as compressed columns, so that one
    list is read without the others; nothing where none did."""


ReportEvent = SalesReportIngested | SalesReportWithdrawn
Event = (
    StoreCreated
    | SalesReportOpened
    | SaleRecorded
    | SalesTotalled
    | SalesReportIngested
    | SalesReportWithdrawn
    | RankingsPublished
)

_COLUMNAR: Final = (SalesTotalled, RankingsPublished)
_TYPES: Final[dict[str, type[Event]]] = {
    struct.__name__: struct
    for struct in (
        StoreCreated,
        SalesReportOpened,
        SaleRecorded,
        SalesTotalled,
        SalesReportIngested,
        SalesReportWithdrawn,
        RankingsPublished,
    )
}


def type_of(event: Event) -> str:
    """Return the type name under which an event is stored."""
    return type(event).__name__


def encode(event: Event) -> bytes:
    """Return an event's stored bytes."""
    codec: Any = msgspec.msgpack if isinstance(event, _COLUMNAR) else msgspec.json
    data: bytes = codec.encode(event)
    return data


def decode(event_type: str, data: bytes, schema_version: int = SCHEMA_VERSION) -> Event:
    """Return the event of stored bytes, upcast from the schema version it was written with.

    Raises `ValueError` for a type or a schema version that this program does not know.
    """
    struct = _TYPES.get(event_type)
    if struct is None or not 1 <= schema_version <= SCHEMA_VERSION:
        raise ValueError(
            f"event {event_type} of schema version {schema_version} is unknown to this release"
        )
    codec: Any = msgspec.msgpack if struct in _COLUMNAR else msgspec.json
    if schema_version == SCHEMA_VERSION:
        event: Event = codec.decode(data, type=struct)
        return event
    fields = upcast(event_type, codec.decode(data), schema_version, SCHEMA_VERSION, UPCASTS)
    return msgspec.convert(fields, struct)


def report_stream(stamp: str) -> str:
    """Return the stream of the attempts at one hour's report."""
    return f"sales-report-{stamp}"


def sales_stream(stamp: str, attempt: int, partition: int) -> str:
    """Return the stream of one attempt's sales in one partition."""
    return f"sales-{stamp}-{attempt}-{partition:02d}"


def totals_stream(stamp: str, attempt: int, partition: int) -> str:
    """Return the stream that holds the one `SalesTotalled` of an attempt in a partition."""
    return f"totals-{stamp}-{attempt}-{partition:02d}"


def rankings_stream(partition: int) -> str:
    """Return the stream of a partition's published rankings."""
    return f"rankings-{partition:02d}"
