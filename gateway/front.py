"""What stands before the routes: kept answers, bounds, measures, and the last net for errors.

A kept answer is sent from here, before any route is looked for.
"""

import logging
from collections.abc import Mapping
from time import perf_counter
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.answer_cache import AnswerCache
from gateway.answers import send_answer
from gateway.errors import TargetTooLong
from gateway.metrics import GatewayMetrics
from gateway.problems import problem_response
from gateway.rest_rankings import rest_key

_LOGGER = logging.getLogger("topsellers.gateway")
_NO_ROUTE = "none"
_CLIENT_GONE = 499
"""Counted where a client left before any answer: no status was sent."""


class GatewayFront:
    """An ASGI middleware around the routes."""

    def __init__(
        self,
        app: ASGIApp,
        cache: AnswerCache,
        metrics: GatewayMetrics,
        templates: Mapping[object, str],
        longest_target: int,
    ) -> None:
        """Stand before `app`; `templates` names the route of each endpoint for the metrics."""
        self._app = app
        self._cache = cache
        self._metrics = metrics
        self._templates = templates
        self._longest_target = longest_target

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        # Routes are matched on the path as it came, so that an encoded slash stays within its id.
        scope = {**scope, "raw_path": raw_path, "path": raw_path.decode("latin-1")}
        if scope["method"] in ("GET", "HEAD"):
            kept = self._cache.kept(rest_key(scope))
            if kept is not None:
                status = await send_answer(kept, scope, send)
                self._metrics.answered(kept.route, status, perf_counter() - began)
                return
        await self._measured(scope, receive, send, began)

    async def _measured(self, scope: Scope, receive: Receive, send: Send, began: float) -> None:
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if len(scope["raw_path"]) + len(scope["query_string"]) > self._longest_target:
                error = TargetTooLong(f"The address is over {self._longest_target:,} bytes long.")
                await problem_response(error)(scope, receive, noted)
            else:
                await self._app(scope, receive, noted)
        except Exception as error:
            _LOGGER.exception("a request failed: %s %s", scope["method"], scope["path"])
            if status == 0:
                await problem_response(error)(scope, receive, noted)
        finally:
            route = self._templates.get(scope.get("endpoint"), _NO_ROUTE)
            self._metrics.answered(route, status or _CLIENT_GONE, perf_counter() - began)
