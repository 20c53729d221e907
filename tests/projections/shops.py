"""A shop whose parts crash: a store on disk, a Redis, worker processes, and the oracle."""

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from projections.published_lists import read_published
from projections.read_model_tables import read_live_heads
from projections.worker import Progress, project
from tests.oracle.operations import Operation
from tests.oracle.rankings import Oracle
from tests.projections.expected import normal, published_as_expected
from tests.projections.read_models import every_list, read_model
from tests.projections.recorded import FIRST_HOUR, record, report
from write_side.event_store import EventStore
from write_side.events import RankingsPublished, rankings_stream
from write_side.partitioning import PARTITIONS
from write_side.report_history import ReportHistory
from write_side.sqlite_event_store import SqliteEventStore

ANOTHER_PROCESS = str(Path(__file__).with_name("worker_process.py"))
REPOSITORY = Path(__file__).parents[2]


def some_operations(count: int, seed: int, rows: int = 150) -> list[Operation]:
    """Return what is done to a feed: mostly new hours, some late, corrected and withdrawn ones."""
    choices = random.Random(seed)
    hour, done = FIRST_HOUR, [Operation("ingest", FIRST_HOUR, _report(choices, rows))]
    in_force = {hour}
    while len(done) < count:
        kind = choices.choice(["ingest"] * 6 + ["late", "correct", "withdraw"])
        some = choices.choice(sorted(in_force | {hour}))
        if kind == "withdraw" and some in in_force and len(in_force) > 1:
            in_force.discard(some)
            done.append(Operation("withdraw", some))
        elif kind == "correct":
            in_force.add(some)
            done.append(Operation("correct", some, _report(choices, rows)))
        else:
            hour += choices.choice([1, 1, 2, 25])
            at = hour if kind == "ingest" else hour - 1
            if at in {operation.hour for operation in done}:
                continue
            in_force.add(at)
            done.append(Operation("ingest", at, _report(choices, rows)))
    return done


def _report(choices: random.Random, rows: int) -> pl.DataFrame:
    made = []
    for n in range(rows):
        category = f"c{choices.choice([0, choices.randrange(10)])}"
        quantity = choices.choice([1, 1, 2, 3, -1])
        product = f"p{choices.randrange(160):03}"
        made.append((category, product, quantity, quantity * (25 + n % 3)))
    return report(made)


class Shop:
    """Everything but the Redis, which the tests do things to."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.events = folder / "events.db"
        self.redis_url = redis_url
        self.store: EventStore = SqliteEventStore(self.events)
        self.oracle = Oracle()

    def record(self, *operations: Operation) -> None:
        for operation in operations:
            self.oracle.record(operation)
            record(self.store, operation)

    def project(self, history: ReportHistory | None = None) -> Progress:
        """Let a worker that just started fold what there is."""
        with read_model(self.store, self.redis_url) as model:
            return project(model, history or ReportHistory())

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[str]]:
        """Start a worker process, wait until it begins, and kill it in the end."""
        process = subprocess.Popen(
            [sys.executable, ANOTHER_PROCESS, str(self.events), self.redis_url],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={"PYTHONPATH": str(REPOSITORY), "POLARS_MAX_THREADS": "1"},
        )
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def wait_until_shown(self, version: int, seconds: float = 30) -> None:
        """Wait until all partitions show a version."""
        deadline = time.monotonic() + seconds
        with read_model(self.store, self.redis_url) as model:
            while True:
                live = read_live_heads(model.redis, range(PARTITIONS)).values()
                if all(each.head and each.head.version == version for each in live):
                    return
                assert time.monotonic() < deadline, f"version {version} does not show"
                time.sleep(0.02)

    def assert_lists_exact(self) -> None:
        """See that readers get what the oracle says."""
        asyncio.run(self.check_lists())

    async def check_lists(self) -> None:
        """See the same where an event loop runs already."""
        with read_model(self.store, self.redis_url) as model:
            lists = await every_list(model, self.redis_url, limit=500)
        assert_frame_equal(lists, normal(self.oracle.at(self.oracle.last_version)))

    def assert_published_once(self) -> None:
        """See that each version is published by one event in each partition, and exact."""
        versions = range(self.oracle.last_version + 1)
        for partition in range(PARTITIONS):
            events = [recorded.event for recorded in self.store.read(rankings_stream(partition))]
            assert all(isinstance(event, RankingsPublished) for event in events)
            assert [e.version for e in events if isinstance(e, RankingsPublished)] == [*versions]
        for version in versions:
            lists = read_published(self.store, range(PARTITIONS), version)
            expected = self.oracle.at(version).filter(pl.col("position") <= 100)
            assert_frame_equal(published_as_expected(lists), normal(expected))

    def backup(self, path: Path) -> None:
        """Keep the store as it is now."""
        with sqlite3.connect(self.events) as source, sqlite3.connect(path) as target:
            source.backup(target)
        source.close()
        target.close()

    def restore(self, path: Path, operations: list[Operation]) -> None:
        """Put a kept store back, which has just these operations."""
        self.close()
        for ending in ("", "-wal", "-shm"):
            self.events.with_name(self.events.name + ending).unlink(missing_ok=True)
        path.rename(self.events)
        self.store = SqliteEventStore(self.events)
        self.oracle = Oracle(operations)

    def close(self) -> None:
        self.store.close()
        self.oracle.close()
