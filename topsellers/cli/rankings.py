"""`topsellers top` and `topsellers rank`: rankings in the terminal."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from cyclopts import Parameter

from topsellers.cli.options import AnswerOptions, JsonFlag, Metric, Window, settings_of
from topsellers.cli.terminal import counted, say
from topsellers.settings import Settings

if TYPE_CHECKING:
    from gateway.rest_rankings import RestRankings
    from projections.rankings_query import RankingsView

_Answer = TypeVar("_Answer")


def top(
    category: Annotated[str, Parameter(help="The category's id.", allow_leading_hyphen=True)],
    /,
    *,
    window: Annotated[Window, Parameter(help="Hours that count, to the newest one.")] = "day",
    metric: Annotated[Metric, Parameter(help="What is counted, net of returns.")] = "units",
    limit: Annotated[int, Parameter(name=["-n", "--limit"], help="Rows, 1 to 100.")] = 10,
    json: JsonFlag = False,
    options: AnswerOptions = AnswerOptions(),  # noqa: B008  (frozen)
) -> None:
    """Print a category's best-selling products."""
    query = urlencode({"window": window, "metric": metric, "limit": limit})

    async def read(rest: "RestRankings", view: "RankingsView") -> bytes:
        path = {"category_id": quote(category, safe="")}
        return (await rest.top_products(view, path, query.encode())).body

    body = asyncio.run(_answered(settings_of(options), read))
    if json:
        say(body.decode())
        return
    page: dict[str, Any] = msgspec.json.decode(body)
    header = f"{category}  {window}, by {metric}  as of {page['as_of']}"
    say(f"{header}  {counted(page['total_count'], 'product')}")
    if not page["items"]:
        say("No sales in these hours.")
        return
    rows = [("rank", "", "product", "units", "revenue")]
    rows += [
        (
            f"{item['rank']}",
            _move(item["rank"], item["previous_rank"]),
            item["product_id"],
            f"{item['units']:,}",
            _money(item["revenue"]),
        )
        for item in page["items"]
    ]
    _say_columns(rows, right={0, 3, 4})


def rank(
    product: Annotated[str, Parameter(help="The product's id.", allow_leading_hyphen=True)],
    /,
    *,
    window: Annotated[Window, Parameter(help="Hours that count, to the newest one.")] = "day",
    metric: Annotated[Metric, Parameter(help="What is counted, net of returns.")] = "units",
    json: JsonFlag = False,
    options: AnswerOptions = AnswerOptions(),  # noqa: B008  (frozen)
) -> None:
    """Print a product's ranks in all its categories."""
    query = urlencode({"window": window, "metric": metric})

    async def read(rest: "RestRankings", view: "RankingsView") -> bytes:
        path = {"product_id": quote(product, safe="")}
        return (await rest.sales_ranks(view, path, query.encode())).body

    body = asyncio.run(_answered(settings_of(options), read))
    if json:
        say(body.decode())
        return
    ranks: dict[str, Any] = msgspec.json.decode(body)
    say(f"{product}  {window}, by {metric}  as of {ranks['as_of']}")
    if not ranks["items"]:
        say("It is ranked nowhere: no sales in these hours.")
        return
    rows = [("rank", "", "of", "category", "units", "revenue")]
    rows += [
        (
            f"{item['rank']:,}",
            _move(item["rank"], item["previous_rank"]),
            f"{item['total_count']:,}",
            item["category_id"],
            f"{item['units']:,}",
            _money(item["revenue"]),
        )
        for item in ranks["items"]
    ]
    _say_columns(rows, right={0, 2, 4, 5})


async def _answered(
    settings: Settings,
    read: Callable[["RestRankings", "RankingsView"], Awaitable[_Answer]],
) -> _Answer:
    """Read from the rankings as the REST endpoints do, so that the answers are the same bytes."""
    from gateway.rest_rankings import RestRankings
    from subgraph.cursors import CursorCodec
    from topsellers.composition import opened_rankings, opened_store, redis_address
    from topsellers.secret_keys import secret_keys

    with opened_store(settings) as opened, redis_address(settings) as url:
        rest = RestRankings(settings.currency, CursorCodec(secret_keys(settings)))
        async with opened_rankings(opened, url) as rankings:
            return await read(rest, rankings.view())


def _move(now: int, before: int | None) -> str:
    if before is None:
        return "new"
    if before == now:
        return "="
    return f"up {before - now}" if before > now else f"down {now - before}"


def _money(revenue: dict[str, str]) -> str:
    whole, _, hundredths = revenue["amount"].partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.removeprefix('-')):,}.{hundredths} {revenue['currency']}"


def _say_columns(rows: Sequence[tuple[str, ...]], right: set[int]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())
