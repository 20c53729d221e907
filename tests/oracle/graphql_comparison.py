"""GraphQL's answers compared with the oracle: every list's first page, and of a sample all that
can be asked besides."""

from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from itertools import islice, product
from typing import Any

from tests.oracle.answers import Answers, RankedList, RankedRow
from tests.oracle.asked_system import AskedSystem, instant, minor, stamp, unequal, unequal_rows
from tests.oracle.operations import hour_end
from tests.oracle.rankings import METRICS, PUBLISHED, WINDOWS, Oracle

SAMPLED_LISTS = 7
"""One list in so many: prime to the lists of a category, so that each kind has its turn."""

_PAGE_SIZE = 37
_PAGES = 6
_HISTORY = timedelta(hours=24)
_HISTORIES = 4

_TOP_PRODUCTS = """
query ($category: ID!, $window: RankingWindow!, $metric: RankingMetric!,
       $first: Int!, $after: String, $asOf: DateTime) {
  topProducts(categoryId: $category, window: $window, metric: $metric,
              first: $first, after: $after, asOf: $asOf) {
    totalCount asOf
    pageInfo { hasNextPage endCursor }
    nodes { position rank previousRank units revenue { amount } product { id } }
  }
}
"""
_SALES_RANKS = """
query ($products: [ID!]!, $window: RankingWindow!, $metric: RankingMetric!, $categories: [ID!]) {
  salesRanks(productIds: $products, window: $window, metric: $metric, categoryIds: $categories) {
    product { id } category { id }
    rank previousRank units revenue { amount } totalCount asOf
  }
}
"""
_RANK_HISTORY = """
query ($product: ID!, $category: ID!, $window: RankingWindow!, $metric: RankingMetric!,
       $from: DateTime!, $to: DateTime!) {
  rankHistory(productId: $product, categoryId: $category, window: $window, metric: $metric,
              from: $from, to: $to) { asOf rank units revenue { amount } }
}
"""

Check = Coroutine[Any, Any, list[str]]
ListName = tuple[str, str, str]


async def check_list(system: AskedSystem, answers: Answers, name: ListName) -> list[str]:
    """Compare a list's first 100."""
    where = f"GraphQL {' '.join(name)}"
    expected = answers.ranked(*name)
    body, answer = await _top_products(system, name, first=100)
    if answer is None:
        return [f"{where}: {body}"]
    return _unequal_page(where, answer, expected, answers.as_of, 0, 100)


async def check_as_of(
    system: AskedSystem, moment: datetime, name: ListName, expected: RankedList
) -> list[str]:
    """Compare a list as it was published."""
    where = f"GraphQL {' '.join(name)} as of {stamp(moment)}"
    body, answer = await _top_products(system, name, first=100, asOf=stamp(moment))
    if answer is None:
        return [f"{where}: {body}"]
    published = RankedList(expected.total_count, expected.rows[:PUBLISHED])
    return _unequal_page(where, answer, published, moment, 0, 100)


