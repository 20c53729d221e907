"""What every event store gives to a reader."""

from itertools import islice
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from write_side.errors import EventStoreCorrupted
from write_side.event_store import NO_STREAM, EventStore, Metadata
from write_side.events import SCHEMA_VERSION, Event, SalesReportWithdrawn


def withdrawals(first: int, stop: int) -> list[Event]:
    return [SalesReportWithdrawn(hour, 1, "wrong file", hour) for hour in range(first, stop)]


def filled(store: EventStore, stream: str, sizes: list[int]) -> None:
    written = 0
    for size in sizes:
        store.append(stream, withdrawals(written, written + size), written - 1)
        written += size


def versions(store: EventStore, stream: str, start: int, limit: int | None = None) -> list[int]:
    recorded = list(store.read(stream, start, limit))
    for each in recorded:
        assert isinstance(each.event, SalesReportWithdrawn)
        assert each.event.hour == each.version
        assert each.stream == stream
    return [each.version for each in recorded]


def test_a_read_begins_at_any_version(store: EventStore, stream: str) -> None:
    filled(store, stream, [3, 1, 4])
    for start in range(9):
        assert versions(store, stream, start) == list(range(start, 8))
    assert versions(store, stream, 1_000) == []


def test_a_limit_ends_a_read_wherever_it_falls(store: EventStore, stream: str) -> None:
    filled(store, stream, [3, 1, 4])
    for start in range(8):
        for limit in range(10):
            expected = list(range(start, min(start + limit, 8)))
            assert versions(store, stream, start, limit) == expected


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    sizes=st.lists(st.integers(0, 5), max_size=6),
    start=st.integers(0, 30),
    limit=st.none() | st.integers(0, 30),
)
def test_a_read_is_a_slice_however_the_events_came(
    store: EventStore,
    stream: str,
    sizes: list[int],
    start: int,
    limit: int | None,
) -> None:
    name = f"{stream}-{uuid4().hex}"
    filled(store, name, sizes)
    assert versions(store, name, start, limit) == list(range(sum(sizes)))[start:][:limit]


def test_a_stream_of_thousands_of_events_is_read_in_order(store: EventStore, stream: str) -> None:
    filled(store, stream, [1_500, 1, 2_500] + [1] * 20)
    assert versions(store, stream, 0) == list(range(4_021))
    assert versions(store, stream, 3_999, 3) == [3_999, 4_000, 4_001]


def test_a_reader_that_pauses_holds_up_no_writer(store: EventStore, stream: str) -> None:
    filled(store, stream, [2, 2])
    reading = store.read(stream)
    assert next(reading).version == 0
    store.append(stream, withdrawals(4, 6), 3)
    assert [recorded.version for recorded in islice(reading, 3)] == [1, 2, 3]
    assert store.last_version(stream) == 5


def test_a_later_releases_event_is_refused_and_named(store: EventStore, stream: str) -> None:
    store.append(stream, withdrawals(0, 1), NO_STREAM)
    store.append(stream, withdrawals(1, 2), 0, Metadata(schema_version=SCHEMA_VERSION + 1))
    assert versions(store, stream, 0, 1) == [0]
    with pytest.raises(EventStoreCorrupted, match=f"{stream}@1"):
        list(store.read(stream, 1))
