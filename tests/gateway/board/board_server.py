"""A shop whose rankings a test writes, served as the gateway serves real ones, with the board."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

BOARD = Path(__file__).parents[3] / "gateway" / "board"

POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " object-src 'none'; require-trusted-types-for 'script'"
)

Totals = dict[str, tuple[int, int]]
"""Units and hundredths of the currency by product."""


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@dataclass
class Shop:
    """Categories with their totals; every window holds the same, but for `empty_windows`."""

    totals: dict[str, Totals] = field(default_factory=dict)
    as_of: datetime = field(default_factory=this_hour)
    version: int = 1
    previous: dict[str, Totals] = field(default_factory=dict)
    empty_windows: set[str] = field(default_factory=set)
    trouble: JSONResponse | None = None
    """What every endpoint answers instead, while it is set."""
    pause: float = 0.0
    """Seconds before any list is answered."""
    muted: bool = False
    """Whether streams fall silent after their first list, as a connection that a proxy forgot."""
    epoch: int = 0
    """A stream ends when it has changed."""
    requests: list[str] = field(default_factory=list)

    def land_hour(self, totals: dict[str, Totals]) -> None:
        """Makes the next hour the newest, with new totals in some categories."""
        self.previous = dict(self.totals)
        self.totals = {**self.totals, **totals}
        self.as_of += timedelta(hours=1)
        self.version += 1

    def cut_streams(self) -> None:
        self.epoch += 1

    def fail(
        self, status: int, detail: str, retry_after: int | None = None, cut: bool = True
    ) -> None:
        """Answers everything with a problem until `recover`; open streams end, or are told."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self.trouble = problem(status, detail, headers)
        if cut:
            self.cut_streams()

    def recover(self) -> None:
        self.trouble = None

    def ranking(self, category: str, window: str, metric: str, limit: int) -> dict[str, Any]:
        items = self.ranked(category, window, metric)
        return {
            "category_id": category,
            "window": window,
            "metric": metric,
            "as_of": instant(self.as_of),
            "version": self.version,
            "total_count": len(items),
            "items": items[:limit],
            "next_cursor": None,
        }

    def ranked(self, category: str, window: str, metric: str) -> list[dict[str, Any]]:
        if window in self.empty_windows:
            return []
        before = {
            product: rank for rank, product, _ in in_order(self.previous.get(category, {}), metric)
        }
        return [
            {
                "rank": rank,
                "position": position,
                "previous_rank": before.get(product),
                "product_id": product,
                "units": totals[0],
                "revenue": money(totals[1]),
            }
            for position, (rank, product, totals) in enumerate(
                in_order(self.totals[category], metric), start=1
            )
        ]


def in_order(totals: Totals, metric: str) -> list[tuple[int, str, tuple[int, int]]]:
    """Dense rank, product and totals, best first."""
    column = 0 if metric == "units" else 1
    rows = sorted(totals.items(), key=lambda row: (-row[1][column], row[0].encode()))
    distinct = sorted({row[1][column] for row in rows}, reverse=True)
    return [(distinct.index(row[1][column]) + 1, *row) for row in rows]


def money(hundredths: int) -> dict[str, str]:
    return {"amount": f"{hundredths / 100:.2f}", "currency": "USD"}


def instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    body = {"type": "about:blank", "status": status, "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def application(holder: "BoardServer") -> Starlette:
    """The board's files, and the endpoints that it reads, over the holder's shop."""

    async def categories(request: Request) -> Response:
        shop = holder.shop
        if shop.trouble:
            return shop.trouble
        names = sorted(shop.totals)
        start = int(request.query_params.get("cursor", "0"))
        end = start + int(request.query_params.get("limit", "50"))
        body = {
            "items": [
                {
                    "category_id": name,
                    "product_count": len(shop.totals[name]),
                    "as_of": instant(shop.as_of),
                }
                for name in names[start:end]
            ],
            "total_count": len(names),
            "next_cursor": str(end) if end < len(names) else None,
        }
        return JSONResponse(body)

    def refusal(request: Request) -> JSONResponse | None:
        if holder.shop.trouble:
            return holder.shop.trouble
        if request.path_params["category_id"] not in holder.shop.totals:
            return problem(404, "No sale was ever reported in this category.")
        return None

    def body(request: Request) -> dict[str, Any]:
        parameters = request.query_params
        return holder.shop.ranking(
            request.path_params["category_id"],
            parameters["window"],
            parameters["metric"],
            int(parameters["limit"]),
        )

    async def top_products(request: Request) -> Response:
        await asyncio.sleep(holder.shop.pause)
        return refusal(request) or JSONResponse(body(request))

    async def stream(request: Request) -> Response:
        await asyncio.sleep(holder.shop.pause)
        shop = holder.shop

        async def events() -> AsyncIterator[str]:
            epoch, version = shop.epoch, -1
            while shop is holder.shop and shop.epoch == epoch:
                if shop.version != version and not (shop.muted and version >= 0):
                    version = shop.version
                    yield f"event: ranking\nid: {version}\ndata: {json.dumps(body(request))}\n\n"
                if shop.trouble:
                    yield f"event: unavailable\ndata: {bytes(shop.trouble.body).decode()}\n\n"
                await asyncio.sleep(0.02)

        return refusal(request) or StreamingResponse(events(), media_type="text/event-stream")

    async def sales_ranks(request: Request) -> Response:
        shop, product = holder.shop, request.path_params["product_id"]
        if shop.trouble:
            return shop.trouble
        window, metric = request.query_params["window"], request.query_params["metric"]
        items = [
            {
                **{
                    key: value
                    for key, value in row.items()
                    if key not in ("position", "product_id")
                },
                "category_id": category,
                "total_count": len(rows),
                "as_of": instant(shop.as_of),
                "version": shop.version,
            }
            for category in sorted(shop.totals)
            for rows in [shop.ranked(category, window, metric)]
            for row in rows
            if row["product_id"] == product
        ]
        if not items:
            return problem(404, "This product was never sold.")
        return JSONResponse({"product_id": product, "as_of": instant(shop.as_of), "items": items})

    async def index(_request: Request) -> Response:
        return FileResponse(BOARD / "index.html")

    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        holder.shop.requests.append(request.url.path)
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return Starlette(
        routes=[
            Route("/", index),
            Mount("/board", StaticFiles(directory=BOARD)),
            Route("/v1/categories", categories),
            Route("/v1/categories/{category_id:path}/top-products/stream", stream),
            Route("/v1/categories/{category_id:path}/top-products", top_products),
            Route("/v1/products/{product_id:path}/sales-ranks", sales_ranks),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=guard)],
    )


class BoardServer:
    """Serves the present `shop` on a free port, from a thread of its own, while it is entered."""

    def __init__(self) -> None:
        self.shop = Shop()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "BoardServer":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="board server")
        self._thread.start()
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self.shop.cut_streams()
        self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._server = Server(
            application(self),
            port=self.port,
            interface=Interfaces.ASGINL,
            log_enabled=False,
            websockets=False,
        )
        await self._server.serve()
