"""`topsellers generate`: a realistic feed."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from topsellers.cli.options import ProgramOptions, settings_of
from topsellers.cli.terminal import counted, progress, say, took
from topsellers.errors import WrongUse


def generate(
    *,
    out: Annotated[Path, Parameter(help="The folder to write to; it is made.")],
    hours: Annotated[int, Parameter(help="Reports, one an hour.")] = 24,
    rows: Annotated[int, Parameter(help="Rows of each report.")] = 10_000,
    products: Annotated[int, Parameter(help="Products that the shop has.")] = 20_000,
    categories: Annotated[int, Parameter(help="Categories that the shop has.")] = 40,
    seed: Annotated[int, Parameter(help="Another seed, another shop.")] = 1,
    start: Annotated[
        str | None,
        Parameter(
            help="The first hour, YYYYMMDDHH in UTC; by default the feed ends with the last hour.",
            show_default=False,
        ),
    ] = None,
    options: ProgramOptions = ProgramOptions(),  # noqa: B008  (frozen)
) -> None:
    """Write a realistic feed: skewed sales with returns, products in several categories."""
    settings_of(options)
    from topsellers.generate import generate_feed
    from write_side.hours import parse_stamp

    began = time.monotonic()
    written = total = 0
    try:
        first = None if start is None else parse_stamp(start)
        feed = generate_feed(
            out, hours, rows, products, categories, seed, first, now=datetime.now(UTC)
        )
    except (ValueError, OverflowError) as error:
        raise WrongUse(f"{error}.") from error
    with progress("Writing reports") as advance:
        for report in feed:
            written += 1
            total += report.rows
            advance(written, hours)
    spent = took(time.monotonic() - began)
    say(f"{out}  {counted(written, 'report')}, {counted(total, 'row')}  {spent}")
