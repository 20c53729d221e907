"""What the SQLite event store does beyond the contract: its file, its batches, their checksums."""

import random
import sqlite3
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event as Signal

import polars as pl
import pytest

from write_side.errors import EventStoreCorrupted, EventStoreError, EventStoreUnavailable
from write_side.event_store import NO_STREAM, StreamAppend
from write_side.events import Event, SaleRecorded, SalesReportWithdrawn, SalesTotalled
from write_side.sale_rows import frame_of_sales
from write_side.sqlite_event_store import SqliteEventStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteEventStore]:
    store = SqliteEventStore(path, sales_in_batch=10)
    yield store
    store.close()


def sales(count: int) -> list[SaleRecorded]:
    return [SaleRecorded(n + 2, n, f"P{n}", f"C{n % 3}", 1, n, None) for n in range(count)]


def notes(count: int) -> list[Event]:
    return [SalesReportWithdrawn(n, 1, "wrong file", n) for n in range(count)]


def query(path: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def test_its_files_are_its_owners_alone_in_a_folder_that_it_makes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "events.db"
    store = SqliteEventStore(path)
    store.append("notes", notes(1), NO_STREAM)
    files = sorted(path.parent.iterdir())
    assert {file.name for file in files} >= {"events.db", "events.db-wal", "events.db-lock"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    store.close()


def test_its_file_says_what_it_is(path: Path, store: SqliteEventStore) -> None:
    assert query(path, "PRAGMA application_id") == [(int.from_bytes(b"topS", "big"),)]
    assert query(path, "PRAGMA user_version") == [(1,)]
    assert query(path, "PRAGMA journal_mode") == [("wal",)]


def test_a_path_may_hold_any_characters(tmp_path: Path) -> None:
    path = tmp_path / "50% off? #1" / "é vents.db"
    store = SqliteEventStore(path)
    store.append("notes", notes(1), NO_STREAM)
    store.close()
    assert path.stat().st_size > 0


def test_a_big_frame_is_kept_in_batches_that_are_read_apart(
    path: Path, store: SqliteEventStore
) -> None:
    store.append_sales("sales", frame_of_sales(sales(35)), NO_STREAM)
    places = query(path, "SELECT first_version, count FROM batches ORDER BY first_version")
    assert places == [(0, 10), (10, 10), (20, 10), (30, 5)]
    for version in (0, 9, 10, 34):
        (recorded,) = store.read("sales", version, limit=1)
        assert recorded.event == sales(35)[version]
    assert [len(frame) for frame in store.read_sales("sales", 17)] == [3, 10, 5]


def test_a_hundred_thousand_realistic_sales_take_under_24_bytes_each(path: Path) -> None:
    source = random.Random(5)
    count = 100_000
    frame = frame_of_sales(
        SaleRecorded(
            n + 2,
            1_764_000_000_000_000 + n * 36_000,
            f"P{int(10 ** source.uniform(0, 8)):09d}",
            f"C{int(10 ** source.uniform(0, 3)):04d}",
            source.choice([-1, 1, 1, 1, 1, 2, 3]),
            int(source.lognormvariate(8, 1)),
            None if n % 20 == 0 else source.getrandbits(64),
        )
        for n in range(count)
    )
    store = SqliteEventStore(path)
    store.append_many(
        [
            StreamAppend(
                f"sales-{digit}", frame.filter(pl.col("category_id").str.ends_with(digit)), -1
            )
            for digit in "0123456789"
        ]
    )
    assert sum(store.last_version(f"sales-{digit}") + 1 for digit in "0123456789") == count
    store.close()
    assert path.stat().st_size / count < 24


def test_repetitive_events_are_compressed(path: Path, store: SqliteEventStore) -> None:
    store.append("notes", notes(1_000), NO_STREAM)
    ((size,),) = query(path, "SELECT sum(length(data)) FROM batches")
    assert isinstance(size, int)
    assert size < 20_000


def test_a_damaged_batch_is_named_and_those_before_it_are_still_read(
    path: Path, store: SqliteEventStore
) -> None:
    for version in range(3):
        store.append("notes", notes(1), version - 1)
    query(path, "UPDATE batches SET data = replace(data, 'wrong', 'right') WHERE first_version = 2")
    assert len(list(store.read("notes", limit=2))) == 2
    with pytest.raises(EventStoreCorrupted, match=r"events\.db is damaged at notes@2: .*checksum"):
        list(store.read("notes"))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE batches SET count = 9 WHERE first_version = 10",
        "UPDATE batches SET kind = 0 WHERE first_version = 10",
        "UPDATE batches SET kind = 'x' WHERE first_version = 10",
        "UPDATE batches SET schema_version = 2 WHERE first_version = 10",
        "UPDATE batches SET traceparent = 'other' WHERE first_version = 10",
        "UPDATE batches SET checksum = checksum + 1 WHERE first_version = 10",
        "UPDATE batches SET first_version = 9 WHERE first_version = 10",
        "UPDATE batches SET first_version = 11 WHERE first_version = 10",
        "UPDATE batches SET data = substr(data, 2) WHERE first_version = 10",
        "UPDATE batches SET data = CAST(data AS TEXT) WHERE first_version = 10",
        "DELETE FROM batches WHERE first_version = 10",
    ],
)
def test_what_is_damaged_around_a_batch_is_noticed(
    path: Path, store: SqliteEventStore, damage: str
) -> None:
    store.append_sales("sales", frame_of_sales(sales(25)), NO_STREAM)
    query(path, damage)
    for read in (store.read, store.read_sales):
        with pytest.raises(EventStoreCorrupted, match=r"damaged at sales@"):
            list(read("sales"))


