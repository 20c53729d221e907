"""The REST endpoints: bodies, pages, and what is wrong with a request."""

from typing import Any

import httpx
import msgspec
import pytest

from projections.errors import CategoryUnknown
from tests.gateway.conftest import HOUR, ODD_CATEGORY
from tests.gateway.rankings_in_memory import RankingsInMemory
from write_side.errors import WriteSideError

pytestmark = pytest.mark.anyio

BOOKS = "/v1/categories/books/top-products"


async def test_a_list_has_the_contract_s_body(client: httpx.AsyncClient) -> None:
    response = await client.get(BOOKS, params={"limit": 1})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert response.headers["etag"].startswith('"')
    body = response.json()
    cursor = body["next_cursor"]
    # The order of the keys is part of the contract, so the bytes are compared.
    assert response.content == msgspec.json.encode(
        {
            "category_id": "books",
            "window": "day",
            "metric": "units",
            "as_of": "2026-11-25T09:00:00Z",
            "version": 0,
            "total_count": 250,
            "items": [
                {
                    "rank": 1,
                    "position": 1,
                    "previous_rank": None,
                    "product_id": "b000",
                    "units": 1000,
                    "revenue": {"amount": "123.45", "currency": "USD"},
                }
            ],
            "next_cursor": cursor,
        }
    )


async def test_the_first_ten_are_the_default(client: httpx.AsyncClient) -> None:
    assert len((await client.get(BOOKS)).json()["items"]) == 10
    assert len((await client.get(BOOKS, params={"limit": 100})).json()["items"]) == 100


