"""`topsellers verify`: is the read model what the events say?"""

import time
from typing import TYPE_CHECKING, Final

from topsellers.cli.failures import REFUSED, tell
from topsellers.cli.options import JsonFlag, ReadModelOptions, settings_of
from topsellers.cli.terminal import counted, progress, say, say_json, took

if TYPE_CHECKING:
    from projections.verify import Verification, VerificationProgress

SHOWN_DIFFERENCES: Final = 20
"""Differences that people are shown; `--json` has more."""


def verify(
    *,
    json: JsonFlag = False,
    options: ReadModelOptions = ReadModelOptions(),  # noqa: B008  (frozen)
) -> int:
    """Recompute the rankings from the events, and compare them with the read model."""
    settings = settings_of(options)
    from projections.verify import verify as compare
    from topsellers.composition import opened_read_model, opened_store, redis_address

    began = time.monotonic()
    with (
        opened_store(settings) as opened,
        redis_address(settings) as url,
        opened_read_model(opened, url) as model,
        progress("Verifying") as advance,
    ):

        def show(done: "VerificationProgress") -> None:
            advance(done.sales, done.of_sales)

        found = compare(model.store, model.redis, model.store_id, on_progress=show)
    if json:
        say_json(found)
    else:
        _tell(found, time.monotonic() - began)
    return 0 if found.agrees else REFUSED


def _tell(found: "Verification", seconds: float) -> None:
    if found.agrees:
        rows, sales = counted(found.rows, "row"), counted(found.sales, "sale")
        say(f"All {rows} of the read model agree with {sales}  {took(seconds)}")
        return
    for difference in found.differences[:SHOWN_DIFFERENCES]:
        say(f"{difference}")
    if found.difference_count > SHOWN_DIFFERENCES:
        say(f"and {found.difference_count - SHOWN_DIFFERENCES:,} more; --json names them")
    tell(
        f"topsellers: {counted(found.difference_count, 'difference')} between the read model and "
        "the events. `topsellers rebuild` makes it anew."
    )
