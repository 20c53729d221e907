"""A SQLite event store whose process is killed or forked, and whose disk is full or read-only."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from write_side.event_store import NO_STREAM
from write_side.events import SalesReportWithdrawn, SalesTotalled
from write_side.sqlite_event_store import SqliteEventStore

ANOTHER_PROCESS = str(Path(__file__).with_name("sqlite_event_store_process.py"))


def run(command: str, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, ANOTHER_PROCESS, command, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_process_killed_while_it_appends_leaves_whole_appends_only(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    random_wait = random.Random(7)
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, ANOTHER_PROCESS, "append-until-killed", str(path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(random_wait.uniform(0.02, 0.2))
        writer.kill()
        out, _ = writer.communicate()
        told = [int(line) for line in out.splitlines() if out.endswith("\n")]

        store = SqliteEventStore(path)
        appends = store.last_version("single") + 1
        assert appends >= max(told, default=0)
        notes = [recorded.event for recorded in store.read("notes")]
        assert notes == [SalesReportWithdrawn(n, 1, "note", 0) for n in range(5 * appends)]
        assert sum(len(frame) for frame in store.read_sales("sales")) == 300 * appends
        singles = [recorded.event for recorded in store.read("single")]
        assert singles == [SalesTotalled(n, 1, 1, 1, b"") for n in range(appends)]
        store.close()
    assert appends > 0


def test_a_full_disk_is_told_and_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    told, kept, after = run("fill-disk", tmp_path / "events.db").splitlines()
    assert "events.db: the disk" in told
    assert told.endswith("try again")
    done = int(kept.split()[0])
    assert done > 0
    assert kept == f"{done} True {done - 1}"
    assert after == str(done)
    store = SqliteEventStore(tmp_path / "events.db")
    assert len(list(store.read("totals"))) == done + 1
    store.close()


def test_a_store_made_before_a_fork_serves_parent_and_children(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    assert run("fork", path) == "all done\n"
    store = SqliteEventStore(path)
    for stream in ("parent", "a", "b", "c"):
        numbers = [recorded.event for recorded in store.read(stream)]
        assert numbers == [SalesReportWithdrawn(n, 1, "note", 0) for n in range(50)]
    store.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Lend a folder that other users reach."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_read_only_file_is_read_and_refuses_appends(folder: Path) -> None:
    path = folder / "events.db"
    store = SqliteEventStore(path)
    store.append("notes", [SalesReportWithdrawn(0, 1, "note", 0)], NO_STREAM)
    store.close()
    folder.chmod(0o777)
    path.chmod(0o444)
    (folder / "events.db-lock").chmod(0o666)
    read, refused = run("use-unprivileged", path).splitlines()
    assert read == "read 1"
    assert refused.startswith(f"EventStoreUnavailable: event store {path}: it is read-only")
    assert refused.endswith("Make the file and its folder writable")


def test_an_unwritable_folder_is_named(folder: Path) -> None:
    path = folder / "new" / "events.db"
    folder.chmod(0o555)
    assert run("use-unprivileged", path) == (
        f"EventStoreUnavailable: event store {path}: Permission denied. "
        "Make the file and its folder writable\n"
    )
