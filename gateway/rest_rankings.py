"""The REST endpoints of the rankings: what each reads, and how its answer is made and named."""

from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.answer_cache import AnswerCache, AnswerKey
from gateway.answers import JSON, Answer, answer, send_answer
from gateway.rest_bodies import categories_body, sales_ranks_body, top_products_body
from gateway.rest_parameters import (
    limit_parameter,
    metric_parameter,
    path_id,
    query_parameters,
    window_parameter,
)
from projections.ranking_lists import ListVersion, RankingList
from projections.rankings_query import LiveRankings, RankingsView
from subgraph.cursors import CursorCodec
from subgraph.errors import NotFound
from subgraph.ranking_pages import (
    REST_NAMES,
    PageRequest,
    cursor_after,
    has_next_page,
    page_request,
    read_categories,
    read_page,
)

TOP_PRODUCTS_ROUTE = "/v1/categories/{category_id}/top-products"
SALES_RANKS_ROUTE = "/v1/products/{product_id}/sales-ranks"
CATEGORIES_ROUTE = "/v1/categories"
DEFAULT_CATEGORIES = 50

LIST_PARAMETERS = ("window", "metric", "limit")


class Rendered(msgspec.Struct, frozen=True):
    """A body with its entity tag."""

    body: bytes
    etag: bytes


Render = Callable[[RankingsView, Mapping[str, str], bytes], Awaitable[Rendered]]
"""Makes a body from a view, the path's parameters as they stand encoded, and the query."""


class RankingsResource:
    """An endpoint whose answers are kept while they are exact."""

    def __init__(
        self, route: str, rankings: LiveRankings, cache: AnswerCache, render: Render
    ) -> None:
        """Serve what `render` makes of the rankings at `route`."""
        self.route = route
        self._rankings = rankings
        self._cache = cache
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a GET or HEAD request that the cache had no answer for."""
        made = await self._cache.answer(rest_key(scope), lambda: self._made(scope))
        await send_answer(made, scope, send)

    async def _made(self, scope: Scope) -> Answer:
        view = self._rankings.view()
        rendered = await self._render(view, scope["path_params"], scope["query_string"])
        return answer(
            self.route, rendered.body, JSON, etag=rendered.etag, depends_on=dict(view.touched())
        )


class RestRankings:
    """Makes the bodies of the REST endpoints."""

    def __init__(self, currency: str, cursors: CursorCodec) -> None:
        """Take the feed's currency and the cursors' codec."""
        self._currency = currency
        self._cursors = cursors
        self._encoder = msgspec.json.Encoder()

    async def top_products(
        self, view: RankingsView, path: Mapping[str, str], query: bytes
    ) -> Rendered:
        """Make a page of a category's list."""
        given = query_parameters(query, (*LIST_PARAMETERS, "cursor", "as_of"))
        request = page_request(
            self._cursors,
            REST_NAMES,
            self.ranking(path, given),
            limit_parameter(given),
            given.get("cursor"),
            given.get("as_of"),
        )
        return await self.rendered_page(view, request)

    async def rendered_page(self, view: RankingsView, request: PageRequest) -> Rendered:
        """Make the body of a page that was asked for."""
        page = await read_page(view, request)
        following = (
            cursor_after(self._cursors, request, page, len(page.items) - 1)
            if has_next_page(request, page)
            else None
        )
        body = self._encoder.encode(top_products_body(page, self._currency, following))
        return Rendered(body, _list_tag(request, page.at))

    async def sales_ranks(
        self, view: RankingsView, path: Mapping[str, str], query: bytes
    ) -> Rendered:
        """Make a product's ranks; raises `NotFound` for a product that never sold."""
        given = query_parameters(query, ("window", "metric"))
        window, metric = window_parameter(given), metric_parameter(given)
        product_id = path_id("product_id", path["product_id"])
        (ranks,) = await view.product_ranks([product_id], window, metric)
        if not ranks.known:
            raise NotFound(f"no sale of product {product_id!r} was ever recorded. Check its id.")
        body = self._encoder.encode(sales_ranks_body(ranks, self._currency, view.as_of_hour()))
        return Rendered(
            body, _tag("ranks", view.fingerprint(), product_id, window.value, metric.value)
        )

    async def categories(
        self, view: RankingsView, path: Mapping[str, str], query: bytes
    ) -> Rendered:
        """Make a page of the known categories."""
        given = query_parameters(query, ("limit", "cursor"))
        limit = limit_parameter(given, DEFAULT_CATEGORIES)
        cursor = given.get("cursor")
        after = None if cursor is None else self._cursors.category("cursor", cursor)
        page = read_categories(view, after, limit)
        following = self._cursors.of_category(page.items[-1].category_id) if page.has_next else None
        body = self._encoder.encode(categories_body(page.items, page.total_count, following))
        return Rendered(body, _tag("categories", view.fingerprint(), after, limit))

    def ranking(self, path: Mapping[str, str], given: Mapping[str, str]) -> RankingList:
        """Return the list that a request names; raises `BadArgument`."""
        return RankingList(
            path_id("category_id", path["category_id"]),
            window_parameter(given),
            metric_parameter(given),
        )


def rest_key(scope: Scope) -> AnswerKey:
    """Return the key of a GET request's answer: its target, byte for byte."""
    return (b"GET", scope["raw_path"], scope["query_string"])


def _list_tag(request: PageRequest, at: ListVersion) -> bytes:
    ranking = request.ranking
    return _tag(
        "list",
        at.generation,
        at.version,
        ranking.category_id,
        ranking.window.value,
        ranking.metric.value,
        request.offset,
        request.limit,
        request.as_of_hour,
    )


def _tag(*named: str | bytes | int | None) -> bytes:
    """Return a strong entity tag: the body is a function of what is named."""
    digest = blake2b(msgspec.msgpack.encode(named), digest_size=12)
    return b'"' + digest.hexdigest().encode() + b'"'
