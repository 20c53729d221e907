"""Who a store is: its id, and what can never change in it."""

from uuid import uuid4

from write_side.errors import EventStoreCorrupted, EventStoreUnavailable, WrongExpectedVersion
from write_side.event_store import NO_STREAM, EventStore
from write_side.events import STORE_STREAM, StoreCreated, type_of
from write_side.partitioning import PARTITIONS


def store_identity(store: EventStore) -> StoreCreated:
    """Return a store's first event, which is appended to a new store.

    Of several processes that open a new store at once, one makes the event and all return it.
    Raises `EventStoreUnavailable` for a store made with another count of partitions.
    """
    identity = _stored(store)
    if identity is None:
        created = StoreCreated(store_id=str(uuid4()), partitions=PARTITIONS)
        try:
            store.append(STORE_STREAM, [created], expected_version=NO_STREAM)
            identity = created
        except WrongExpectedVersion:
            identity = _stored(store)
            if identity is None:
                raise
    if identity.partitions != PARTITIONS:
        raise EventStoreUnavailable(
            f"the event store was made with {identity.partitions} partitions, this release has "
            f"{PARTITIONS}. Use the release that made it, or a new store"
        )
    return identity


def _stored(store: EventStore) -> StoreCreated | None:
    for recorded in store.read(STORE_STREAM, limit=1):
        if not isinstance(recorded.event, StoreCreated):
            raise EventStoreCorrupted(
                f"stream {STORE_STREAM} begins with {type_of(recorded.event)}, not with "
                "StoreCreated. Restore a backup, or name another store"
            )
        return recorded.event
    return None
