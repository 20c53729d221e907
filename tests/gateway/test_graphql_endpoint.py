"""GraphQL over HTTP: media types, statuses, limits, and answers from finished bytes."""

import json
from typing import Any

import httpx
import pytest

from gateway.application import create_application
from gateway.settings import GatewaySettings
from tests.gateway.conftest import HOUR
from tests.gateway.rankings_in_memory import RankingsInMemory

pytestmark = pytest.mark.anyio

BOOKS = '{ topProducts(categoryId: "books", first: 1) { version nodes { units product { id } } } }'
PLAIN = "application/json"
GRAPHQL = "application/graphql-response+json"


async def post(
    client: httpx.AsyncClient, query: Any, accept: str | None = None, **more: Any
) -> httpx.Response:
    headers = {} if accept is None else {"accept": accept}
    return await client.post("/graphql", json={"query": query, **more}, headers=headers)


def media_type(response: httpx.Response) -> str:
    return response.headers["content-type"].partition(";")[0]


def code(response: httpx.Response) -> str:
    (error,) = response.json()["errors"]
    found: str = error["extensions"]["code"]
    return found


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, PLAIN),
        ("*/*", PLAIN),
        (PLAIN, PLAIN),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, {PLAIN};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.5, {PLAIN}", PLAIN),
        (f"{PLAIN}, {GRAPHQL}", PLAIN),
        ("text/html", PLAIN),
        (f"{GRAPHQL};q=none", PLAIN),
    ],
)
async def test_an_answer_comes_in_the_type_asked_for(
    client: httpx.AsyncClient, accept: str | None, expected: str
) -> None:
    response = await post(client, BOOKS, accept)
    assert response.status_code == 200
    assert media_type(response) == expected
    assert "charset=utf-8" in response.headers["content-type"]
    assert response.json()["data"]["topProducts"]["nodes"] == [
        {"units": 1000, "product": {"id": "b000"}}
    ]


@pytest.mark.parametrize("query", ["{", "{ nope }", "query ($x: Int!) { __typename }"])
async def test_what_is_refused_before_execution_answers_400(
    client: httpx.AsyncClient, query: str
) -> None:
    for accept in (GRAPHQL, "*/*"):
        response = await post(client, query, accept)
        assert response.status_code == 400
        assert media_type(response) == GRAPHQL
        assert "data" not in response.json()
        assert code(response) == "BAD_USER_INPUT"
    # The draft keeps 200 for clients that know the older media type only.
    plain = await post(client, query, PLAIN)
    assert (plain.status_code, media_type(plain)) == (200, PLAIN)
    assert "data" not in plain.json()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b"\xff",
        b"{}",
        b'{"query": null}',
        b'{"query": 5}',
        b'{"query": ""}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": "{}"}',
        b'{"query": "{ __typename }", "extensions": []}',
        b'{"query": "{ __typename }", "operationName": "other"}',
        b'{"query": "{ __typename }", "operationName": 5}',
        b'{"query": "fragment f on Query { __typename }"}',
        b'{"query": "{ __typename }", "variables": {"x": "\\ud800"}}',
        b'[{"query": "{ __typename }"}]',
        b'{"x":' * 5000,
    ],
)
async def test_a_body_that_is_no_operation_is_refused(
    client: httpx.AsyncClient, body: bytes
) -> None:
    response = await client.post(
        "/graphql", content=body, headers={"content-type": PLAIN, "accept": GRAPHQL}
    )
    assert response.status_code == 400
    assert media_type(response) == GRAPHQL
    assert code(response) == "BAD_USER_INPUT"


