"""Opening an event store by its URL."""

import sqlite3
from pathlib import Path

import pytest

from write_side.errors import EventStoreUnavailable
from write_side.event_store import NO_STREAM
from write_side.events import StoreCreated
from write_side.memory_event_store import MemoryEventStore
from write_side.open_event_store import open_event_store
from write_side.sqlite_event_store import SqliteEventStore

CREATED = StoreCreated("an id", 64)


def refusal(url: str) -> str:
    with pytest.raises(EventStoreUnavailable) as refused:
        open_event_store(url)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_memory_is_a_new_store_each_time() -> None:
    first = open_event_store("memory://")
    assert isinstance(first, MemoryEventStore)
    first.append("store", [CREATED], NO_STREAM)
    assert open_event_store("memory://").last_version("store") == NO_STREAM


def test_four_slashes_lead_to_an_absolute_path(tmp_path: Path) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/events.db")
    assert isinstance(store, SqliteEventStore)
    store.close()
    assert (tmp_path / "events.db").is_file()


def test_three_slashes_lead_to_a_path_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_event_store("sqlite:///.topsellers/events.db")
    store.append("store", [CREATED], NO_STREAM)
    monkeypatch.chdir("/")
    assert store.last_version("store") == 0
    store.close()
    assert (tmp_path / ".topsellers" / "events.db").is_file()


def test_nothing_in_a_path_is_decoded(tmp_path: Path) -> None:
    open_event_store(f"sqlite:///{tmp_path}/50%25 off?x#y/events.db").close()
    assert (tmp_path / "50%25 off?x#y" / "events.db").is_file()


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///folder/"])
def test_a_url_without_a_file_is_refused(url: str) -> None:
    assert refusal(url).startswith(f"event store URL {url} names no file. Use sqlite:///")


def test_an_unknown_scheme_is_named_without_its_password() -> None:
    message = refusal("postgres://user:secret@host/db")
    assert message.startswith("no event store has a URL of the form postgres://…. Use sqlite:///")
    assert "secret" not in message


def test_a_url_without_a_scheme_is_refused() -> None:
    assert refusal("events.db").startswith("the event store URL has no scheme. Use sqlite:///")


def test_a_host_in_a_sqlite_url_is_refused() -> None:
    assert "sqlite://…" in refusal("sqlite://host/events.db")


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    assert refusal(f"sqlite:///{tmp_path}") == (
        f"event store {tmp_path} is a folder. Name a file in it"
    )


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    message = refusal(f"sqlite:///{tmp_path}/file/events.db")
    assert message.startswith(f"event store {tmp_path}/file/events.db: ")
    assert message.endswith("Make the file and its folder writable")


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_text("timestamp,product_id,category_id\n" * 50)
    assert refusal(f"sqlite:///{path}") == f"{path} is no SQLite database. Name another file"
    assert path.read_text() == "timestamp,product_id,category_id\n" * 50


def test_another_programs_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE songs (name TEXT)")
    other.close()
    before = path.read_bytes()
    assert refusal(f"sqlite:///{path}") == (
        f"{path} is a SQLite database, but no event store. Name another file"
    )
    assert path.read_bytes() == before


def test_a_store_of_another_release_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    open_event_store(f"sqlite:///{path}").close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 2")
    other.close()
    assert refusal(f"sqlite:///{path}") == (
        f"event store {path} has format 2, this release reads 1. Use the release that wrote it"
    )
