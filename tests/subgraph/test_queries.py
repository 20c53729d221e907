"""What each root field answers, and what it refuses."""

from typing import Any

import pytest
from strawberry.types.execution import ExecutionResult

from tests.gateway.rankings_in_memory import RankingsInMemory
from tests.subgraph.conftest import HOUR, Ask

pytestmark = pytest.mark.anyio

PAGE = """
query (
  $id: ID!, $first: Int! = 10, $after: String, $asOf: DateTime, $metric: RankingMetric! = UNITS
) {
  topProducts(categoryId: $id, first: $first, after: $after, asOf: $asOf, metric: $metric) {
    category { id }
    window
    metric
    totalCount
    asOf
    version
    edges { cursor node { position product { id } } }
    nodes { rank position previousRank units revenue { amount currency } product { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


def only_error(result: ExecutionResult) -> tuple[Any, str]:
    assert result.errors is not None
    (error,) = result.errors
    return (error.extensions or {}).get("code"), error.message


def page_of(result: ExecutionResult) -> dict[str, Any]:
    assert result.errors is None, result.errors
    assert result.data is not None
    page: dict[str, Any] = result.data["topProducts"]
    return page


async def test_a_list_is_answered_exactly(ask: Ask) -> None:
    page = page_of(await ask(PAGE, id="books", first=3))
    assert page["category"] == {"id": "books"}
    assert (page["window"], page["metric"]) == ("DAY", "UNITS")
    assert page["totalCount"] == 250
    assert page["asOf"] == "2026-11-25T09:00:00Z"
    assert page["version"] == 0
    assert page["nodes"][:2] == [
        {
            "rank": 1,
            "position": 1,
            "previousRank": None,
            "units": 1000,
            "revenue": {"amount": "123.45", "currency": "USD"},
            "product": {"id": "b000"},
        },
        {
            "rank": 1,
            "position": 2,
            "previousRank": None,
            "units": 1000,
            "revenue": {"amount": "123.46", "currency": "USD"},
            "product": {"id": "b001"},
        },
    ]


async def test_pages_follow_one_another_to_the_end(ask: Ask) -> None:
    seen: list[str] = []
    after = None
    while True:
        page = page_of(await ask(PAGE, id="books", first=60, after=after))
        seen += [edge["node"]["product"]["id"] for edge in page["edges"]]
        info = page["pageInfo"]
        assert info["hasPreviousPage"] == (after is not None)
        assert info["startCursor"] == page["edges"][0]["cursor"]
        after = info["endCursor"]
        if not info["hasNextPage"]:
            break
    assert seen == [f"b{n:03}" for n in range(250)]
    past_the_end = page_of(await ask(PAGE, id="books", after=after))
    assert past_the_end["edges"] == []
    assert past_the_end["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": None,
        "endCursor": None,
    }


async def test_a_cursor_keeps_reading_its_version(ask: Ask, rankings: RankingsInMemory) -> None:
    first = page_of(await ask(PAGE, id="books", first=1))
    rankings.publish(HOUR + 1, {"books": {"new": (9000, 1), "newer": (8000, 1)}})
    after = first["pageInfo"]["endCursor"]
    second = page_of(await ask(PAGE, id="books", first=1, after=after))
    assert second["version"] == 0
    assert second["nodes"][0]["product"]["id"] == "b001"
    assert page_of(await ask(PAGE, id="books"))["version"] == 1
    rankings.forget_old_versions()
    code, message = only_error(await ask(PAGE, id="books", after=after))
    assert code == "CURSOR_EXPIRED"
    assert "Begin again" in message


async def test_a_list_of_the_past_ends_after_a_hundred_rows(
    ask: Ask, rankings: RankingsInMemory
) -> None:
    rankings.publish(HOUR + 1, {"books": {"new": (9000, 1)}})
    past = "2026-11-25T10:30:00+01:00"
    first = page_of(await ask(PAGE, id="books", first=70, asOf=past))
    assert (first["version"], first["totalCount"]) == (0, 250)
    assert first["pageInfo"]["hasNextPage"]
    after = first["pageInfo"]["endCursor"]
    second = page_of(await ask(PAGE, id="books", first=70, asOf=past, after=after))
    assert [node["position"] for node in second["nodes"]] == list(range(71, 101))
    assert second["pageInfo"]["hasNextPage"] is False
    # The same hour by another instant is the same list; another hour or none is not.
    same = "2026-11-25T09:59:59Z"
    assert page_of(await ask(PAGE, id="books", asOf=same, after=after))["version"] == 0
    for other in ("2026-11-25T10:00:00Z", None):
        code, message = only_error(await ask(PAGE, id="books", asOf=other, after=after))
        assert code == "BAD_USER_INPUT"
        assert message.startswith("after:")


async def test_nothing_published_by_then_is_not_found(ask: Ask) -> None:
    code, message = only_error(await ask(PAGE, id="books", asOf="2020-01-01T00:00:00Z"))
    assert code == "NOT_FOUND"
    assert "2020-01-01" in message


async def test_an_unknown_category_is_null_with_an_error(ask: Ask) -> None:
    result = await ask(PAGE, id="nope")
    assert result.data == {"topProducts": None}
    code, message = only_error(result)
    assert code == "NOT_FOUND"
    assert "nope" in message


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"id": ""}, "categoryId"),
        ({"id": "é" * 65}, "categoryId"),
        ({"id": "books", "first": 0}, "first"),
        ({"id": "books", "first": 101}, "first"),
        ({"id": "books", "first": -1}, "first"),
        ({"id": "books", "after": ""}, "after"),
        ({"id": "books", "after": "bm90IGEgY3Vyc29y"}, "after"),
        ({"id": "books", "after": "é"}, "after"),
        ({"id": "books", "asOf": "2026-11-25T08:00:00"}, "asOf"),
        ({"id": "books", "asOf": "yesterday"}, "asOf"),
        ({"id": "books", "asOf": ""}, "asOf"),
        ({"id": "books", "asOf": "0001-01-01T00:00:00+23:00"}, "asOf"),
    ],
)
async def test_a_bad_argument_is_named(ask: Ask, variables: dict[str, Any], named: str) -> None:
    code, message = only_error(await ask(PAGE, **variables))
    assert code == "BAD_USER_INPUT"
    assert message.startswith(f"{named}: ")


async def test_a_cursor_of_another_list_is_refused(ask: Ask) -> None:
    after = page_of(await ask(PAGE, id="books"))["pageInfo"]["endCursor"]
    for other in ({"id": "toys"}, {"id": "books", "metric": "REVENUE"}):
        code, _ = only_error(await ask(PAGE, after=after, **other))
        assert code == "BAD_USER_INPUT"


RANKS = """
query ($ids: [ID!]!, $categories: [ID!], $metric: RankingMetric! = UNITS) {
  salesRanks(productIds: $ids, categoryIds: $categories, metric: $metric) {
    product { id } category { id } rank units totalCount asOf revenue { amount }
  }
}
"""


async def test_ranks_come_in_the_order_of_the_ids(ask: Ask, rankings: RankingsInMemory) -> None:
    result = await ask(RANKS, ids=["t1", "unknown", "b000", "t2"])
    assert result.errors is None
    assert result.data is not None
    found = [
        (rank["product"]["id"], rank["category"]["id"], rank["rank"], rank["totalCount"])
        for rank in result.data["salesRanks"]
    ]
    assert found == [("t1", "toys", 1, 2), ("b000", "books", 1, 250), ("b000", "toys", 2, 2)]
    assert rankings.calls == [("product_ranks", ("t1", "unknown", "b000", "t2"))]


async def test_ranks_can_be_narrowed_to_categories(ask: Ask) -> None:
    result = await ask(RANKS, ids=["b000"], categories=["toys", "nope"])
    assert result.data is not None
    assert [rank["category"]["id"] for rank in result.data["salesRanks"]] == ["toys"]
    none = await ask(RANKS, ids=["b000"], categories=[])
    assert none.data == {"salesRanks": []}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"ids": ["x"] * 1001}, "productIds"),
        ({"ids": ["x" * 129]}, "productIds"),
        ({"ids": ["x"], "categories": [""]}, "categoryIds"),
        ({"ids": ["x"], "categories": ["c"] * 1001}, "categoryIds"),
    ],
)
async def test_bad_ids_are_refused(ask: Ask, variables: dict[str, Any], named: str) -> None:
    code, message = only_error(await ask(RANKS, **variables))
    assert code == "BAD_USER_INPUT"
    assert message.startswith(f"{named}: ")


HISTORY = """
query ($product: ID! = "t1", $category: ID! = "toys", $from: DateTime!, $to: DateTime!) {
  rankHistory(productId: $product, categoryId: $category, from: $from, to: $to) {
    asOf rank units revenue { amount currency }
  }
}
"""


async def test_history_tells_the_ranks_at_the_closes_of_hours(
    ask: Ask, rankings: RankingsInMemory
) -> None:
    rankings.publish(HOUR + 1, {"toys": {"t1": (1, 1), "t3": (2, 2)}})
    span = {"from": "2026-11-25T09:00:00Z", "to": "2026-11-25T10:00:00Z"}
    result = await ask(HISTORY, **span)
    assert result.errors is None
    assert result.data is not None
    assert [(point["asOf"], point["rank"]) for point in result.data["rankHistory"]] == [
        ("2026-11-25T09:00:00Z", 1),
        ("2026-11-25T10:00:00Z", 2),
    ]
    unknown = await ask(HISTORY, product="nope", **span)
    assert unknown.data == {"rankHistory": []}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"from": "2026-11-25T08:00:00", "to": "2026-11-25T09:00:00Z"}, "from"),
        ({"from": "2026-11-25T08:00:00Z", "to": "never"}, "to"),
        ({"from": "2026-11-25T09:00:00Z", "to": "2026-11-25T08:00:00Z"}, "from"),
        ({"from": "2026-10-26T07:59:59Z", "to": "2026-11-25T08:00:00Z"}, "from"),
        ({"from": "2026-11-25T08:00Z", "to": "2026-11-25T09:00Z", "product": ""}, "productId"),
        ({"from": "2026-11-25T08:00Z", "to": "2026-11-25T09:00Z", "category": ""}, "categoryId"),
    ],
)
async def test_a_bad_history_is_refused(ask: Ask, variables: dict[str, Any], named: str) -> None:
    code, message = only_error(await ask(HISTORY, **variables))
    assert code == "BAD_USER_INPUT"
    assert message.startswith(f"{named}: ")


async def test_720_hours_of_history_are_answered(ask: Ask) -> None:
    span = {"from": "2026-10-26T08:00:00Z", "to": "2026-11-25T08:00:00Z"}
    assert (await ask(HISTORY, **span)).errors is None


CATEGORIES = """
query ($first: Int! = 50, $after: String) {
  rankedCategories(first: $first, after: $after) {
    totalCount nodes { id } edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


async def test_categories_come_page_by_page(ask: Ask) -> None:
    first = await ask(CATEGORIES, first=1)
    assert first.data is not None
    page = first.data["rankedCategories"]
    assert (page["nodes"], page["totalCount"]) == ([{"id": "books"}], 2)
    assert page["pageInfo"]["hasNextPage"] is True
    assert page["pageInfo"]["hasPreviousPage"] is False
    second = await ask(CATEGORIES, first=1, after=page["pageInfo"]["endCursor"])
    assert second.data is not None
    page = second.data["rankedCategories"]
    assert page["edges"][0]["node"] == {"id": "toys"}
    assert page["pageInfo"]["hasNextPage"] is False
    assert page["pageInfo"]["hasPreviousPage"] is True


async def test_a_list_cursor_is_none_of_the_categories(ask: Ask) -> None:
    after = page_of(await ask(PAGE, id="books"))["pageInfo"]["endCursor"]
    code, message = only_error(await ask(CATEGORIES, after=after))
    assert code == "BAD_USER_INPUT"
    assert message.startswith("after: ")


async def test_the_status_tells_what_is_missing_and_pending(
    ask: Ask, rankings: RankingsInMemory
) -> None:
    rankings.pending_reports = 3
    result = await ask("{ rankingStatus { asOf missingHours pendingReports } }")
    assert result.data == {
        "rankingStatus": {
            "asOf": "2026-11-25T09:00:00Z",
            "missingHours": ["2026-11-25T06:00:00Z"],
            "pendingReports": 3,
        }
    }


async def test_while_the_read_model_is_away_lists_are_unavailable(
    ask: Ask, rankings: RankingsInMemory
) -> None:
    rankings.away = True
    for query in (
        '{ topProducts(categoryId: "books") { version } }',
        "{ rankedCategories { totalCount } }",
        '{ salesRanks(productIds: ["b000"]) { rank } }',
    ):
        code, message = only_error(await ask(query))
        assert code == "UNAVAILABLE"
        assert "10.0.0.7" not in message
    assert (await ask("{ __typename }")).errors is None
