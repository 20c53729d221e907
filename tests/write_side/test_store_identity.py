"""A store's identity: made once, whoever opens it first."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import UUID

import pytest

from write_side.errors import EventStoreCorrupted, EventStoreUnavailable
from write_side.event_store import NO_STREAM, EventStore, Metadata, StreamAppend
from write_side.events import STORE_STREAM, SalesReportWithdrawn, StoreCreated
from write_side.memory_event_store import MemoryEventStore
from write_side.open_event_store import open_event_store
from write_side.partitioning import PARTITIONS
from write_side.store_identity import store_identity

PLAIN = Metadata()


@pytest.fixture
def store() -> Iterator[EventStore]:
    store = MemoryEventStore()
    yield store
    store.close()


def test_a_new_store_gets_an_id_that_it_keeps(store: EventStore) -> None:
    identity = store_identity(store)
    assert UUID(identity.store_id).version == 4
    assert identity.partitions == PARTITIONS
    assert store_identity(store) == identity
    assert store.last_version(STORE_STREAM) == 0


def test_two_stores_have_two_ids(store: EventStore) -> None:
    assert store_identity(store) != store_identity(MemoryEventStore())


def test_all_that_open_a_new_store_at_once_agree_on_its_identity(tmp_path: Path) -> None:
    barrier = Barrier(4)

    def identity(_: int) -> StoreCreated:
        store = open_event_store(f"sqlite:///{tmp_path}/events.db")
        barrier.wait(20)
        found = store_identity(store)
        store.close()
        return found

    with ThreadPoolExecutor(4) as threads:
        assert len({each.store_id for each in threads.map(identity, range(4))}) == 1


def test_the_loser_of_the_race_takes_the_winners_identity() -> None:
    class Overtaken(MemoryEventStore):
        """A store in which another process is a moment faster."""

        winner: StoreCreated | None = StoreCreated("of the winner", PARTITIONS)

        def append_many(self, appends: Sequence[StreamAppend], metadata: Metadata = PLAIN) -> None:
            if self.winner is not None:
                first, self.winner = self.winner, None
                self.append(STORE_STREAM, [first], NO_STREAM)
            super().append_many(appends, metadata)

    assert store_identity(Overtaken()).store_id == "of the winner"


def test_a_store_made_with_another_count_of_partitions_is_refused(store: EventStore) -> None:
    store.append(STORE_STREAM, [StoreCreated("an id", 16)], NO_STREAM)
    with pytest.raises(EventStoreUnavailable) as refused:
        store_identity(store)
    assert str(refused.value) == (
        "the event store was made with 16 partitions, this release has 64. "
        "Use the release that made it, or a new store"
    )


def test_a_store_that_begins_with_another_event_is_refused(store: EventStore) -> None:
    store.append(STORE_STREAM, [SalesReportWithdrawn(1, 1, "odd", 1)], NO_STREAM)
    with pytest.raises(EventStoreCorrupted, match="begins with SalesReportWithdrawn"):
        store_identity(store)
