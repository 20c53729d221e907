"""Events of earlier releases, read as those of today."""

from typing import Any

import pytest

from write_side import events
from write_side.events import SalesTotalled, StoreCreated, decode, encode
from write_side.upcasting import UPCASTS, Upcast, upcast

Fields = dict[str, Any]


def renamed(fields: Fields) -> Fields:
    return {("partitions" if name == "slots" else name): fields[name] for name in fields}


def doubled(fields: Fields) -> Fields:
    return fields | {"partitions": fields["partitions"] * 2}


STEPS: dict[tuple[str, int], Upcast] = {
    ("StoreCreated", 1): renamed,
    ("StoreCreated", 3): doubled,
}


def test_fields_go_through_each_version_since_they_were_written() -> None:
    assert upcast("StoreCreated", {"slots": 8}, 1, 4, STEPS) == {"partitions": 16}
    assert upcast("StoreCreated", {"partitions": 8}, 2, 4, STEPS) == {"partitions": 16}
    assert upcast("StoreCreated", {"partitions": 8}, 2, 3, STEPS) == {"partitions": 8}
    assert upcast("SalesTotalled", {"slots": 8}, 1, 4, STEPS) == {"slots": 8}


def test_an_event_of_an_earlier_version_is_read_as_one_of_today(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(events, "SCHEMA_VERSION", 4)
    monkeypatch.setattr(events, "UPCASTS", STEPS)
    stored = b'{"type":"StoreCreated","store_id":"id","slots":32}'
    assert decode("StoreCreated", stored, 1) == StoreCreated("id", 64)
    assert decode("StoreCreated", encode(StoreCreated("id", 64)), 4) == StoreCreated("id", 64)
    totalled = SalesTotalled(1, 1, 7, 1, b"\x00\xff")
    assert decode("SalesTotalled", encode(totalled), 1) == totalled


def test_each_upcast_starts_from_a_version_that_was_written() -> None:
    assert all(1 <= version < events.SCHEMA_VERSION for _, version in UPCASTS)