async def test_cursors_lead_through_one_version(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    parameters: dict[str, Any] = {"limit": 100, "metric": "revenue"}
    positions: list[int] = []
    while True:
        body = (await client.get(BOOKS, params=parameters)).json()
        assert body["version"] == 0
        positions += [item["position"] for item in body["items"]]
        if body["next_cursor"] is None:
            break
        parameters["cursor"] = body["next_cursor"]
        rankings.publish(HOUR + len(positions), {"books": {"new": (1, 1)}})
    assert positions == list(range(1, 251))
    rankings.publish(HOUR + 500, {"books": {"new": (2, 2)}})
    rankings.forget_old_versions()
    gone = await client.get(BOOKS, params=parameters)
    assert gone.status_code == 410
    assert gone.json()["code"] == "CURSOR_EXPIRED"


async def test_a_list_of_the_past_ends_after_a_hundred_rows(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    rankings.publish(HOUR + 1, {"books": {"new": (1, 1)}})
    parameters = {"limit": "100", "as_of": "2026-11-25T09:00:00Z"}
    body = (await client.get(BOOKS, params=parameters)).json()
    assert (body["version"], body["total_count"], body["next_cursor"]) == (0, 250, None)
    cursor = (await client.get(BOOKS, params={**parameters, "limit": "60"})).json()["next_cursor"]
    rest = (await client.get(BOOKS, params={**parameters, "cursor": cursor})).json()
    assert [item["position"] for item in rest["items"]] == list(range(61, 101))
    without = await client.get(BOOKS, params={"cursor": cursor})
    assert (without.status_code, without.json()["parameter"]) == (400, "cursor")
    early = await client.get(BOOKS, params={"as_of": "2020-01-01T00:00:00Z"})
    assert (early.status_code, early.json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("window=year", "window"),
        ("window=DAY", "window"),
        ("window=", "window"),
        ("metric=clicks", "metric"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=5.0", "limit"),
        ("limit=%D9%A5", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("as_of=", "as_of"),
        ("as_of=yesterday", "as_of"),
        ("as_of=2026-11-25T08:00:00", "as_of"),
        ("windows=day", "windows"),
        ("limit=1&limit=2", "limit"),
        ("limit=%ff", "query"),
    ],
)
async def test_a_bad_parameter_is_named(client: httpx.AsyncClient, query: str, named: str) -> None:
    response = await client.get(f"{BOOKS}?{query}")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["parameter"] == named
    assert problem["code"] == "BAD_USER_INPUT"
    assert problem["status"] == 400
    assert problem["title"] == "Bad Request"
    assert problem["detail"].startswith(f"{named}: ")
    assert problem["type"] == "/docs#BAD_USER_INPUT"


async def test_a_live_cursor_goes_with_no_instant(client: httpx.AsyncClient) -> None:
    cursor = (await client.get(BOOKS)).json()["next_cursor"]
    response = await client.get(BOOKS, params={"cursor": cursor, "as_of": "2026-11-25T09:00:00Z"})
    assert (response.status_code, response.json()["parameter"]) == (400, "cursor")
    other = await client.get(BOOKS, params={"cursor": cursor, "window": "hour"})
    assert (other.status_code, other.json()["parameter"]) == (400, "cursor")


async def test_ids_have_128_bytes_at_most(client: httpx.AsyncClient) -> None:
    fits = await client.get(f"/v1/categories/{'x' * 128}/top-products")
    assert fits.status_code == 404
    long = await client.get(f"/v1/categories/{'x' * 129}/top-products")
    assert (long.status_code, long.json()["parameter"]) == (400, "category_id")


async def test_a_products_ranks_have_the_contract_s_body(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/products/b000/sales-ranks", params={"metric": "revenue"})
    assert response.status_code == 200
    assert response.content == msgspec.json.encode(
        {
            "product_id": "b000",
            "as_of": "2026-11-25T09:00:00Z",
            "items": [
                {
                    "category_id": ODD_CATEGORY,
                    "rank": 1,
                    "previous_rank": None,
                    "units": 2,
                    "revenue": {"amount": "2.50", "currency": "USD"},
                    "total_count": 1,
                    "as_of": "2026-11-25T09:00:00Z",
                    "version": 0,
                },
                {
                    "category_id": "books",
                    "rank": 250,
                    "previous_rank": None,
                    "units": 1000,
                    "revenue": {"amount": "123.45", "currency": "USD"},
                    "total_count": 250,
                    "as_of": "2026-11-25T09:00:00Z",
                    "version": 0,
                },
            ],
        }
    )


async def test_a_known_product_may_be_ranked_nowhere(client: httpx.AsyncClient) -> None:
    nowhere = await client.get("/v1/products/x%2Fy/sales-ranks?metric=revenue")
    assert nowhere.json() == {
        "product_id": "x/y",
        "as_of": "2026-11-25T09:00:00Z",
        "items": [],
    }
    unknown = await client.get("/v1/products/nope/sales-ranks")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "NOT_FOUND")
    bad = await client.get("/v1/products/nope/sales-ranks?limit=1")
    assert (bad.status_code, bad.json()["parameter"]) == (400, "limit")


async def test_categories_come_page_by_page(client: httpx.AsyncClient) -> None:
    first = (await client.get("/v1/categories?limit=1")).json()
    assert first["items"] == [
        {"category_id": ODD_CATEGORY, "product_count": 2, "as_of": "2026-11-25T09:00:00Z"}
    ]
    assert first["total_count"] == 2
    second = (await client.get(f"/v1/categories?cursor={first['next_cursor']}")).json()
    assert [item["category_id"] for item in second["items"]] == ["books"]
    assert second["next_cursor"] is None
    wrong = await client.get("/v1/categories?cursor=")
    assert (wrong.status_code, wrong.json()["parameter"]) == (400, "cursor")


async def test_while_the_read_model_is_away_nothing_is_answered(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    paths = (BOOKS, "/v1/products/b000/sales-ranks", "/v1/categories")
    for path in paths:
        assert (await client.get(path)).status_code == 200
    rankings.away = True
    for path in paths:
        response = await client.get(path)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert response.json()["code"] == "UNAVAILABLE"
        assert "10.0.0.7" not in response.text
    rankings.away = False
    assert (await client.get(BOOKS)).status_code == 200


async def test_other_methods_and_addresses_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(BOOKS)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"
    assert response.json()["title"] == "Method Not Allowed"
    for path in ("/v1", "/v1/categories/books", "/v1/categories/", "/v1/categories//top-products"):
        unknown = await client.get(path)
        assert unknown.status_code == 404
        assert unknown.headers["content-type"] == "application/problem+json"


async def test_a_fault_of_ours_shows_nothing_internal(
    client: httpx.AsyncClient, rankings: RankingsInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    rankings.failure = ZeroDivisionError("secret words")
    response = await client.get(BOOKS)
    assert response.status_code == 500
    assert response.json()["code"] == "INTERNAL_SERVER_ERROR"
    assert "secret" not in response.text
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "secret words" not in record.message


async def test_what_a_client_is_told_we_logged_is_logged(
    client: httpx.AsyncClient, rankings: RankingsInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    rankings.failure = WriteSideError("the events are damaged in chunk 7")
    answer = await client.get("/v1/categories/books/top-products")
    assert answer.status_code == 500
    assert "chunk" not in answer.text
    (logged,) = [record for record in caplog.records if record.name == "topsellers.gateway"]
    assert "/v1/categories/books/top-products: the events are damaged" in logged.getMessage()
    rankings.failure = CategoryUnknown("nope")
    assert (await client.get("/v1/categories/books/top-products")).status_code == 404
    assert len([r for r in caplog.records if r.name == "topsellers.gateway"]) == 1


async def test_an_etag_tells_lists_versions_and_rebuilds_apart(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    async def tag(query: str = "") -> str:
        response = await client.get(f"{BOOKS}?{query}")
        etag: str = response.headers["etag"]
        return etag

    queries = ("", "limit=11", "window=hour", "metric=revenue", "as_of=2026-11-25T09:00:00Z")
    tags = [await tag(query) for query in queries]
    assert len(set(tags)) == len(queries)
    assert await tag("window=day&limit=10") == tags[0]
    shown = rankings.published[-1]
    rankings.publish(HOUR, shown.categories, generation="g2")
    assert await tag() != tags[0]
