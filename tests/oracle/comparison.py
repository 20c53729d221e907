"""What a running system answers, compared field by field with the oracle.

Every list of every category through REST and GraphQL, a sample of products at any depth, the
categories, and some earlier hours through `as_of`. One line for each difference.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx

from tests.oracle.answers import Answers, RankedList, RankedRow, ranked_lists
from tests.oracle.operations import hour_end
from tests.oracle.rankings import METRICS, PUBLISHED, WINDOWS, Oracle

_AT_ONCE = 16
_TOP_PRODUCTS = """
query ($category: ID!, $window: RankingWindow!, $metric: RankingMetric!) {
  topProducts(categoryId: $category, window: $window, metric: $metric, first: 100) {
    totalCount asOf
    pageInfo { hasNextPage }
    nodes { position rank previousRank units revenue { amount } product { id } }
  }
}
"""


def compare(
    oracle: Oracle,
    version: int,
    url: str,
    *,
    depth: int = 300,
    products: int = 150,
    history: int = 3,
    transport: httpx.AsyncBaseTransport | None = None,
) -> list[str]:
    """Return the differences between a system at `url` and the oracle at a version.

    `depth` rows of each list are read; `products` are asked for their ranks; `history` earlier
    hours are asked for by `as_of`. `transport` answers in place of the network. Raises
    `httpx.TransportError` where nothing answers.
    """

    async def differences() -> list[str]:
        async with httpx.AsyncClient(base_url=url, timeout=30, transport=transport) as client:
            return await _compare(oracle, version, _System(client), depth, products, history)

    return asyncio.run(differences())


async def _compare(
    oracle: Oracle, version: int, system: "_System", depth: int, products: int, history: int
) -> list[str]:
    answers = Answers(oracle, version)
    checks = [_check_categories(system, answers), _check_unknown(system)]
    for name in product(answers.categories, WINDOWS, METRICS):
        checks.append(_check_pages(system, answers, name, depth))
        checks.append(_check_graphql(system, answers, name))
    checks += [
        _check_product(system, answers, asked)
        for asked in product(_sample(answers, products), WINDOWS, METRICS)
    ]
    for hour in _earlier_hours(oracle, version, history):
        instant = hour_end(hour)
        published = oracle.as_of_version(instant, version)
        lists = ranked_lists(oracle.as_of_lists(instant, version))
        checks += [
            _check_history(system, instant, name, lists.get(name, RankedList()))
            for name in product(oracle.categories(published or 0), WINDOWS, METRICS)
        ]
    found = await asyncio.gather(*map(_told, checks))
    return [difference for differences in found for difference in differences]


async def _told(check: Coroutine[Any, Any, list[str]]) -> list[str]:
    """Let an answer that lacks what the contract promises be a difference, not the end."""
    try:
        return await check
    except (KeyError, TypeError, ValueError) as error:
        return [f"an answer of another shape: {error!r}"]


class _System:
    """The system's answers as they come, a bounded number of questions at once."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def get(self, path: str, **parameters: str | int) -> tuple[int, Any]:
        async with self._limit:
            response = await self._client.get(path, params=parameters)
        return response.status_code, response.json() if response.content else None

    async def query(self, query: str, variables: dict[str, str]) -> Any:
        question = {"query": query, "variables": variables}
        async with self._limit:
            response = await self._client.post("/graphql", json=question)
        return response.json()


