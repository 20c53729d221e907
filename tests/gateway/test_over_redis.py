"""The application over the real read model: a worker folds reports, clients read them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.application import create_application
from gateway.settings import GatewaySettings
from projections.redis_rankings import RedisRankings
from projections.worker import ReadModel, project
from tests.oracle.operations import Operation
from tests.projections.read_models import read_model
from tests.projections.recorded import FIRST_HOUR, record, report
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import PARTITIONS
from write_side.report_history import ReportHistory

pytestmark = pytest.mark.anyio

TOYS = "/v1/categories/toys/top-products"
FIRST = [("toys", f"t{n:03}", 200 - n, 100 * n) for n in range(120)] + [("books", "t001", 3, 333)]
SECOND = [("toys", "t119", 500, 50_000), ("games", "g1", 1, 1)]


class Shop:
    """A feed, a worker and a client of the gateway."""

    def __init__(self, model: ReadModel, rankings: RedisRankings, client: httpx.AsyncClient):
        self.model = model
        self.rankings = rankings
        self.client = client
        self._history = ReportHistory()

    async def ingest(self, hour: int, rows: list[tuple[str, str, int, int]]) -> None:
        """Take a report, fold it, and let the gateway look."""
        record(self.model.store, Operation("ingest", hour, report(rows)))
        await asyncio.to_thread(project, self.model, self._history)
        await self.rankings.heads.refresh(range(PARTITIONS))

    async def get(self, path: str, **parameters: Any) -> Any:
        response = await self.client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def ask(self, query: str) -> Any:
        response = await self.client.post("/graphql", json={"query": query})
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def open_shop(redis_url: str, board_folder: Path) -> AsyncIterator[Shop]:
    with read_model(MemoryEventStore(), redis_url) as model:
        async with RedisRankings(redis_url, model.store, model.store_id) as rankings:
            settings = GatewaySettings(secret_keys=(b"secret",))
            application = create_application(rankings, settings, board_folder=board_folder)
            transport = httpx.ASGITransport(application)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                yield Shop(model, rankings, client)


@pytest.fixture
async def shop(redis_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(redis_url, tmp_path) as shop:
        yield shop


async def test_before_the_first_report_nothing_is_known(shop: Shop) -> None:
    assert (await shop.client.get(TOYS)).status_code == 404
    assert (await shop.client.get("/v1/products/t001/sales-ranks")).status_code == 404
    empty = {"items": [], "total_count": 0, "next_cursor": None}
    assert await shop.get("/v1/categories") == empty
    assert (await shop.client.get("/health/ready")).status_code == 200


async def test_each_report_shows_in_lists_ranks_and_history(shop: Shop) -> None:
    await shop.ingest(FIRST_HOUR, FIRST)
    first = await shop.get(TOYS, limit=100)
    assert (first["version"], first["total_count"], len(first["items"])) == (0, 120, 100)
    rest = await shop.get(TOYS, limit=100, cursor=first["next_cursor"])
    await shop.ingest(FIRST_HOUR + 1, SECOND)
    newest = await shop.get(TOYS, limit=1)
    assert newest["version"] == 1
    assert newest["items"] == [
        {
            "rank": 1,
            "position": 1,
            "previous_rank": None,
            "product_id": "t119",
            "units": 581,
            "revenue": {"amount": "619.00", "currency": "USD"},
        }
    ]
    # What began with the first version goes on in it.
    again = await shop.get(TOYS, limit=100, cursor=first["next_cursor"])
    assert again == rest
    assert [item["product_id"] for item in rest["items"]] == [f"t{n:03}" for n in range(100, 120)]
    past = await shop.get(TOYS, limit=100, as_of=first["as_of"])
    assert past["version"] == 0
    assert past["items"] == first["items"]
    assert past["next_cursor"] is None
    ranks = await shop.get("/v1/products/t001/sales-ranks")
    assert [(item["category_id"], item["rank"]) for item in ranks["items"]] == [
        ("books", 1),
        ("toys", 3),
    ]
    answer = await shop.ask(
        '{ rankHistory(productId: "t000", categoryId: "toys",'
        f' from: "{first["as_of"]}", to: "{newest["as_of"]}") {{ asOf rank }}'
        " rankingStatus { asOf pendingReports } rankedCategories { nodes { id } } }"
    )
    assert answer["data"] == {
        "rankHistory": [
            {"asOf": first["as_of"], "rank": 1},
            {"asOf": newest["as_of"], "rank": 2},
        ],
        "rankingStatus": {"asOf": newest["as_of"], "pendingReports": 0},
        "rankedCategories": {"nodes": [{"id": "books"}, {"id": "games"}, {"id": "toys"}]},
    }


async def test_kept_answers_follow_the_read_model(shop: Shop) -> None:
    await shop.ingest(FIRST_HOUR, FIRST)
    query = (
        '{ topProducts(categoryId: "toys", first: 1) { version'
        " nodes { product { id salesRanks { rank } } } } }"
    )
    for _ in range(2):
        assert (await shop.ask(query))["data"]["topProducts"]["version"] == 0
    known = await shop.client.get("/v1/categories/games/top-products")
    assert known.status_code == 404
    await shop.ingest(FIRST_HOUR + 1, SECOND)
    assert (await shop.ask(query))["data"]["topProducts"]["version"] == 1
    assert (await shop.get("/v1/categories/games/top-products"))["total_count"] == 1
