"""Everything together, file to answer, against the oracle: a feed of over 200 hours with returns,
ties, late, missing, corrected and withdrawn reports, over a real socket."""

import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from projections.verify import verify
from projections.worker import ReadModel, project_fully
from tests.feeds import hostile_feed
from tests.oracle.comparison import compare
from tests.oracle.operations import Operation
from tests.oracle.rankings import Oracle
from tests.projections.read_models import read_model
from tests.serving import serving_rankings
from write_side.feed.local_folder import NamedFiles
from write_side.feed.quarantine import Quarantine
from write_side.ingestion import Ingestion, withdraw_report
from write_side.intake import KnownFiles, take_in
from write_side.report_history import ReportHistory
from write_side.sqlite_event_store import SqliteEventStore


def test_every_answer_equals_the_oracle(tmp_path: Path, redis_url: str) -> None:
    """Half-way, and after all, when a worker has caught up over many reports."""
    feed = hostile_feed(tmp_path / "feed", sparse_hours=550)
    store = SqliteEventStore(tmp_path / "events.db")
    ingestion = Ingestion(
        store, Quarantine(tmp_path / "quarantine"), b"k" * 32, lambda: datetime.now(UTC)
    )
    history = ReportHistory()
    looks = {len(feed) // 2}
    with (
        Oracle() as oracle,
        read_model(store, redis_url) as model,
        serving_rankings(model, redis_url) as url,
    ):
        for version, operation in enumerate(feed):
            oracle.record(operation)
            accept(ingestion, operation)
            if version in looks:
                assert differences(oracle, model, history, url) == []
        assert differences(oracle, model, history, url, deepest=1_000) == []
        checked = verify(model.store, model.redis, model.store_id)
        assert checked.differences == []
    store.close()


def accept(ingestion: Ingestion, operation: Operation) -> None:
    if operation.kind == "withdraw":
        withdraw_report(ingestion.store, operation.hour, "a test", datetime.now(UTC))
        return
    assert isinstance(operation.report, Path)
    intake = take_in(
        ingestion,
        NamedFiles([operation.report]),
        KnownFiles(None),
        correct=operation.kind == "correct",
    )
    assert not intake.refusals


def differences(
    oracle: Oracle, model: ReadModel, history: ReportHistory, url: str, deepest: int = 0
) -> list[str]:
    project_fully(model, history)
    wait_for(url, history.version)
    return compare(oracle, history.version, url, depth=150, deepest=deepest, products=80)


def wait_for(url: str, version: int) -> None:
    """Wait until the server has heard of the last flips."""
    ask = {"query": "{ rankingStatus { pendingReports } }"}
    for _ in range(200):
        answer = httpx.post(f"{url}/graphql", json=ask).json()
        if answer["data"]["rankingStatus"]["pendingReports"] == 0:
            return
        time.sleep(0.05)
    raise AssertionError(f"version {version} is not shown: {answer}")