async def _check_pages(
    system: _System, answers: Answers, name: tuple[str, str, str], depth: int
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
        differences += _unequal(
            where,
            {
                "category_id": (body["category_id"], category),
                "window": (body["window"], window),
                "metric": (body["metric"], metric),
                "total_count": (body["total_count"], expected.total_count),
                "as_of": (_instant(body["as_of"]), answers.as_of),
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
    return differences + _unequal_rows(where, rows, wanted)


async def _check_graphql(
    system: _System, answers: Answers, name: tuple[str, str, str]
) -> list[str]:
    category, window, metric = name
    expected = answers.ranked(*name)
    where = f"GraphQL {category} {window} {metric}"
    variables = {"category": category, "window": window.upper(), "metric": metric.upper()}
    body = await system.query(_TOP_PRODUCTS, variables)
    answer = (body.get("data") or {}).get("topProducts")
    if answer is None or "errors" in body:
        return [f"{where}: {body}"]
    rows = [
        RankedRow(
            node["position"],
            node["rank"],
            node["previousRank"],
            node["product"]["id"],
            node["units"],
            _minor(node["revenue"]["amount"]),
        )
        for node in answer["nodes"]
    ]
    return _unequal(
        where,
        {
            "totalCount": (answer["totalCount"], expected.total_count),
            "asOf": (_instant(answer["asOf"]), answers.as_of),
            "hasNextPage": (answer["pageInfo"]["hasNextPage"], expected.total_count > 100),
        },
    ) + _unequal_rows(where, rows, expected.rows[:100])


async def _check_product(
    system: _System, answers: Answers, asked: tuple[str, str, str]
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
            _minor(item["revenue"]["amount"]),
            item["total_count"],
            _instant(item["as_of"]),
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
        compared["as_of"] = (_instant(body["as_of"]), answers.as_of)
    return _unequal(where, compared) + (
        [f"{where}: a category twice"] if len(found) != len(body["items"]) else []
    )


async def _check_history(
    system: _System, instant: datetime, name: tuple[str, str, str], expected: RankedList
) -> list[str]:
    category, window, metric = name
    stamp = instant.strftime("%Y-%m-%dT%H:%M:%SZ")
    where = f"REST {category} {window} {metric} as of {stamp}"
    path = f"/v1/categories/{quote(category, safe='')}/top-products"
    status, body = await system.get(path, window=window, metric=metric, limit=100, as_of=stamp)
    if status != 200:
        return [f"{where}: status {status}: {body}"]
    return _unequal(
        where,
        {
            "total_count": (body["total_count"], expected.total_count),
            "as_of": (_instant(body["as_of"]), instant),
        },
    ) + _unequal_rows(where, [_rest_row(item) for item in body["items"]], expected.rows)


async def _check_categories(system: _System, answers: Answers) -> list[str]:
    found: dict[str, int] = {}
    differences: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        status, body = await system.get("/v1/categories", limit=100, **cursor)
        if status != 200:
            return [*differences, f"REST categories: status {status}: {body}"]
        for item in body["items"]:
            found[item["category_id"]] = item["product_count"]
            differences += _unequal(
                f"REST categories {item['category_id']}",
                {"as_of": (_instant(item["as_of"]), answers.as_of)},
            )
        differences += _unequal(
            "REST categories", {"total_count": (body["total_count"], len(answers.categories))}
        )
        if body["next_cursor"] is None or not body["items"]:
            break
        cursor = {"cursor": body["next_cursor"]}
    products = {
        f"product_count of {category}": (found.get(category), answers.categories.get(category))
        for category in sorted(found.keys() | answers.categories.keys())
    }
    return differences + _unequal("REST categories", products)


async def _check_unknown(system: _System) -> list[str]:
    unknown = quote("no such id", safe="")
    statuses = {
        path: ((await system.get(path))[0], 404)
        for path in (
            f"/v1/categories/{unknown}/top-products",
            f"/v1/products/{unknown}/sales-ranks",
        )
    }
    return _unequal("status", statuses)


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
        _minor(item["revenue"]["amount"]),
    )


def _unequal_rows(
    where: str, found: Iterable[RankedRow], expected: Iterable[RankedRow]
) -> list[str]:
    there, wanted = list(found), list(expected)
    differences = [
        f"{where} position {place}: {one}, expected {other}"
        for place, (one, other) in enumerate(zip(there, wanted, strict=False), 1)
        if one != other
    ]
    if len(there) != len(wanted):
        differences.append(f"{where}: {len(there)} rows, expected {len(wanted)}")
    return differences


def _unequal(where: str, values: dict[str, tuple[Any, Any]]) -> list[str]:
    return [
        f"{where}: {name} is {found}, expected {expected}"
        for name, (found, expected) in values.items()
        if found != expected
    ]


def _minor(amount: object) -> int | str:
    """Return minor units, or what is no decimal text of at most two places, as it stands."""
    try:
        minor = Decimal(amount) * 100 if isinstance(amount, str) else None
    except InvalidOperation:
        minor = None
    return repr(amount) if minor is None or minor != int(minor) else int(minor)


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
