"""What every event store does with an append."""

from uuid import UUID

import pytest

from write_side.errors import EventStoreUnavailable, WrongExpectedVersion
from write_side.event_store import (
    NO_STREAM,
    EventStore,
    Metadata,
    RecordedEvent,
    StreamAppend,
    event_id,
)
from write_side.events import Event, SalesReportIngested, SalesReportWithdrawn, SalesTotalled
from write_side.open_event_store import open_event_store

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def withdrawals(*hours: int, reason: str = "wrong file") -> list[Event]:
    return [SalesReportWithdrawn(hour, 1, reason, 1_764_000_000_000) for hour in hours]


def events_in(store: EventStore, stream: str) -> list[Event]:
    return [recorded.event for recorded in store.read(stream)]


def test_a_stream_without_events_is_at_no_stream(store: EventStore, stream: str) -> None:
    assert store.last_version(stream) == NO_STREAM
    assert list(store.read(stream)) == []


def test_versions_count_a_streams_events_from_zero(store: EventStore, stream: str) -> None:
    assert store.append(stream, withdrawals(1), NO_STREAM) == 0
    assert store.append(stream, withdrawals(2, 3, 4), 0) == 3
    assert store.last_version(stream) == 3
    assert [recorded.version for recorded in store.read(stream)] == [0, 1, 2, 3]
    assert events_in(store, stream) == withdrawals(1, 2, 3, 4)


def test_streams_do_not_mix(store: EventStore, stream: str) -> None:
    store.append(stream, withdrawals(1, 2), NO_STREAM)
    store.append(f"{stream}-b", withdrawals(3), NO_STREAM)
    assert events_in(store, stream) == withdrawals(1, 2)
    assert events_in(store, f"{stream}-b") == withdrawals(3)
    assert store.last_version(f"{stream}-b") == 0


@pytest.mark.parametrize("expected", [NO_STREAM, 0, 1, 3, 40, -2])
def test_another_version_than_expected_refuses_the_append(
    store: EventStore, stream: str, expected: int
) -> None:
    store.append(stream, withdrawals(1, 2, 3), NO_STREAM)
    with pytest.raises(WrongExpectedVersion) as refused:
        store.append(stream, withdrawals(9, reason="another writer"), expected)
    assert (refused.value.stream, refused.value.expected, refused.value.actual) == (
        stream,
        expected,
        2,
    )
    assert events_in(store, stream) == withdrawals(1, 2, 3)


def test_a_stream_expected_to_exist_that_does_not_refuses_the_append(
    store: EventStore, stream: str
) -> None:
    with pytest.raises(WrongExpectedVersion) as refused:
        store.append(stream, withdrawals(1), 0)
    assert refused.value.actual == NO_STREAM
    assert store.last_version(stream) == NO_STREAM


def test_an_empty_append_only_checks_the_version(store: EventStore, stream: str) -> None:
    assert store.append(stream, [], NO_STREAM) == NO_STREAM
    store.append(stream, withdrawals(1), NO_STREAM)
    assert store.append(stream, [], 0) == 0
    with pytest.raises(WrongExpectedVersion):
        store.append(stream, [], NO_STREAM)
    with pytest.raises(WrongExpectedVersion):
        store.append(stream, [], 1)
    assert events_in(store, stream) == withdrawals(1)


def test_many_streams_are_appended_to_at_once(store: EventStore, stream: str) -> None:
    store.append(f"{stream}-a", withdrawals(1), NO_STREAM)
    store.append_many(
        [
            StreamAppend(f"{stream}-a", withdrawals(2, 3), 0),
            StreamAppend(f"{stream}-b", withdrawals(4), NO_STREAM),
            StreamAppend(f"{stream}-c", [], NO_STREAM),
        ]
    )
    assert events_in(store, f"{stream}-a") == withdrawals(1, 2, 3)
    assert events_in(store, f"{stream}-b") == withdrawals(4)
    assert store.last_version(f"{stream}-c") == NO_STREAM


def test_an_append_to_no_stream_at_all_does_nothing(store: EventStore) -> None:
    store.append_many([])


def test_of_many_appends_one_at_the_wrong_version_is_named(
    store: EventStore, stream: str, atomic: bool
) -> None:
    store.append(f"{stream}-b", withdrawals(1), NO_STREAM)
    with pytest.raises(WrongExpectedVersion) as refused:
        store.append_many(
            [
                StreamAppend(f"{stream}-a", withdrawals(2, 3), NO_STREAM),
                StreamAppend(f"{stream}-b", withdrawals(4, reason="late"), NO_STREAM),
                StreamAppend(f"{stream}-c", withdrawals(5), NO_STREAM),
            ]
        )
    assert refused.value.stream == f"{stream}-b"
    assert events_in(store, f"{stream}-b") == withdrawals(1)
    written = [store.last_version(f"{stream}-{name}") for name in "ac"]
    if atomic:
        assert written == [NO_STREAM, NO_STREAM]
    else:
        assert written[0] in (NO_STREAM, 1)
        assert written[1] in (NO_STREAM, 0)


