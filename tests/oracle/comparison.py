"""What a running system answers, compared field by field with the oracle.

Every list of every category through REST and GraphQL, a sample of products at any depth, the
categories, and some earlier hours through `as_of`; of a sample GraphQL's cursors, `asOf`,
`salesRanks` and `rankHistory` too. One line for each difference.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx

from tests.oracle.answers import Answers, RankedList, RankedRow, ranked_lists
from tests.oracle.asked_system import (
    AskedSystem,
    instant,
    minor,
    stamp,
    unequal,
    unequal_rows,
)
from tests.oracle.graphql_comparison import (
    SAMPLED_LISTS,
    Check,
    check_as_of,
    check_list,
    sampled_checks,
)
from tests.oracle.operations import hour_end
from tests.oracle.rankings import METRICS, PUBLISHED, WINDOWS, Oracle

_IN_TURN = 3
"""A product, or an earlier hour, is asked for one list in so many; the next one for others."""


def compare(
    oracle: Oracle,
    version: int,
    url: str,
    *,
    depth: int = 300,
    deepest: int = 0,
    products: int = 150,
    history: int = 3,
    transport: httpx.AsyncBaseTransport | None = None,
) -> list[str]:
    """Return the differences between a system at `url` and the oracle at a version.

    `depth` rows of each list are read, and `deepest` of a sample; `products` are asked for their
    ranks; `history` earlier hours are asked for by `as_of`. `transport` answers in place of the
    network. Raises `httpx.TransportError` where nothing answers.
    """

    async def differences() -> list[str]:
        async with httpx.AsyncClient(base_url=url, timeout=30, transport=transport) as client:
            system = AskedSystem(client)
            depths = (depth, max(depth, deepest))
            return await _compare(oracle, version, system, depths, products, history)

    return asyncio.run(differences())


async def _compare(
    oracle: Oracle,
    version: int,
    system: AskedSystem,
    depths: tuple[int, int],
    products: int,
    history: int,
) -> list[str]:
    answers = Answers(oracle, version)
    sample = _sample(answers, products)
    checks = [_check_categories(system, answers), _check_unknown(system)]
    for place, name in enumerate(product(answers.categories, WINDOWS, METRICS)):
        checks.append(_check_pages(system, answers, name, depths[place % SAMPLED_LISTS == 0]))
        checks.append(check_list(system, answers, name))
    kinds = list(product(WINDOWS, METRICS))
    for place, asked in enumerate(sample):
        for window, metric in kinds[place % _IN_TURN :: _IN_TURN]:
            checks.append(_check_product(system, answers, (asked, window, metric)))
    checks += sampled_checks(system, oracle, answers, version, sample)
    for turn, hour in enumerate(_earlier_hours(oracle, version, history)):
        checks += _history_checks(system, oracle, version, hour_end(hour), turn)
    found = await asyncio.gather(*map(_told, checks))
    return [difference for differences in found for difference in differences]


def _history_checks(
    system: AskedSystem, oracle: Oracle, version: int, moment: datetime, turn: int
) -> Iterator[Check]:
    published = oracle.as_of_version(moment, version)
    lists = ranked_lists(oracle.as_of_lists(moment, version))
    names = list(product(oracle.categories(published or 0), WINDOWS, METRICS))
    for name in names[turn % _IN_TURN :: _IN_TURN]:
        yield _check_history(system, moment, name, lists.get(name, RankedList()))
    for name in names[turn::SAMPLED_LISTS]:
        yield check_as_of(system, moment, name, lists.get(name, RankedList()))


async def _told(check: Check) -> list[str]:
    """Let an answer that lacks what the contract promises be a difference, not the end."""
    try:
        return await check
    except (KeyError, TypeError, ValueError) as error:
        return [f"an answer of another shape: {error!r}"]


async def _check_pages(
    system: AskedSystem, answers: Answers, name: tuple[str, str, str], depth: int
) -> list[str]:
    category, window, metric = name
    path = f"/v1/categories/{quote(category, safe='')}/top-products"
    expected = answers.ranked(*name)
    where = f"REST {category} {window} {metric}"
    rows: list[RankedRow] = []
    differences: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        status, body = await system.get(path, window=window, metric=metric, limit=100, **cursor)
        if status != 200:
            return [*differences, f"{where}: status {status} after {len(rows)} rows: {body}"]
        differences += unequal(
            where,
            {
                "category_id": (body["category_id"], category),
                "window": (body["window"], window),
                "metric": (body["metric"], metric),
                "total_count": (body["total_count"], expected.total_count),
                "as_of": (instant(body["as_of"]), answers.as_of),
            },
        )
        rows += [_rest_row(item) for item in body["items"]]
        if body["next_cursor"] is None:
            wanted = expected.rows
            break
        if len(rows) >= depth or not body["items"]:
            wanted = expected.rows[: len(rows)]
            if not body["items"] or len(rows) >= expected.total_count:
                differences.append(f"{where}: a cursor after {len(rows)} rows, and none follow")
            break
        cursor = {"cursor": body["next_cursor"]}
    return differences + unequal_rows(where, rows, wanted)


async def _check_product(
    system: AskedSystem, answers: Answers, asked: tuple[str, str, str]
) -> list[str]:
    product_id, window, metric = asked
    where = f"REST sales-ranks {product_id} {window} {metric}"
    path = f"/v1/products/{quote(product_id, safe='')}/sales-ranks"
    status, body = await system.get(path, window=window, metric=metric)
    if status != 200:
        return [f"{where}: status {status}: {body}"]
    found = {
        item["category_id"]: (
            item["rank"],
            item["previous_rank"],
            item["units"],
            minor(item["revenue"]["amount"]),
            item["total_count"],
            instant(item["as_of"]),
        )
        for item in body["items"]
    }
    expected = {}
    for category in answers.products[product_id]:
        row = answers.place(category, window, metric, product_id)
        if row is not None:
            expected[category] = (
                row.rank,
                row.previous_rank,
                row.units,
                row.amount_minor,
                answers.ranked(category, window, metric).total_count,
                answers.as_of,
            )
    compared: dict[str, tuple[Any, Any]] = {
        category: (found.get(category), expected.get(category))
        for category in sorted(found.keys() | expected.keys())
    }
    compared["product_id"] = (body["product_id"], product_id)
    if found:
        compared["as_of"] = (instant(body["as_of"]), answers.as_of)
    return unequal(where, compared) + (
        [f"{where}: a category twice"] if len(found) != len(body["items"]) else []
    )


async def _check_history(
    system: AskedSystem, moment: datetime, name: tuple[str, str, str], expected: RankedList
) -> list[str]:
    category, window, metric = name
    where = f"REST {category} {window} {metric} as of {stamp(moment)}"
    path = f"/v1/categories/{quote(category, safe='')}/top-products"
    status, body = await system.get(
        path, window=window, metric=metric, limit=100, as_of=stamp(moment)
    )
    if status != 200:
        return [f"{where}: status {status}: {body}"]
    return unequal(
        where,
        {
            "total_count": (body["total_count"], expected.total_count),
            "as_of": (instant(body["as_of"]), moment),
        },
    ) + unequal_rows(where, [_rest_row(item) for item in body["items"]], expected.rows)


async def _check_categories(system: AskedSystem, answers: Answers) -> list[str]:
    found: dict[str, int] = {}
    differences: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        status, body = await system.get("/v1/categories", limit=100, **cursor)
        if status != 200:
            return [*differences, f"REST categories: status {status}: {body}"]
        for item in body["items"]:
            found[item["category_id"]] = item["product_count"]
            differences += unequal(
                f"REST categories {item['category_id']}",
                {"as_of": (instant(item["as_of"]), answers.as_of)},
            )
        differences += unequal(
            "REST categories", {"total_count": (body["total_count"], len(answers.categories))}
        )
        if body["next_cursor"] is None or not body["items"]:
            break
        cursor = {"cursor": body["next_cursor"]}
    products = {
        f"product_count of {category}": (found.get(category), answers.categories.get(category))
        for category in sorted(found.keys() | answers.categories.keys())
    }
    return differences + unequal("REST categories", products)


async def _check_unknown(system: AskedSystem) -> list[str]:
    unknown = quote("no such id", safe="")
    statuses = {
        path: ((await system.get(path))[0], 404)
        for path in (
            f"/v1/categories/{unknown}/top-products",
            f"/v1/products/{unknown}/sales-ranks",
        )
    }
    return unequal("status", statuses)


def _sample(answers: Answers, count: int) -> list[str]:
    """Products at the ends, around position 100 and deep in each list, and some never ranked."""
    wanted: dict[str, None] = {}
    for category in answers.categories:
        rows = answers.ranked(category, "all_time", "units").rows
        places = {0, 99, 100, len(rows) // 2, len(rows) - 1}
        wanted.update((rows[at].product_id, None) for at in sorted(places) if 0 <= at < len(rows))
    ranked = {row.product_id for found in answers.lists.values() for row in found.rows}
    wanted.update((unranked, None) for unranked in sorted(answers.products.keys() - ranked)[:10])
    return list(wanted)[:: -(-len(wanted) // count) or 1] if count else []


def _earlier_hours(oracle: Oracle, version: int, count: int) -> Iterator[int]:
    """The newest hour's predecessors: the one before it, and others ever further back."""
    hours = oracle.newest_hours(version)[::-1][:PUBLISHED]
    for place in range(count):
        if len(hours) > 3**place:
            yield hours[3**place]


def _rest_row(item: dict[str, Any]) -> RankedRow:
    return RankedRow(
        item["position"],
        item["rank"],
        item["previous_rank"],
        item["product_id"],
        item["units"],
        minor(item["revenue"]["amount"]),
    )
