"""`topsellers project`: keep the read model up to the event store."""

import logging
import time
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from topsellers.cli.options import ReadModelOptions, settings_of
from topsellers.cli.terminal import counted, progress, say, took
from topsellers.parent_process import end_with_parent
from topsellers.retrying import Outage

if TYPE_CHECKING:
    from projections.worker import Progress, ReadModel
    from write_side.report_history import ReportHistory

LOOK_SECONDS: Final = 1.0
"""How often the read model is looked at though no report came: Redis may have lost it."""
_BEHIND_SECONDS: Final = 0.1

_LOGGER = logging.getLogger("topsellers.project")


def project(
    *,
    once: Annotated[bool, Parameter(negative=(), help="Catch up, and end.")] = False,
    parent: Annotated[int | None, Parameter(show=False)] = None,
    options: ReadModelOptions = ReadModelOptions(),  # noqa: B008  (frozen)
) -> None:
    """Bring the rankings up to the events, and keep them there until it is ended."""
    settings = settings_of(options)
    end_with_parent(parent)
    from topsellers.composition import opened_read_model, opened_store, redis_address
    from write_side.report_history import ReportHistory

    with (
        opened_store(settings) as opened,
        redis_address(settings) as url,
        opened_read_model(opened, url) as model,
    ):
        if once:
            _catch_up(model)
        else:
            _follow(model, ReportHistory())


def _catch_up(model: "ReadModel") -> None:
    from projections.worker import project_fully
    from write_side.report_history import ReportHistory

    began = time.monotonic()
    with progress("Projecting") as advance:
        done = project_fully(model, ReportHistory(), advance)
    say(_line(done.version, done.flipped, time.monotonic() - began))


def _follow(model: "ReadModel", history: "ReportHistory") -> None:
    from projections.errors import ReadModelUnavailable
    from projections.worker import project as bring_up
    from write_side.errors import EventStoreUnavailable
    from write_side.events import REPORTS_STREAM

    outage = Outage(_LOGGER, "The read model is kept again")
    _LOGGER.info("Projecting")
    while True:
        try:
            began = time.monotonic()
            done: Progress = bring_up(model, history)
            outage.passed()
            if done.flipped:
                _LOGGER.info("%s", _line(done.version, done.flipped, time.monotonic() - began))
            if done.behind:
                # Another worker has it in hand, or old versions must go first.
                time.sleep(0.0 if done.flipped else _BEHIND_SECONDS)
                continue
            events = model.store.subscribe(
                REPORTS_STREAM, history.version + 1, timeout=LOOK_SECONDS
            )
            next(events, None)
        except (ReadModelUnavailable, EventStoreUnavailable) as error:
            time.sleep(outage.failed(error))


def _line(version: int, flipped: int, seconds: float) -> str:
    if version < 0:
        return "No report is ingested yet, so there is nothing to rank."
    if not flipped:
        return f"Version {version} is shown already"
    return f"Version {version} is shown, {counted(flipped, 'partition')} changed  {took(seconds)}"
