"""What an orchestrator asks: whether the process lives, and whether it can serve rankings."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.answers import NOT_STORED
from gateway.metrics import GatewayMetrics
from projections.rankings_query import LiveRankings

LIVE_ROUTE = "/health/live"
READY_ROUTE = "/health/ready"
METRICS_ROUTE = "/metrics"

Endpoint = Callable[[Request], Awaitable[Response]]

_NOT_STORED = {"cache-control": NOT_STORED.decode()}


async def live(request: Request) -> Response:
    """Answer 200 as long as the process can answer at all."""
    del request
    return JSONResponse({"status": "live"}, headers=_NOT_STORED)


def ready_endpoint(rankings: LiveRankings) -> Endpoint:
    """Return the endpoint that answers 200 while all rankings can be read, else 503."""

    async def ready(request: Request) -> Response:
        del request
        # Raises `ReadModelUnavailable` where it can't: the problem is the answer then.
        version = rankings.view().version()
        return JSONResponse({"status": "ready", "version": version}, headers=_NOT_STORED)

    return ready


def metrics_endpoint(metrics: GatewayMetrics, rankings: LiveRankings) -> Endpoint:
    """Return the endpoint that Prometheus reads."""

    async def exposed(request: Request) -> Response:
        del request
        body, media_type = metrics.exposed(rankings)
        return Response(body, media_type=media_type, headers=_NOT_STORED)

    return exposed
