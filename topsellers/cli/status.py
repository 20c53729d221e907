"""`topsellers status`: how fresh and how complete the rankings are."""

from typing import TYPE_CHECKING

import msgspec

from topsellers.cli.options import JsonFlag, ReadModelOptions, settings_of
from topsellers.cli.terminal import counted, say, say_json

if TYPE_CHECKING:
    from topsellers.composition import OpenStore


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    as_of: str | None
    """The end of the newest hour that all lists show; null before the first."""
    reports: int
    """Hours whose report counts."""
    rows: int
    """Good rows that count."""
    rejected_rows: int
    missing_hours: list[str]
    """The starts of the newest 1,000 hours that no report covers."""
    pending_reports: int
    """Events of reports that the lists do not show yet."""
    lag: dict[str, int]
    """The same for each consumer of the reports."""
    deliveries_pending: int


def status(
    *,
    json: JsonFlag = False,
    options: ReadModelOptions = ReadModelOptions(),  # noqa: B008  (frozen)
) -> None:
    """Say how fresh and how complete the rankings are."""
    settings = settings_of(options)
    from topsellers.composition import opened_store, redis_address

    with opened_store(settings) as opened, redis_address(settings) as url:
        found = _read(opened, url)
    if json:
        say_json(found)
        return
    say(f"as of            {found.as_of or 'no report yet'}")
    say(f"reports          {found.reports:,} ({counted(found.rows, 'row')})")
    say(f"rejected rows    {found.rejected_rows:,}")
    say(f"missing hours    {_hours(found.missing_hours)}")
    say(f"pending reports  {found.pending_reports:,}")


def _read(opened: "OpenStore", redis_url: str) -> Status:
    from projections.read_model_tables import read_live_heads
    from projections.worker import usable_version
    from topsellers.composition import opened_read_model
    from write_side.hours import end_of, start_of
    from write_side.partitioning import PARTITIONS
    from write_side.report_history import read_report_history

    with opened_read_model(opened, redis_url) as model:
        history = read_report_history(model.store)
        live = read_live_heads(model.redis, range(PARTITIONS))
        versions = [usable_version(model, history, live[p]) for p in live]
    shown = min(-1 if version is None else version for version in versions)
    in_force = history.in_force.values()
    pending = history.version - shown
    as_of = f"{end_of(history.as_of_hour_at(shown)):%Y-%m-%dT%H:%M:%SZ}" if shown >= 0 else None
    return Status(
        as_of=as_of,
        reports=len(in_force),
        rows=sum(event.rows for event in in_force),
        rejected_rows=sum(event.rejected_rows for event in in_force),
        missing_hours=[f"{start_of(hour):%Y-%m-%dT%H:%M:%SZ}" for hour in history.missing_hours()],
        pending_reports=pending,
        lag={"projections": pending},
        deliveries_pending=0,
    )


def _hours(hours: list[str]) -> str:
    if not hours:
        return "none"
    shown = ", ".join(hours[-3:])
    return shown if len(hours) <= 3 else f"{len(hours):,}, the newest {shown}"