def test_a_batch_that_was_moved_to_another_stream_is_noticed(
    path: Path, store: SqliteEventStore
) -> None:
    store.append("a", notes(1), NO_STREAM)
    store.append("b", [SalesReportWithdrawn(5, 5, "other", 5)], NO_STREAM)
    query(path, "UPDATE streams SET name = iif(name = 'a', 'c', 'a')")
    with pytest.raises(EventStoreCorrupted):
        list(store.read("a"))


def test_a_flipped_byte_anywhere_in_the_data_is_never_read_as_an_event(path: Path) -> None:
    store = SqliteEventStore(path)
    expected = [SalesTotalled(n, 1, 1, 1, random.Random(n).randbytes(3_000)) for n in range(40)]
    for version, event in enumerate(expected):
        store.append("totals", [event], version - 1)
    store.close()
    whole = path.read_bytes()
    source = random.Random(3)
    noticed = 0
    for _ in range(40):
        flipped = bytearray(whole)
        flipped[source.randrange(len(flipped))] ^= 1 << source.randrange(8)
        path.write_bytes(flipped)
        read: list[Event] = []
        try:
            damaged = SqliteEventStore(path)
            try:
                read.extend(recorded.event for recorded in damaged.read("totals"))
            finally:
                damaged.close()
        except EventStoreError:
            noticed += 1
        assert read == expected[: len(read)]
    assert noticed > 20


def test_threads_wait_for_each_other_as_long_as_they_are_told(path: Path) -> None:
    store = SqliteEventStore(path, busy_seconds=0.2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(EventStoreUnavailable, match="another program keeps it locked"):
        store.append("notes", notes(1), NO_STREAM)
    assert 0.1 < time.monotonic() - started < 5
    assert store.last_version("notes") == NO_STREAM
    other.execute("COMMIT")
    other.close()
    assert store.append("notes", notes(1), NO_STREAM) == 0
    store.close()


def test_a_writer_waits_for_one_that_takes_its_time(path: Path, store: SqliteEventStore) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    begun = Signal()

    def append() -> int:
        begun.set()
        return store.append("notes", notes(1), NO_STREAM)

    with ThreadPoolExecutor(1) as threads:
        appended = threads.submit(append)
        begun.wait(5)
        time.sleep(0.1)
        other.execute("COMMIT")
        assert appended.result(20) == 0
    other.close()


def test_more_threads_than_kept_connections_read_at_once(store: SqliteEventStore) -> None:
    store.append("notes", notes(30), NO_STREAM)
    with ThreadPoolExecutor(20) as threads:
        counts = threads.map(lambda _: len(list(store.read("notes"))), range(200))
    assert list(counts) == [30] * 200


def test_stores_opened_at_once_make_one_file(path: Path) -> None:
    def append(number: int) -> int:
        store = SqliteEventStore(path)
        version = store.append(f"notes-{number}", notes(2), NO_STREAM)
        store.close()
        return version

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(append, range(16))) == [1] * 16


def test_a_file_left_empty_by_a_crash_is_made_anew(path: Path) -> None:
    path.touch()
    store = SqliteEventStore(path)
    assert store.append("notes", notes(1), NO_STREAM) == 0
    store.close()


def test_a_deleted_file_is_made_anew(path: Path, store: SqliteEventStore) -> None:
    store.close()
    path.unlink()
    again = SqliteEventStore(path)
    assert again.last_version("notes") == NO_STREAM
    again.close()
