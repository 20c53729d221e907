"""`topsellers reports withdraw`: take an hour back."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter

from topsellers.cli.options import JsonFlag, StoreOptions, settings_of
from topsellers.cli.terminal import say, say_json
from topsellers.errors import WrongUse


def withdraw(
    hour: Annotated[str, Parameter(help="The hour as in the name, YYYYMMDDHH in UTC.")],
    /,
    *,
    reason: Annotated[
        str, Parameter(help="Why, for those who read the events later.", allow_leading_hyphen=True)
    ],
    json: JsonFlag = False,
    options: StoreOptions = StoreOptions(),  # noqa: B008  (frozen)
) -> None:
    """Take an hour back: nothing of it counts any more. What was known stays known."""
    settings = settings_of(options)
    from topsellers.composition import opened_store
    from write_side.hours import format_stamp, parse_stamp
    from write_side.ingestion import withdraw_report

    try:
        number = parse_stamp(hour)
    except ValueError as error:
        raise WrongUse(f"{error}.") from None
    if not reason.strip():
        raise WrongUse("the reason is empty. Say in a few words why the hour is taken back.")
    with opened_store(settings) as opened:
        event = withdraw_report(opened.store, number, reason.strip(), datetime.now(UTC))
    if json:
        say_json({"hour": format_stamp(event.hour), "revision": event.revision})
        return
    say(f"Hour {format_stamp(event.hour)}  withdrawn, revision {event.revision}")
