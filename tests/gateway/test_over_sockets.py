"""What only a real server and a real connection show."""

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from tests.gateway.conftest import HOUR, ODD_CATEGORY
from tests.gateway.rankings_in_memory import RankingsInMemory

BOOKS = "/v1/categories/books/top-products"


@pytest.fixture
def http_client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=10) as client:
        yield client


def raw(address: str, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; returns the status and what follows the headers."""
    parts = urlsplit(address)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), 10) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


def test_head_answers_as_get_without_a_body(http_client: httpx.Client) -> None:
    got, head = http_client.get(BOOKS), http_client.head(BOOKS)
    again = http_client.head(BOOKS)
    for response in (head, again):
        assert response.status_code == 200
        assert response.content == b""
        for name in ("etag", "content-length", "content-type", "cache-control"):
            assert response.headers[name] == got.headers[name]
    for path in ("/health/live", "/metrics", "/docs", "/v1/openapi.json", f"{BOOKS}/stream"):
        assert http_client.head(path).status_code == 200
    assert http_client.head("/nothing").status_code == 404


def test_what_a_client_has_is_not_sent_again(
    http_client: httpx.Client, rankings: RankingsInMemory
) -> None:
    etag = http_client.get(BOOKS).headers["etag"]
    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = http_client.get(BOOKS, headers={"if-none-match": condition})
        assert response.status_code == 304
        assert response.content == b""
        assert response.headers["etag"] == etag
        assert "cache-control" in response.headers
    assert http_client.get(BOOKS, headers={"if-none-match": '"other"'}).status_code == 200
    rankings.publish(HOUR + 1, {"books": {"b1": (1, 1)}})
    assert http_client.get(BOOKS, headers={"if-none-match": etag}).status_code == 200


def test_any_id_can_stand_in_a_path(http_client: httpx.Client, address: str) -> None:
    encoded = quote(ODD_CATEGORY, safe="")
    response = http_client.get(f"/v1/categories/{encoded}/top-products")
    assert response.status_code == 200
    assert response.json()["category_id"] == ODD_CATEGORY
    response = http_client.get("/v1/products/x%2Fy/sales-ranks")
    assert response.json()["product_id"] == "x/y"
    for wrong in (b"%ff", b"%zz", b"%", b"%C3"):
        target = b"/v1/categories/%s/top-products" % wrong
        status, body = raw(address, b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        assert status == 400
        assert json.loads(body)["parameter"] == "category_id"


def test_a_body_over_a_mebibyte_is_refused(http_client: httpx.Client) -> None:
    whole = b'{"query": "{ __typename }", "extensions": {"pad": "%s"}}' % (b"x" * (1024 * 1024))
    headers = {"content-type": "application/json"}
    response = http_client.post("/graphql", content=whole, headers=headers)
    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "TOO_COMPLEX"
    chunked = http_client.post(
        "/graphql",
        content=(whole[n : n + 65536] for n in range(0, len(whole), 65536)),
        headers=headers,
    )
    assert chunked.status_code == 413
    just_fits = whole.replace(b"x" * 100, b"", 1)
    assert http_client.post("/graphql", content=just_fits, headers=headers).status_code == 200


def test_a_long_address_is_refused(http_client: httpx.Client) -> None:
    response = http_client.get(BOOKS, params={"cursor": "x" * 9000})
    assert response.status_code == 414
    assert response.headers["content-type"] == "application/problem+json"


def events(response: httpx.Response) -> Iterator[dict[str, str]]:
    """Yield a stream's events, comments as `comment`."""
    event: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(":")
            event[name or "comment"] = value.strip()
        elif event:
            yield event
            event = {}


def test_a_stream_brings_the_list_at_once_and_on_each_change(
    http_client: httpx.Client, rankings: RankingsInMemory
) -> None:
    with http_client.stream(
        "GET", f"{BOOKS}/stream?limit=2", headers={"last-event-id": "0"}
    ) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        following = events(response)
        assert next(following) == {"retry": "2000"}
        first = next(following)
        assert (first["event"], first["id"]) == ("ranking", "0")
        assert first["data"].encode() == http_client.get(f"{BOOKS}?limit=2").content
        rankings.publish(HOUR + 1, {"books": {"new": (1, 100)}})
        second = next(event for event in following if "comment" not in event)
        assert (second["event"], second["id"]) == ("ranking", "1")
        assert json.loads(second["data"])["items"][0]["product_id"] == "new"
        assert next(following) == {"comment": "keep-alive"}


def test_a_stream_outlives_an_outage(http_client: httpx.Client, rankings: RankingsInMemory) -> None:
    with http_client.stream("GET", f"{BOOKS}/stream?limit=1") as response:
        following = (event for event in events(response) if "event" in event)
        assert next(following)["event"] == "ranking"
        rankings.away = True
        rankings.notify()
        lost = next(following)
        assert lost["event"] == "unavailable"
        assert json.loads(lost["data"])["code"] == "UNAVAILABLE"
        rankings.away = False
        rankings.notify()
        assert next(following)["event"] == "ranking"


def test_a_stream_that_cannot_begin_is_a_problem(
    http_client: httpx.Client, rankings: RankingsInMemory
) -> None:
    unknown = http_client.get("/v1/categories/nope/top-products/stream")
    assert unknown.status_code == 404
    assert unknown.json()["code"] == "NOT_FOUND"
    assert http_client.get(f"{BOOKS}/stream?limit=0").json()["parameter"] == "limit"
    assert http_client.get(f"{BOOKS}/stream?cursor=x").json()["parameter"] == "cursor"
    rankings.away = True
    away = http_client.get(f"{BOOKS}/stream")
    assert away.status_code == 503
    assert "retry-after" in away.headers


def test_a_client_that_leaves_is_forgotten(
    http_client: httpx.Client, rankings: RankingsInMemory
) -> None:
    with http_client.stream("GET", f"{BOOKS}/stream") as response:
        following = events(response)
        next(following)
        assert rankings.watchers == 1
        assert "topsellers_open_streams 1.0" in http_client.get("/metrics").text
    for _ in range(100):
        if "topsellers_open_streams 0.0" in http_client.get("/metrics").text:
            break
        time.sleep(0.02)
    assert rankings.watchers == 0


def test_streams_end_when_the_process_does(
    http_client: httpx.Client, application: Starlette, server_loop: asyncio.AbstractEventLoop
) -> None:
    with http_client.stream("GET", f"{BOOKS}/stream") as response:
        following = events(response)
        assert next(following) == {"retry": "2000"}
        ending = asyncio.run_coroutine_threadsafe(application.state.streams.close(), server_loop)
        ending.result(5)
        assert all("data" in event or "comment" in event for event in following)
    assert http_client.get(f"{BOOKS}/stream").status_code == 503
