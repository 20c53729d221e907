"""`topsellers rebuild`: the read model anew, beside the live one."""

import time
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from topsellers.cli.options import JsonFlag, ReadModelOptions, settings_of
from topsellers.cli.terminal import counted, progress, say, say_json, took
from topsellers.errors import WrongUse

if TYPE_CHECKING:
    from projections.worker import ReadModel
    from topsellers.cli.terminal import Advance
    from write_side.report_history import ReportHistory


def rebuild(
    *,
    category: Annotated[
        tuple[str, ...],
        Parameter(
            help="Only these, and what lies in their partitions.",
            consume_multiple=True,
            negative=(),
        ),
    ] = (),
    source: Annotated[
        Literal["totals", "events"],
        Parameter(name="--from", help="The hours' totals, or every single sale."),
    ] = "totals",
    json: JsonFlag = False,
    options: ReadModelOptions = ReadModelOptions(),  # noqa: B008  (frozen)
) -> None:
    """Build the read model anew beside the live one, verify it, and swap it in."""
    settings = settings_of(options)
    from projections.rebuild import rebuild as build_anew
    from projections.totals import stored_totals, totals_of_sales
    from topsellers.composition import opened_read_model, opened_store, redis_address
    from write_side.report_history import ReportHistory

    began = time.monotonic()
    with (
        opened_store(settings) as opened,
        redis_address(settings) as url,
        opened_read_model(opened, url) as model,
        progress("Rebuilding") as advance,
    ):
        history = ReportHistory()
        partitions = _partitions(model, history, category, advance)
        totals = totals_of_sales if source == "events" else stored_totals
        rebuilt = build_anew(model, history, partitions, totals, advance)
    seconds = time.monotonic() - began
    if json:
        say_json(
            {
                "version": rebuilt.version,
                "partitions": rebuilt.partitions,
                "rows_verified": rebuilt.rows_verified,
                "seconds": round(seconds, 3),
            }
        )
    elif rebuilt.version < 0:
        say("No report is ingested yet, so there is nothing to rebuild.")
    else:
        what = counted(rebuilt.partitions, "partition")
        rows = counted(rebuilt.rows_verified, "row")
        say(f"Version {rebuilt.version}: {what} rebuilt, {rows} verified  {took(seconds)}")


def _partitions(
    model: "ReadModel",
    history: "ReportHistory",
    categories: tuple[str, ...],
    advance: "Advance",
) -> list[int]:
    """Return the partitions of categories, all without any; raises `WrongUse` for unknown ones."""
    from projections.worker import project_fully
    from write_side.events import RankingsPublished, rankings_stream
    from write_side.partitioning import PARTITIONS, partition_of

    if not categories:
        return list(range(PARTITIONS))
    # A category may be known from a report that no worker has seen yet.
    project_fully(model, history, advance)
    for category in categories:
        stream = rankings_stream(partition_of(category))
        newest = model.store.read(stream, max(0, model.store.last_version(stream)), limit=1)
        events = (recorded.event for recorded in newest)
        if not any(
            isinstance(event, RankingsPublished) and category in event.categories
            for event in events
        ):
            raise WrongUse(f"no sale was ever recorded in category {category!r}. Check its id.")
    return sorted({partition_of(category) for category in categories})