def test_an_empty_append_among_many_checks_its_version_for_all(
    store: EventStore, stream: str, atomic: bool
) -> None:
    with pytest.raises(WrongExpectedVersion):
        store.append_many(
            [
                StreamAppend(f"{stream}-a", withdrawals(1), NO_STREAM),
                StreamAppend(f"{stream}-b", [], 7),
            ]
        )
    if atomic:
        assert store.last_version(f"{stream}-a") == NO_STREAM


def test_a_stream_named_twice_among_many_is_refused(store: EventStore, stream: str) -> None:
    with pytest.raises(ValueError, match="named once"):
        store.append_many(
            [
                StreamAppend(stream, withdrawals(1), NO_STREAM),
                StreamAppend(stream, withdrawals(2), 0),
            ]
        )
    assert store.last_version(stream) == NO_STREAM


def test_metadata_comes_back_with_each_event_of_its_append(store: EventStore, stream: str) -> None:
    store.append(stream, withdrawals(1, 2), NO_STREAM, Metadata(traceparent=TRACE))
    store.append(stream, withdrawals(3), 1)
    store.append_many([StreamAppend(stream, withdrawals(4), 2)], Metadata(traceparent=TRACE))
    traces = [recorded.metadata.traceparent for recorded in store.read(stream)]
    assert traces == [TRACE, TRACE, None, TRACE]


def test_an_events_id_is_a_function_of_its_place(store: EventStore, stream: str) -> None:
    store.append(stream, withdrawals(1, 2), NO_STREAM)
    ids = [recorded.id for recorded in store.read(stream)]
    assert ids == [event_id(stream, 0), event_id(stream, 1)]
    assert [recorded.id for recorded in store.read(stream)] == ids
    assert event_id("sales-reports", 7) == UUID("d3f8bd89-5795-5676-980d-3c3e86227bb6")


def test_events_of_all_kinds_come_back_as_they_were(store: EventStore, stream: str) -> None:
    events: list[Event] = [
        SalesReportIngested(490_000, 2, 3, "ab" * 32, 2**40, 0, [0, 63], -1),
        SalesTotalled(490_000, 2, 63, 0, b""),
        SalesTotalled(490_000, 2, 63, 5, bytes(range(256)) * 500),
        SalesReportWithdrawn(-1, 1, "Größe „falsch“ 🛒\n\x00\ttab", 2**53),
    ]
    store.append(stream, events, NO_STREAM)
    assert list(store.read(stream)) == [
        RecordedEvent(stream, version, event) for version, event in enumerate(events)
    ]


def test_what_the_caller_changes_after_an_append_is_not_changed_in_the_store(
    store: EventStore, stream: str
) -> None:
    partitions = [1, 2]
    ingested = SalesReportIngested(1, 1, 1, "ab", 1, 0, partitions, 1)
    store.append(stream, [ingested], NO_STREAM)
    partitions.append(3)
    (stored,) = events_in(store, stream)
    assert isinstance(stored, SalesReportIngested)
    assert stored.partitions == [1, 2]


def test_a_closed_store_refuses_every_call(store: EventStore, stream: str) -> None:
    store.append(stream, withdrawals(1), NO_STREAM)
    store.close()
    store.close()
    for call in (
        lambda: store.append(stream, withdrawals(2), 0),
        lambda: store.append_many([StreamAppend(stream, withdrawals(2), 0)]),
        lambda: store.last_version(stream),
        lambda: list(store.read(stream)),
        lambda: list(store.read_sales(stream)),
        lambda: list(store.subscribe(stream, timeout=0)),
    ):
        with pytest.raises(EventStoreUnavailable, match="closed"):
            call()


def test_what_was_appended_is_there_when_the_store_is_opened_again(
    shared_url: str, stream: str
) -> None:
    first = open_event_store(shared_url)
    first.append(stream, withdrawals(1, 2), NO_STREAM, Metadata(traceparent=TRACE))
    first.close()
    second = open_event_store(shared_url)
    assert events_in(second, stream) == withdrawals(1, 2)
    assert second.append(stream, withdrawals(3), 1) == 2
    second.close()
