"""Events and their bytes: what is stored once has to be read for ever."""

from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from write_side import events
from write_side.event_store import RecordedEvent, event_id
from write_side.events import (
    Event,
    RankingsPublished,
    SaleRecorded,
    SalesReportIngested,
    SalesReportOpened,
    SalesReportWithdrawn,
    SalesTotalled,
    StoreCreated,
    decode,
    encode,
    type_of,
)

STORED: list[tuple[Event, bytes]] = [
    (
        StoreCreated("id", 64),
        b'{"type":"StoreCreated","store_id":"id","partitions":64}',
    ),
    (
        SalesReportOpened(498_775, 2, "ab", 1, "fe"),
        b'{"type":"SalesReportOpened","hour":498775,"attempt":2,"sha256":"ab",'
        b'"parser_version":1,"pseudonym_key":"fe"}',
    ),
    (
        SaleRecorded(2, 1_795_590_000_000_000, "007", "toys/ä", -3, -1050, None),
        b'{"type":"SaleRecorded","line":2,"timestamp":1795590000000000,"product_id":"007",'
        b'"category_id":"toys/\xc3\xa4","quantity":-3,"amount_minor":-1050,"customer":null}',
    ),
    (
        SalesTotalled(498_775, 1, 7, 1, b"\x00\xff"),
        b"\x86\xa4type\xadSalesTotalled\xa4hour\xce\x00\x07\x9cW\xa7attempt\x01"
        b"\xa9partition\x07\xa5pairs\x01\xa6totals\xc4\x02\x00\xff",
    ),
    (
        SalesReportIngested(498_775, 1, 1, "ab", 10, 2, [0, 63], 1_795_593_600_000),
        b'{"type":"SalesReportIngested","hour":498775,"attempt":1,"revision":1,"sha256":"ab",'
        b'"rows":10,"rejected_rows":2,"partitions":[0,63],"ingested_at":1795593600000}',
    ),
    (
        SalesReportWithdrawn(498_775, 1, "wrong shop", 1_795_593_600_001),
        b'{"type":"SalesReportWithdrawn","hour":498775,"revision":1,"reason":"wrong shop",'
        b'"withdrawn_at":1795593600001}',
    ),
    (
        RankingsPublished(3, None, 5, ["a"], b"\x01", b"\x02", b"\x04", b"\x03"),
        b"\x89\xa4type\xb1RankingsPublished\xa7version\x03\xa4hour\xc0\xaaas_of_hour\x05"
        b"\xaacategories\x91\xa1a\xa7held_at\xc4\x01\x01\xactotal_counts\xc4\x01\x02"
        b"\xa7offsets\xc4\x01\x04\xa4rows\xc4\x01\x03",
    ),
]

_texts = st.text(max_size=20)
_numbers = st.integers(-(2**63), 2**63 - 1)
_customers = st.none() | st.integers(0, 2**64 - 1)
_events: st.SearchStrategy[Event] = st.one_of(
    st.builds(StoreCreated, _texts, _numbers),
    st.builds(SalesReportOpened, _numbers, _numbers, _texts, _numbers, _texts),
    st.builds(SaleRecorded, _numbers, _numbers, _texts, _texts, _numbers, _numbers, _customers),
    st.builds(SalesTotalled, _numbers, _numbers, _numbers, _numbers, st.binary()),
    st.builds(
        SalesReportIngested,
        *(_numbers, _numbers, _numbers, _texts, _numbers, _numbers, st.lists(_numbers), _numbers),
    ),
    st.builds(SalesReportWithdrawn, _numbers, _numbers, _texts, _numbers),
    st.builds(
        RankingsPublished,
        *(_numbers, st.none() | _numbers, _numbers, st.lists(_texts)),
        *(st.binary(), st.binary(), st.binary()),
    ),
)


@given(_events)
def test_an_event_comes_back_from_its_bytes(event: Event) -> None:
    assert decode(type_of(event), encode(event)) == event


@pytest.mark.parametrize(("event", "stored"), STORED, ids=lambda value: type(value).__name__)
def test_the_stored_bytes_of_an_event_stay_what_they_are(event: Event, stored: bytes) -> None:
    assert encode(event) == stored
    assert decode(type_of(event), stored) == event


def test_every_event_type_has_its_bytes_pinned() -> None:
    assert {type(event) for event, _ in STORED} == set(events.Event.__args__)


def test_an_unknown_type_is_told() -> None:
    with pytest.raises(ValueError, match="event SalesReportBurnt of schema version 1 is unknown"):
        decode("SalesReportBurnt", b"{}")


@pytest.mark.parametrize("version", [0, -1, 2, 99])
def test_an_unknown_schema_version_is_told(version: int) -> None:
    event, stored = STORED[0]
    with pytest.raises(ValueError, match=f"StoreCreated of schema version {version} is unknown"):
        decode(type_of(event), stored, version)


@pytest.mark.parametrize(("event", "stored"), STORED, ids=lambda value: type(value).__name__)
def test_bytes_that_are_cut_short_or_of_another_type_are_told(event: Event, stored: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(type_of(event), stored[:-1])
    other = next(each for each, _ in STORED if type(each) is not type(event))
    with pytest.raises(msgspec.DecodeError):
        decode(type_of(other), stored)


def test_streams_are_named_after_hour_attempt_and_partition() -> None:
    assert events.report_stream("2026112507") == "sales-report-2026112507"
    assert events.sales_stream("2026112507", 1, 3) == "sales-2026112507-1-03"
    assert events.totals_stream("2026112507", 12, 63) == "totals-2026112507-12-63"
    assert events.rankings_stream(0) == "rankings-00"
    assert (events.REPORTS_STREAM, events.STORE_STREAM) == ("sales-reports", "store")


def test_an_events_id_is_that_of_its_place_for_ever() -> None:
    recorded = RecordedEvent("sales-reports", 7, StoreCreated("id", 64))
    assert recorded.id == event_id("sales-reports", 7)
    assert recorded.id == UUID("d3f8bd89-5795-5676-980d-3c3e86227bb6")
    assert recorded.id.version == 5
    assert event_id("sales-reports", 8) != event_id("sales-reports-8", 8)
