"""Another process of the SQLite tests, which may be killed, starved of disk, or forked.

python sqlite_event_store_process.py COMMAND FILE
"""

import os
import resource
import sys
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import polars as pl

from write_side.errors import EventStoreError, EventStoreUnavailable
from write_side.event_store import StreamAppend
from write_side.events import SaleRecorded, SalesReportWithdrawn, SalesTotalled
from write_side.sale_rows import frame_of_sales
from write_side.sqlite_event_store import SqliteEventStore


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def note(number: int) -> SalesReportWithdrawn:
    return SalesReportWithdrawn(number, 1, "note", 0)


def sales(count: int) -> pl.DataFrame:
    return frame_of_sales(SaleRecorded(n + 2, n, f"P{n}", "C", 1, n, None) for n in range(count))


def append_until_killed(path: Path) -> None:
    """Append to three streams at once, saying after each append how many there were."""
    store = SqliteEventStore(path, sales_in_batch=100)
    frame = sales(300)
    done = store.last_version("notes") // 5 + 1
    say("ready")
    while True:
        store.append_many(
            [
                StreamAppend("notes", [note(5 * done + n) for n in range(5)], 5 * done - 1),
                StreamAppend("sales", frame, 300 * done - 1),
                StreamAppend("single", [SalesTotalled(done, 1, 1, 1, b"")], done - 1),
            ]
        )
        done += 1
        say(str(done))


def fill_disk(path: Path) -> None:
    """Append until no file may grow any more; then go on where it may again."""
    store = SqliteEventStore(path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    done = 0
    try:
        while done < 1_000:
            store.append("totals", [SalesTotalled(done, 1, 1, 1, os.urandom(20_000))], done - 1)
            done += 1
    except EventStoreUnavailable as error:
        say(str(error))
    events = [recorded.event for recorded in store.read("totals")]
    hours = [event.hour for event in events if isinstance(event, SalesTotalled)]
    say(f"{done} {hours == list(range(done))} {store.last_version('totals')}")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    say(str(store.append("totals", [SalesTotalled(done, 1, 1, 1, b"")], done - 1)))
    store.close()


def fork(path: Path) -> None:
    """Write and read in a parent and three children of one store, each a stream of its own."""
    store = SqliteEventStore(path)
    store.append("shared", [note(0)], -1)
    reading = store.subscribe("shared", timeout=20)
    next(reading)
    children = []
    for child in ("a", "b", "c"):
        pid = os.fork()
        if pid == 0:
            _in_child(partial(_write, store, child))
        children.append(pid)
    _write(store, "parent")
    store.append("shared", [note(1)], 0)
    assert next(reading).event == note(1)
    for pid in children:
        _, status = os.waitpid(pid, 0)
        assert status == 0, status
    store.close()
    say("all done")


def _in_child(work: Callable[[], None]) -> None:
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def _write(store: SqliteEventStore, stream: str) -> None:
    for number in range(50):
        store.append(stream, [note(number)], number - 1)
    assert len(list(islice(store.subscribe(stream), 50))) == 50
    if stream != "parent":
        assert len(list(islice(store.subscribe("shared"), 2))) == 2
        store.close()


def use_unprivileged(path: Path) -> None:
    """Read and append as a user whom a read-only file stops (root is stopped by none)."""
    if os.geteuid() == 0:
        os.setuid(65_534)
    try:
        store = SqliteEventStore(path)
        say(f"read {len(list(store.read('notes')))}")
        store.append("notes", [note(1)], 0)
    except EventStoreError as error:
        say(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    commands = {
        "append-until-killed": append_until_killed,
        "fill-disk": fill_disk,
        "fork": fork,
        "use-unprivileged": use_unprivileged,
    }
    commands[sys.argv[1]](Path(sys.argv[2]))
