"""What browsers, orchestrators and Prometheus get."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from gateway.application import create_application
from gateway.docs_page import CODES
from gateway.metrics import DEFINITIONS
from gateway.problems import STATUS_OF_CODE
from gateway.settings import GatewaySettings
from tests.gateway.rankings_in_memory import RankingsInMemory

pytestmark = pytest.mark.anyio


@pytest.fixture
def board_folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html><title>board</title>")
    (tmp_path / "board.js").write_text("export {};")
    (tmp_path / "secret.key").write_text("no kind that is served")
    return tmp_path


async def got(
    rankings: RankingsInMemory, board_folder: Path, path: str, **headers: str
) -> httpx.Response:
    application = create_application(
        rankings, GatewaySettings(secret_keys=(b"secret",)), board_folder=board_folder
    )
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.get(path, headers=headers)


async def test_the_board_is_served_with_strict_headers(
    rankings: RankingsInMemory, board_folder: Path
) -> None:
    for path, media_type in (
        ("/", "text/html; charset=utf-8"),
        ("/board/index.html", "text/html; charset=utf-8"),
        ("/board/board.js", "text/javascript; charset=utf-8"),
    ):
        response = await got(rankings, board_folder, path)
        assert response.status_code == 200
        assert response.headers["content-type"] == media_type
        assert response.headers["content-security-policy"].startswith("default-src 'self'")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "max-age=60" in response.headers["cache-control"]
        etag = response.headers["etag"]
        again = await got(rankings, board_folder, path, **{"if-none-match": etag})
        assert again.status_code == 304


async def test_nothing_else_of_the_folder_is_served(
    rankings: RankingsInMemory, board_folder: Path
) -> None:
    for path in (
        "/board/secret.key",
        "/board/nope.js",
        "/board/",
        "/board",
        "/board/%2e%2e/conftest.py",
        "/board/..%2Findex.html",
    ):
        assert (await got(rankings, board_folder, path)).status_code == 404


async def test_the_process_is_live_whatever_happens_and_ready_when_it_can_serve(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    assert (await client.get("/health/live")).status_code == 200
    assert (await client.get("/health/ready")).json() == {"status": "ready", "version": 0}
    rankings.away = True
    assert (await client.get("/health/live")).status_code == 200
    away = await client.get("/health/ready")
    assert away.status_code == 503
    assert away.json()["code"] == "UNAVAILABLE"


async def test_metrics_count_requests_by_their_route(
    client: httpx.AsyncClient, rankings: RankingsInMemory
) -> None:
    for _ in range(3):
        await client.get("/v1/categories/books/top-products")
    await client.get("/v1/categories/nope/top-products")
    await client.get("/nothing/of/the/kind")
    await client.post("/graphql", json={"query": "{ __typename }"})
    text = (await client.get("/metrics")).text
    route = "/v1/categories/{category_id}/top-products"
    for line in (
        f'topsellers_request_seconds_count{{route="{route}",status="200"}} 3.0',
        f'topsellers_request_seconds_count{{route="{route}",status="404"}} 1.0',
        'topsellers_request_seconds_count{route="none",status="404"} 1.0',
        'topsellers_request_seconds_count{route="/graphql",status="200"} 1.0',
        'topsellers_answer_cache_lookups_total{result="hit"} 2.0',
        'topsellers_answer_cache_lookups_total{result="miss"} 3.0',
        "topsellers_answer_cache_answers 1.0",
        "topsellers_rankings_readable 1.0",
        "topsellers_rankings_version 0.0",
    ):
        assert line in text
    rankings.away = True
    assert "topsellers_rankings_readable 0.0" in (await client.get("/metrics")).text


async def test_every_metric_is_declared_once_and_exposed(rankings: RankingsInMemory) -> None:
    registry = CollectorRegistry()
    create_application(rankings, GatewaySettings(secret_keys=(b"secret",)), registry)
    exposed = {(family.name, family.documentation) for family in registry.collect()}
    declared = {(one.name.removesuffix("_total"), one.tells) for one in DEFINITIONS}
    assert exposed == declared


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in references(value)]
    if isinstance(node, list):
        return [found for value in node for found in references(value)]
    return []


async def test_the_openapi_document_describes_what_is_served(client: httpx.AsyncClient) -> None:
    document = (await client.get("/v1/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    body = (await client.get("/v1/categories/books/top-products")).json()
    assert list(schemas["TopProducts"]["properties"]) == list(body)
    for path, operations in document["paths"].items():
        names = [one["name"] for one in operations["get"]["parameters"] if one["in"] == "query"]
        target = path.format(category_id="books", product_id="b000")
        refused = await client.get(f"{target}?nope=1")
        assert refused.status_code == 400
        assert refused.json()["detail"].endswith(", ".join(sorted(names)))


async def test_the_documents_are_one_page_that_needs_no_other_host(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert "//" not in page.text.replace("://", "//") or "http" not in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert (await client.get("/docs/docs.css")).headers["content-type"].startswith("text/css")
    for code in STATUS_OF_CODE:
        assert f'id="{code}"' in page.text
    assert CODES.keys() == STATUS_OF_CODE.keys()
    assert "/v1/categories/{category_id}/top-products" in page.text
    assert json.dumps("sales-ranks")[1:-1] in page.text
