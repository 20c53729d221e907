"""How long a full-load report takes from a complete file to visible rankings.

A report of 1.39 million rows over 1,000 categories, with full hours already in, so that every long
window is full and DAY expires a whole hour. Run by hand:

    .venv/bin/python -m benchmarks.full_hour --hours 24

Prints the seconds of each stage, sizes, peak memory and the machine, also as JSON with `--json`.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from projections.ranking_lists import RankingList, RankingMetric, RankingWindow
from projections.redis_connection import open_redis
from projections.redis_rankings import RedisRankings
from projections.worker import ReadModel, project_fully
from topsellers.embedded_redis import embedded_redis
from topsellers.generate import generate_report, write_report
from write_side.feed.local_folder import NamedFiles
from write_side.feed.quarantine import Quarantine
from write_side.ingestion import Ingestion
from write_side.intake import KnownFiles, take_in
from write_side.report_history import ReportHistory
from write_side.sqlite_event_store import SqliteEventStore
from write_side.store_identity import store_identity

FIRST_HOUR = 490_000


def main() -> None:
    """Run the benchmark and print what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hours", type=int, default=24, help="full hours behind the measured one")
    parser.add_argument("--rows", type=int, default=1_390_000)
    parser.add_argument("--products", type=int, default=100_000_000)
    parser.add_argument("--categories", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="topsellers-bench-") as folder:
        figures = measure(Path(folder), arguments)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:40} {value}")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Fill the windows, then time one more hour, file complete to visible through the reader."""
    figures: dict[str, object] = {
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {sys.version.split()[0]}",
        "rows": arguments.rows,
        "hours behind": arguments.hours,
    }
    with embedded_redis(folder) as redis_url, ThreadPoolExecutor(2) as threads:
        store = SqliteEventStore(folder / "events.db")
        identity = store_identity(store)
        redis = open_redis(redis_url)
        # In production an hour passes before the next report: what was replaced is gone by then.
        model = ReadModel(store, identity.store_id, redis, threads, retired_bytes=1 << 60)
        ingestion = Ingestion(
            store, Quarantine(folder / "quarantine"), b"k" * 32, lambda: datetime.now(UTC)
        )
        history = ReportHistory()
        with timed(figures, "set-up, all hours behind"):
            for hour in range(arguments.hours):
                take(ingestion, report(folder, FIRST_HOUR + hour, arguments))
                print(f"hour {hour + 1} of {arguments.hours} ingested", file=sys.stderr)
            project_fully(model, history)
        path = report(folder, FIRST_HOUR + arguments.hours, arguments)
        figures["file, MB"] = round(path.stat().st_size / 1e6, 1)
        began = time.perf_counter()
        with timed(figures, "ingest"):
            take(ingestion, path)
        with timed(figures, "project"):
            project_fully(model, history)
        with timed(figures, "read"):
            asyncio.run(read_one(redis_url, store, identity.store_id))
        figures["file to visible, s"] = round(time.perf_counter() - began, 2)
        information = redis.info("memory")
        figures["Redis, MB"] = round(information["used_memory"] / 1e6)
        stored = sum(path.stat().st_size for path in folder.glob("events.db*"))
        figures["event store, bytes an event"] = round(
            stored / (arguments.rows * (arguments.hours + 1)), 1
        )
        figures["peak memory, MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
        redis.close()
        store.close()
    return figures


def report(folder: Path, hour: int, arguments: argparse.Namespace) -> Path:
    """Write a report into its folder and return its path."""
    out = folder / "dropbox"
    out.mkdir(exist_ok=True)
    frame = generate_report(hour, arguments.rows, arguments.products, arguments.categories, seed=1)
    return write_report(out, hour, frame)


def take(ingestion: Ingestion, path: Path) -> None:
    """Ingest one report, and delete its file."""
    intake = take_in(ingestion, NamedFiles([path]), KnownFiles(None))
    if intake.refusals:
        raise SystemExit(str(intake.refusals[0].error))
    path.unlink()


async def read_one(redis_url: str, store: SqliteEventStore, store_id: str) -> None:
    """Read the first page of a list, as the servers do."""
    async with RedisRankings(redis_url, store, store_id) as rankings:
        view = rankings.view()
        category = view.categories(None, 1)[0].category_id
        await view.page(RankingList(category, RankingWindow.DAY, RankingMetric.UNITS), 0, 10)


@contextmanager
def timed(figures: dict[str, object], name: str) -> Iterator[None]:
    """Note how long the block takes."""
    began = time.perf_counter()
    yield
    figures[f"{name}, s"] = round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    main()
