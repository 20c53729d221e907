"""What the event store in memory does beyond the contract."""

import polars as pl
import pytest

from write_side.errors import EventStoreUnavailable
from write_side.event_store import NO_STREAM
from write_side.events import SaleRecorded
from write_side.memory_event_store import MemoryEventStore
from write_side.sale_rows import frame_of_sales


def test_two_stores_share_nothing() -> None:
    first, second = MemoryEventStore(), MemoryEventStore()
    first.append("sales", [SaleRecorded(2, 0, "P", "C", 1, 1, None)], NO_STREAM)
    assert second.last_version("sales") == NO_STREAM


def test_a_frame_changed_after_its_append_is_not_changed_in_the_store() -> None:
    store = MemoryEventStore()
    frame = frame_of_sales([SaleRecorded(2, 0, "P", "C", 1, 1, None)])
    store.append_sales("sales", frame, NO_STREAM)
    frame.insert_column(0, pl.Series("more", [1]))
    (stored,) = store.read_sales("sales")
    assert "more" not in stored.columns


def test_its_events_go_with_it() -> None:
    store = MemoryEventStore()
    store.close()
    with pytest.raises(EventStoreUnavailable, match="Open a new one"):
        store.last_version("sales")
