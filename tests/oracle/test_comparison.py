"""The comparison finds nothing wrong with a right system, and each thing that a wrong one says."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import polars as pl
import pytest

from tests.oracle.answers import Answers, RankedList, RankedRow, ranked_lists
from tests.oracle.comparison import compare
from tests.oracle.operations import Operation
from tests.oracle.rankings import Oracle

HOUR = 490_000
Body = dict[str, Any]
Change = Callable[[httpx.Request, Body], None]


def keep(_: httpx.Request, __: Body) -> None:
    """Leave an answer as it is."""


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    def report(hour: int) -> pl.DataFrame:
        rows = [("toys/all", f"p{place:03}", 1 + place % 50, 10 * place) for place in range(130)]
        rows += [("books", "novel", hour + 1, 999), ("books", "back", -1, -100)]
        return pl.DataFrame(
            rows, schema=["category_id", "product_id", "quantity", "amount_minor"], orient="row"
        )

    return Oracle([Operation("ingest", HOUR + hour, report(hour)) for hour in range(3)])


class AnsweringSystem:
    """A system that answers what the oracle would, but for what `change` does to each answer."""

    def __init__(self, oracle: Oracle, change: Change) -> None:
        self._oracle = oracle
        self._answers = Answers(oracle, oracle.last_version)
        self._change = change

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = self._answer(request)
        if body is None:
            return httpx.Response(404, json={"title": "Not Found"})
        self._change(request, body)
        return httpx.Response(200, json=body)

    def _answer(self, request: httpx.Request) -> Body | None:
        as_of = self._answers.as_of
        assert as_of is not None
        path = request.url.raw_path.decode().partition("?")[0]
        parts = [unquote(part) for part in path.strip("/").split("/")]
        asked = dict(request.url.params)
        match parts:
            case ["graphql"]:
                return self._graphql(json.loads(request.content)["variables"])
            case ["v1", "categories"]:
                categories = self._answers.categories
                items = [
                    {"category_id": name, "product_count": count, "as_of": as_of.isoformat()}
                    for name, count in categories.items()
                ]
                return {"items": items, "total_count": len(items), "next_cursor": None}
            case ["v1", "categories", category, "top-products"]:
                return self._top_products(category, asked)
            case ["v1", "products", product, "sales-ranks"]:
                return self._sales_ranks(product, asked["window"] if asked else "", asked)
        raise AssertionError(f"nothing answers {path}")

    def _top_products(self, category: str, asked: dict[str, str]) -> Body | None:
        if category not in self._answers.categories:
            return None
        name = (category, asked["window"], asked["metric"])
        ranked = self._answers.ranked(*name)
        as_of = str(self._answers.as_of)
        if "as_of" in asked:
            as_of = asked["as_of"]
            published = self._oracle.as_of_lists(instant_of(as_of), self._oracle.last_version)
            ranked = ranked_lists(published).get(name, RankedList())
        start = int(asked.get("cursor", "0"))
        end = start + int(asked["limit"])
        more = "as_of" not in asked and end < ranked.total_count
        return {
            "category_id": category,
            "window": asked["window"],
            "metric": asked["metric"],
            "as_of": as_of,
            "total_count": ranked.total_count,
            "items": [
                {"position": row.position, "product_id": row.product_id, **_figures(row)}
                for row in ranked.rows[start:end]
            ],
            "next_cursor": str(end) if more else None,
        }

    def _sales_ranks(self, product: str, window: str, asked: dict[str, str]) -> Body | None:
        if product not in self._answers.products:
            return None
        as_of = str(self._answers.as_of)
        items = []
        for category in self._answers.products[product]:
            name = (category, window, asked["metric"])
            row = self._answers.place(*name, product)
            if row is not None:
                count = self._answers.ranked(*name).total_count
                places = {"category_id": category, "total_count": count, "as_of": as_of}
                items.append(places | _figures(row))
        return {"product_id": product, "as_of": as_of, "items": items}

    def _graphql(self, asked: Body) -> Body:
        window, metric = asked["window"].lower(), asked["metric"].lower()
        if "products" in asked:
            return {"data": {"salesRanks": self._ranks_of_products(asked, window, metric)}}
        if "product" in asked:
            return {"data": {"rankHistory": self._rank_history(asked, window, metric)}}
        name = (asked["category"], window, metric)
        ranked = self._answers.ranked(*name)
        as_of = str(self._answers.as_of)
        if asked.get("asOf"):
            as_of = asked["asOf"]
            published = self._oracle.as_of_lists(instant_of(as_of), self._oracle.last_version)
            ranked = ranked_lists(published).get(name, RankedList())
        start = int(asked.get("after") or "0")
        end = start + int(asked["first"])
        nodes = [
            {"position": row.position, "product": {"id": row.product_id}} | _graphql_figures(row)
            for row in ranked.rows[start:end]
        ]
        connection = {
            "totalCount": ranked.total_count,
            "asOf": as_of,
            "pageInfo": {"hasNextPage": end < len(ranked.rows), "endCursor": str(end)},
            "nodes": nodes,
        }
        return {"data": {"topProducts": connection}}

    def _ranks_of_products(self, asked: Body, window: str, metric: str) -> list[Body]:
        ranks = []
        for product in asked["products"]:
            for category in self._answers.products.get(product, ()):
                row = self._answers.place(category, window, metric, product)
                if row is None or (asked["categories"] and category not in asked["categories"]):
                    continue
                count = self._answers.ranked(category, window, metric).total_count
                ids = {"product": {"id": product}, "category": {"id": category}}
                place = {"totalCount": count, "asOf": str(self._answers.as_of)}
                ranks.append(ids | place | _graphql_figures(row))
        return ranks

    def _rank_history(self, asked: Body, window: str, metric: str) -> list[Body]:
        begin, end = instant_of(asked["from"]), instant_of(asked["to"])
        version = self._oracle.last_version
        points = self._oracle.rank_history(
            asked["product"], asked["category"], window, metric, begin, end, version
        )
        return [
            {
                "asOf": as_of.isoformat(),
                "rank": rank,
                "units": units,
                "revenue": {"amount": f"{minor / 100:.2f}"},
            }
            for as_of, rank, units, minor in points
        ]


def instant_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _graphql_figures(row: RankedRow) -> Body:
    figures = _figures(row)
    figures["previousRank"] = figures.pop("previous_rank")
    return figures


def _figures(row: RankedRow) -> Body:
    assert isinstance(row.amount_minor, int)
    return {
        "rank": row.rank,
        "previous_rank": row.previous_rank,
        "units": row.units,
        "revenue": {"amount": f"{row.amount_minor / 100:.2f}", "currency": "USD"},
    }


def differences(oracle: Oracle, change: Change = keep) -> list[str]:
    transport = httpx.MockTransport(AnsweringSystem(oracle, change))
    return compare(oracle, oracle.last_version, "http://system", transport=transport)


def test_a_right_system_shows_no_difference(oracle: Oracle) -> None:
    assert differences(oracle) == []


def test_every_kind_of_question_is_asked(oracle: Oracle) -> None:
    asked: set[str] = set()
    deep: set[str] = set()

    def note(request: httpx.Request, _: Body) -> None:
        asked.add(request.url.path.rpartition("/")[2])
        deep.update({"cursor", "as_of"} & dict(request.url.params).keys())

    differences(oracle, note)

    assert asked == {"graphql", "categories", "top-products", "sales-ranks"}
    assert deep == {"cursor", "as_of"}


def _swap(request: httpx.Request, body: Body) -> None:
    if request.url.params.get("cursor") == "100":
        body["items"][3], body["items"][4] = body["items"][4], body["items"][3]


def _amount(request: httpx.Request, body: Body) -> None:
    if request.url.path.endswith("sales-ranks"):
        for item in body["items"]:
            item["revenue"]["amount"] = 12.5


def _forget(_: httpx.Request, body: Body) -> None:
    for connection in _of_graphql(body, "topProducts"):
        connection["nodes"][-1:] = []


def _of_graphql(body: Body, name: str) -> list[Any]:
    """Return the answer of a field, alone in a list, where it is one of that field."""
    return [answer for field, answer in body.get("data", {}).items() if field == name]


def _same_page_again(request: httpx.Request, body: Body) -> None:
    for connection in _of_graphql(body, "topProducts"):
        if json.loads(request.content)["variables"].get("after") == "37":
            connection["nodes"][0]["position"] = 1


def _published_later(request: httpx.Request, body: Body) -> None:
    for connection in _of_graphql(body, "topProducts"):
        if json.loads(request.content)["variables"].get("asOf"):
            connection["totalCount"] += 1


def _every_category(request: httpx.Request, body: Body) -> None:
    for ranks in _of_graphql(body, "salesRanks"):
        if json.loads(request.content)["variables"]["categories"]:
            ranks.append(ranks[0] | {"category": {"id": "toys/all"}})


def _unsorted(_: httpx.Request, body: Body) -> None:
    for ranks in _of_graphql(body, "salesRanks"):
        ranks.reverse()


def _an_hour_less(_: httpx.Request, body: Body) -> None:
    for points in _of_graphql(body, "rankHistory"):
        del points[0]


def _stale(request: httpx.Request, body: Body) -> None:
    if "as_of" in request.url.params:
        body["items"] = [item | {"previous_rank": 7} for item in body["items"]]


def _endless(request: httpx.Request, body: Body) -> None:
    if request.url.params.get("cursor") == "100":
        body.update(items=[], next_cursor="200")


def _count(request: httpx.Request, body: Body) -> None:
    if request.url.path == "/v1/categories":
        body["items"][0]["product_count"] += 1


def _shape(request: httpx.Request, body: Body) -> None:
    if request.url.path.endswith("top-products"):
        del body["total_count"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_swap, "REST toys/all day units position 104: "),
        (_amount, "REST sales-ranks "),
        (_endless, "REST toys/all day units: a cursor after 100 rows, and none follow"),
        (_forget, "GraphQL books day units: 0 rows, expected 1"),
        (_same_page_again, " by cursor position 1: "),
        (_published_later, "Z: totalCount is "),
        (_every_category, " in some categories: "),
        (_unsorted, ": the order of the products is "),
        (_an_hour_less, "GraphQL rankHistory of "),
        (_stale, " as of 2025-11-24T18:00:00Z position 1: "),
        (_count, "REST categories: product_count of books is 3, expected 2"),
        (_shape, "an answer of another shape: KeyError('total_count')"),
    ],
)
def test_what_a_wrong_system_says_is_told(oracle: Oracle, change: Change, told: str) -> None:
    assert any(told in line for line in differences(oracle, change))


def test_the_command_prints_a_feeds_lists(tmp_path: Path) -> None:
    (tmp_path / "SalesReport-2026030110.csv").write_text(
        "timestamp,product_id,category_id,customer_id,qty,total_price\n"
        "1772359200,ball,toys,,2,5.00\n"
        "1772359200,car,toys,,0,5.00\n"
    )
    command = [sys.executable, "-m", "tests.oracle", str(tmp_path), "--json"]
    printed = subprocess.run(command, capture_output=True, check=True, text=True)

    answer = json.loads(printed.stdout)
    assert answer["as_of"] == "2026-03-01T11:00:00+00:00"
    assert answer["categories"] == {"toys": 1}
    assert len(answer["lists"]) == 10
    assert answer["lists"][0] == {
        "category_id": "toys",
        "window": "all_time",
        "metric": "revenue",
        "total_count": 1,
        "items": [
            {
                "position": 1,
                "rank": 1,
                "previous_rank": None,
                "product_id": "ball",
                "units": 2,
                "amount_minor": 500,
            }
        ],
    }


def test_the_command_names_what_it_misses(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.oracle", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, check=False, text=True)

    assert answer.returncode == 2
    assert "no report in" in answer.stderr


def test_a_system_that_does_not_answer_is_one_error(oracle: Oracle) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with pytest.raises(httpx.ConnectError, match="refused"):
        compare(oracle, 2, "http://system", transport=httpx.MockTransport(refuse))