async def test_only_json_is_taken(client: httpx.AsyncClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        response = await client.post(
            "/graphql", content=b"{}", headers={"content-type": content_type}
        )
        assert response.status_code == 415
        assert code(response) == "BAD_USER_INPUT"
    with_charset = await client.post(
        "/graphql",
        content=json.dumps({"query": "{ __typename }"}),
        headers={"content-type": "application/JSON; charset=utf-8"},
    )
    assert with_charset.json() == {"data": {"__typename": "Query"}}


async def test_queries_can_be_got(client: httpx.AsyncClient) -> None:
    query = "query q($id: ID!) { topProducts(categoryId: $id) { totalCount } }"
    response = await client.get(
        "/graphql",
        params={"query": query, "variables": '{"id": "books"}', "operationName": "q"},
    )
    assert response.json() == {"data": {"topProducts": {"totalCount": 250}}}
    for parameters in ({}, {"query": ""}, {"query": query, "variables": "{"}):
        bad = await client.get("/graphql", params=parameters, headers={"accept": GRAPHQL})
        assert bad.status_code == 400
    browser = await client.get("/graphql", headers={"accept": "text/html"})
    assert browser.status_code == 400


async def test_other_methods_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.put("/graphql", json={"query": BOOKS})
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    mutation = await client.get("/graphql", params={"query": "mutation { __typename }"})
    assert mutation.status_code == 405
    assert mutation.headers["allow"] == "POST"


async def test_the_same_body_costs_no_second_execution(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    first = await post(client, BOOKS)
    assert (await post(client, BOOKS)).content == first.content
    assert len(rankings.calls) == 1
    assert media_type(await post(client, BOOKS, GRAPHQL)) == GRAPHQL
    rankings.publish(HOUR + 1, {"books": {"new": (7, 1)}})
    again = await post(client, BOOKS)
    assert again.json()["data"]["topProducts"]["nodes"] == [{"units": 7, "product": {"id": "new"}}]
    rankings.away = True
    assert (await post(client, BOOKS)).status_code == 503


async def test_answers_with_errors_are_made_anew(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    unknown = '{ topProducts(categoryId: "nope") { version } }'
    for _ in range(2):
        assert code(await post(client, unknown)) == "NOT_FOUND"
    assert len(rankings.calls) == 2


async def test_the_status_is_made_anew(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    both = f"{{ rankingStatus {{ pendingReports }} {BOOKS[1:]}"
    for pending in (1, 2):
        rankings.pending_reports = pending
        data = (await post(client, both)).json()["data"]
        assert data["rankingStatus"] == {"pendingReports": pending}


async def test_while_the_read_model_is_away_clients_are_told_when_to_return(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    rankings.away = True
    for query in (BOOKS, "{ rankedCategories { totalCount } }"):
        for accept in (PLAIN, GRAPHQL):
            response = await post(client, query, accept)
            assert response.status_code == 503
            assert media_type(response) == accept
            assert int(response.headers["retry-after"]) > 0
            assert code(response) == "UNAVAILABLE"
    partly = await post(client, f"{{ __typename {BOOKS[1:]}")
    assert partly.status_code == 200
    assert partly.json()["data"] == {"__typename": "Query", "topProducts": None}


async def test_a_fault_of_ours_shows_nothing_internal(
    client: httpx.AsyncClient, rankings: RankingsInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    rankings.failure = ZeroDivisionError("secret words")
    response = await post(client, BOOKS)
    assert code(response) == "INTERNAL_SERVER_ERROR"
    assert "secret" not in response.text
    assert len(caplog.records) == 1


async def test_introspection_can_be_switched_off(rankings: RankingsInMemory) -> None:
    settings = GatewaySettings(secret_keys=(b"secret",), introspection=False)
    transport = httpx.ASGITransport(create_application(rankings, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        response = await post(client, "{ __schema { types { name } } }")
        assert response.status_code == 400
        misspelt = await post(client, "{ topProduct }")
        assert "topProducts" not in misspelt.text


async def test_of_several_operations_one_has_to_be_named(client: httpx.AsyncClient) -> None:
    two = "query A { rankingStatus { asOf } } query B { rankingStatus { pendingReports } }"
    response = await post(client, two, GRAPHQL)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")
    named = (await post(client, two, operationName="B")).json()
    assert named["data"]["rankingStatus"].keys() == {"pendingReports"}


async def test_a_number_of_many_digits_is_bad_input(client: httpx.AsyncClient) -> None:
    query = f'{{ topProducts(categoryId: "books", first: {"9" * 5_000}) {{ version }} }}'
    response = await post(client, query, GRAPHQL)
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")