def sampled_checks(
    system: AskedSystem, oracle: Oracle, answers: Answers, version: int, products: list[str]
) -> Iterator[Check]:
    """Yield what only a sample is asked: pages by cursor, the ranks of `products`, and history."""
    names = list(product(answers.categories, WINDOWS, METRICS))
    for name in names[::SAMPLED_LISTS]:
        yield _check_cursors(system, answers, name)
    categories = list(answers.categories)[::2]
    for window, metric in product(WINDOWS, METRICS):
        yield _check_sales_ranks(system, answers, products, window, metric, None)
        yield _check_sales_ranks(system, answers, products, window, metric, categories)
    longest = sorted(names, key=lambda name: -answers.ranked(*name).total_count)
    for place, name in enumerate(islice(longest, 0, None, len(longest) // _HISTORIES or 1)):
        rows = answers.ranked(*name).rows
        if rows:
            asked = rows[min(place * 33, len(rows) - 1)].product_id
            yield _check_rank_history(system, oracle, version, asked, name)


async def _check_cursors(system: AskedSystem, answers: Answers, name: ListName) -> list[str]:
    where = f"GraphQL {' '.join(name)} by cursor"
    expected = answers.ranked(*name)
    differences: list[str] = []
    cursor = None
    for page in range(_PAGES):
        body, answer = await _top_products(system, name, first=_PAGE_SIZE, after=cursor)
        if answer is None:
            return [*differences, f"{where}, page {page}: {body}"]
        begin = page * _PAGE_SIZE
        differences += _unequal_page(where, answer, expected, answers.as_of, begin, _PAGE_SIZE)
        cursor = answer["pageInfo"]["endCursor"]
        if not answer["pageInfo"]["hasNextPage"]:
            break
    return differences


async def _check_sales_ranks(
    system: AskedSystem,
    answers: Answers,
    products: list[str],
    window: str,
    metric: str,
    categories: list[str] | None,
) -> list[str]:
    where = f"GraphQL salesRanks {window} {metric}" + (" in some categories" if categories else "")
    asked = {"products": [*products, "no such id"], "categories": categories}
    body = await system.query(_SALES_RANKS, asked | _ranking(window, metric))
    answer = (body.get("data") or {}).get("salesRanks")
    if answer is None or "errors" in body:
        return [f"{where}: {body}"]
    found = {
        (item["product"]["id"], item["category"]["id"]): (
            item["rank"],
            item["previousRank"],
            item["units"],
            minor(item["revenue"]["amount"]),
            item["totalCount"],
            instant(item["asOf"]),
        )
        for item in answer
    }
    expected = {}
    for product_id in products:
        for category in answers.products[product_id]:
            row = answers.place(category, window, metric, product_id)
            if row is not None and (categories is None or category in categories):
                count = answers.ranked(category, window, metric).total_count
                figures = (row.rank, row.previous_rank, row.units, row.amount_minor)
                expected[product_id, category] = (*figures, count, answers.as_of)
    order = list(dict.fromkeys(item["product"]["id"] for item in answer))
    wanted = [product_id for product_id in products if any(product_id == key[0] for key in found)]
    compared: dict[str, tuple[Any, Any]] = {
        " in ".join(key): (found.get(key), expected.get(key))
        for key in sorted(found.keys() | expected.keys())
    }
    compared["the number of ranks"] = (len(answer), len(expected))
    compared["the order of the products"] = (order, wanted)
    return unequal(where, compared)


async def _check_rank_history(
    system: AskedSystem, oracle: Oracle, version: int, asked: str, name: ListName
) -> list[str]:
    category, window, metric = name
    end = hour_end(oracle.newest_hours(version)[-1])
    begin = end - _HISTORY
    where = f"GraphQL rankHistory of {asked} in {' '.join(name)}"
    variables = {"product": asked, "category": category, "from": stamp(begin), "to": stamp(end)}
    body = await system.query(_RANK_HISTORY, variables | _ranking(window, metric))
    answer = (body.get("data") or {}).get("rankHistory")
    if answer is None or "errors" in body:
        return [f"{where}: {body}"]
    found = {
        point["asOf"]: (point["rank"], point["units"], minor(point["revenue"]["amount"]))
        for point in answer
    }
    history = oracle.rank_history(asked, category, window, metric, begin, end, version)
    expected = {moment: figures for moment, *figures in history}
    at = {instant(text): figures for text, figures in found.items()}
    compared: dict[str, tuple[Any, Any]] = {
        str(moment): (at.get(moment), tuple(expected[moment]) if moment in expected else None)
        for moment in at.keys() | expected.keys()
    }
    moments = [instant(point["asOf"]) for point in answer]
    compared["the order of the hours"] = (moments, list(expected))
    return unequal(where, compared)


async def _top_products(
    system: AskedSystem, name: ListName, **arguments: Any
) -> tuple[Any, dict[str, Any] | None]:
    """Return the body, and of it the list, None where there are errors."""
    category, window, metric = name
    variables = {"category": category, **_ranking(window, metric), **arguments}
    body = await system.query(_TOP_PRODUCTS, variables)
    return body, None if "errors" in body else (body.get("data") or {}).get("topProducts")


def _ranking(window: str, metric: str) -> dict[str, str]:
    return {"window": window.upper(), "metric": metric.upper()}


def _unequal_page(
    where: str,
    answer: dict[str, Any],
    expected: RankedList,
    as_of: datetime | None,
    begin: int,
    size: int,
) -> list[str]:
    rows = [
        RankedRow(
            node["position"],
            node["rank"],
            node["previousRank"],
            node["product"]["id"],
            node["units"],
            minor(node["revenue"]["amount"]),
        )
        for node in answer["nodes"]
    ]
    more = len(expected.rows) > begin + size
    return unequal(
        where,
        {
            "totalCount": (answer["totalCount"], expected.total_count),
            "asOf": (instant(answer["asOf"]), as_of),
            "hasNextPage": (answer["pageInfo"]["hasNextPage"], more),
        },
    ) + unequal_rows(where, rows, expected.rows[begin : begin + size])
