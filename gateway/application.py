"""The ASGI application, put together."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from gateway.answer_cache import AnswerCache
from gateway.answers import JSON
from gateway.board_files import BOARD_FOLDER, board_routes
from gateway.docs_page import DOCS_ROUTE, STYLE_ROUTE, docs_page
from gateway.event_streams import EventStreams
from gateway.front import GatewayFront
from gateway.graphql_endpoint import GRAPHQL_ROUTE, GraphQLEndpoint
from gateway.graphql_view import RankingsGraphQL
from gateway.health import (
    LIVE_ROUTE,
    METRICS_ROUTE,
    READY_ROUTE,
    live,
    metrics_endpoint,
    ready_endpoint,
)
from gateway.metrics import GatewayMetrics
from gateway.openapi import OPENAPI_ROUTE, openapi_document
from gateway.problems import EXPECTED_ERRORS, answer_problem
from gateway.rest_rankings import (
    CATEGORIES_ROUTE,
    SALES_RANKS_ROUTE,
    TOP_PRODUCTS_ROUTE,
    RankingsResource,
    RestRankings,
)
from gateway.settings import GatewaySettings
from gateway.static_files import StaticFile
from gateway.stream_endpoint import STREAM_ROUTE, StreamEndpoint
from projections.rankings_query import LiveRankings
from subgraph.cursors import CursorCodec
from subgraph.schema import build_schema


def create_application(
    rankings: LiveRankings,
    settings: GatewaySettings,
    registry: CollectorRegistry | None = None,
    running: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
    board_folder: Path = BOARD_FOLDER,
) -> Starlette:
    """Put the application together, for one process and one event loop.

    `running` is entered in that loop before the first request and left after the last: there the
    caller starts and stops what `rankings` needs. Metrics go to `registry`, to one of its own
    where none is given. A server that stops waits for its open connections, so whoever stops it
    first ends the streams, in the same loop: `application.state.streams.close()`.
    """
    metrics = GatewayMetrics(registry or CollectorRegistry())
    cache = AnswerCache(rankings, metrics, settings.cached_answers, settings.cached_bytes)
    cursors = CursorCodec(settings.secret_keys)
    rest = RestRankings(settings.currency, cursors)
    streams = EventStreams(rankings, rest.rendered_page, metrics)
    graphql = RankingsGraphQL(
        build_schema(settings.introspection),
        rankings,
        settings.currency,
        cursors,
    )
    routes = [
        Route(GRAPHQL_ROUTE, GraphQLEndpoint(graphql, cache, settings.largest_body)),
        *(
            Route(route, RankingsResource(route, rankings, cache, render), methods=["GET"])
            for route, render in (
                (TOP_PRODUCTS_ROUTE, rest.top_products),
                (SALES_RANKS_ROUTE, rest.sales_ranks),
                (CATEGORIES_ROUTE, rest.categories),
            )
        ),
        Route(
            STREAM_ROUTE,
            StreamEndpoint(streams, rest, settings.keep_alive_seconds, settings.most_streams),
            methods=["GET"],
        ),
        *_documents(),
        Route(LIVE_ROUTE, live),
        Route(READY_ROUTE, ready_endpoint(rankings)),
        Route(METRICS_ROUTE, metrics_endpoint(metrics, rankings)),
        *board_routes(board_folder),
    ]

    @asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        del application
        async with running():
            yield
            await streams.close()

    application = Starlette(
        routes=routes,
        middleware=[
            Middleware(
                GatewayFront,
                cache=cache,
                metrics=metrics,
                templates={route.endpoint: route.path for route in routes},
                longest_target=settings.longest_target,
            )
        ],
        exception_handlers=dict.fromkeys(EXPECTED_ERRORS, answer_problem),
        lifespan=lifespan,
    )
    application.router.redirect_slashes = False
    application.state.streams = streams
    return application


def _documents() -> list[Route]:
    document = openapi_document()
    style = Path(__file__).with_name("docs.css").read_bytes()
    return [
        Route(path, StaticFile(path, body, media_type), methods=["GET"])
        for path, body, media_type in (
            (OPENAPI_ROUTE, msgspec.json.encode(document), JSON),
            (DOCS_ROUTE, docs_page(document), b"text/html; charset=utf-8"),
            (STYLE_ROUTE, style, b"text/css; charset=utf-8"),
        )
    ]
