"""The stored format of a batch: what was written stays readable."""

import msgspec
import polars as pl
import pytest

from write_side.event_store import Metadata, RecordedEvent
from write_side.events import Event, SaleRecorded, SalesReportWithdrawn
from write_side.sale_rows import frame_of_sales
from write_side.sqlite_batches import (
    BatchKind,
    StoredBatch,
    encode_batches,
    events_of,
    sales_of,
    verify,
)

PLAIN = Metadata()
TRACED = Metadata(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
WITHDRAWN = SalesReportWithdrawn(490_000, 1, "wrong file", 1_764_000_000_000)


def sales(count: int) -> list[SaleRecorded]:
    return [SaleRecorded(n + 2, n, f"P{n}", "C", 1, n, None) for n in range(count)]


def test_a_batch_that_the_first_release_stored_is_still_read() -> None:
    data = (
        b"\x91\x92\xb4SalesReportWithdrawn\xc4m"
        b'{"type":"SalesReportWithdrawn","hour":490000,"revision":1,'
        b'"reason":"wrong file","withdrawn_at":1764000000000}'
    )
    stored = StoredBatch(7, 1, 0, 1, TRACED.traceparent, 3322193949, data)
    assert encode_batches("sales-reports", 7, [WITHDRAWN], TRACED) == [stored]
    verify("sales-reports", stored)
    assert list(events_of("sales-reports", stored, 0)) == [
        RecordedEvent("sales-reports", 7, WITHDRAWN, TRACED)
    ]


def test_nothing_but_sales_is_stored_as_a_frame_however_it_came() -> None:
    for events in (sales(5), frame_of_sales(sales(5))):
        (batch,) = encode_batches("s", 0, events, PLAIN)
        assert batch.kind == BatchKind.SALES
        assert [recorded.event for recorded in events_of("s", batch, 2)] == sales(5)[2:]
        assert sales_of("s", batch, 3).rows() == frame_of_sales(sales(5)[3:]).rows()


def test_small_batches_stay_as_they_are_and_big_ones_are_compressed() -> None:
    (small,) = encode_batches("s", 0, [WITHDRAWN], PLAIN)
    (big,) = encode_batches("s", 0, [WITHDRAWN] * 1_000, PLAIN)
    assert small.kind == BatchKind.EVENTS
    assert big.kind == BatchKind.COMPRESSED_EVENTS
    assert len(big.data) < 10 * len(small.data)
    assert [recorded.event for recorded in events_of("s", big, 0)] == [WITHDRAWN] * 1_000


def test_batches_are_cut_at_their_size_and_count_on() -> None:
    events: list[Event] = [WITHDRAWN] * 2_500
    places = [(b.first_version, b.next_version) for b in encode_batches("s", 3, events, PLAIN)]
    assert places == [(3, 1_027), (1_027, 2_051), (2_051, 2_503)]
    frame = frame_of_sales(sales(7))
    batches = encode_batches("s", 3, frame, PLAIN, sales_in_batch=3)
    assert [(b.first_version, b.next_version) for b in batches] == [(3, 6), (6, 9), (9, 10)]
    assert pl.concat(sales_of("s", batch, 0) for batch in batches).equals(frame)


@pytest.mark.parametrize(
    "change",
    [
        {"first_version": 1},
        {"count": 2},
        {"kind": 1},
        {"schema_version": 0},
        {"traceparent": None},
        {"checksum": 1},
        {"data": b"other"},
        {"data": None},
    ],
)
def test_any_change_of_a_stored_batch_is_noticed(change: dict[str, object]) -> None:
    (batch,) = encode_batches("s", 0, [WITHDRAWN], TRACED)
    verify("s", batch)
    with pytest.raises(ValueError, match="does not match its checksum"):
        verify("s", msgspec.structs.replace(batch, **change))
    with pytest.raises(ValueError, match="does not match its checksum"):
        verify("another stream", batch)


def test_what_this_release_cannot_read_is_named() -> None:
    (events,) = encode_batches("s", 0, [WITHDRAWN], PLAIN)
    (frame,) = encode_batches("s", 0, sales(2), PLAIN)
    for batch, change, reason in (
        (events, {"kind": 9}, "batch kind 9 is unknown"),
        (events, {"kind": 1}, "cannot be decoded"),
        (events, {"data": b"\xc1"}, "cannot be decoded"),
        (events, {"count": 2}, "holds 1 events in place of 2"),
        (events, {"schema_version": 2}, "of schema version 2 is unknown"),
        (frame, {"schema_version": 2}, "of schema version 2 are unknown"),
        (frame, {"data": b"no frame"}, "cannot be decoded"),
        (frame, {"count": 3}, "holds 2 events in place of 3"),
    ):
        with pytest.raises(ValueError, match=reason):
            list(events_of("s", msgspec.structs.replace(batch, **change), 0))
