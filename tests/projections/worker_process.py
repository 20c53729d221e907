"""Another process that projects until it is killed, or until the one that started it is gone.

python worker_process.py EVENTS_DB REDIS_URL
"""

import os
import sys
import time
from pathlib import Path

from projections.errors import ReadModelUnavailable
from projections.worker import project
from tests.projections.read_models import read_model
from write_side.report_history import ReportHistory
from write_side.sqlite_event_store import SqliteEventStore


def work(events: Path, redis_url: str) -> None:
    """Say `ready`, then fold what comes."""
    parent = os.getppid()
    store, history = SqliteEventStore(events), ReportHistory()
    with read_model(store, redis_url) as model:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while os.getppid() == parent:
            try:
                project(model, history)
            except ReadModelUnavailable:
                time.sleep(0.1)
            time.sleep(0.01)


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2])
