"""`/graphql`: operations over HTTP, by the GraphQL-over-HTTP draft, answered from finished bytes.

A POST is known by its exact body, so that a repeated one costs no parsing.
"""

import logging
from http import HTTPStatus

from cross_web import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from strawberry.schema.exceptions import InvalidOperationTypeError

from gateway.answer_cache import AnswerCache
from gateway.answers import NOT_STORED, Answer, Headers, Versions, answer, send_answer
from gateway.errors import BodyTypeUnsupported, RequestRefused
from gateway.graphql_view import (
    AcceptedType,
    Outcome,
    RankingsGraphQL,
    accepted_type,
    refusal,
)
from gateway.request_bodies import read_body, replayed
from subgraph.error_codes import describe
from subgraph.errors import BAD_USER_INPUT

GRAPHQL_ROUTE = "/graphql"

_LOGGER = logging.getLogger("topsellers.gateway")
_METHODS = b"GET, POST"
_VARIES: Headers = ((b"vary", b"accept"),)


class GraphQLEndpoint:
    """Serves operations by POST, and queries by GET."""

    def __init__(self, view: RankingsGraphQL, cache: AnswerCache, largest_body: int) -> None:
        """Execute by `view`, with bodies of up to `largest_body` bytes."""
        self._view = view
        self._cache = cache
        self._largest_body = largest_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        accepted = accepted_type(_header(scope, b"accept"))
        try:
            made = await self._answered(scope, receive, accepted)
        except RequestRefused as error:
            made = _refused(accepted, error.status, str(error), error.code)
        await send_answer(made, scope, send)

    async def _answered(self, scope: Scope, receive: Receive, accepted: AcceptedType) -> Answer:
        method = scope["method"]
        if method == "GET":
            return await self._executed(scope, b"", accepted)
        if method != "POST":
            return _refused(
                accepted,
                HTTPStatus.METHOD_NOT_ALLOWED,
                "GraphQL is served by POST, and by GET for queries.",
                headers=((b"allow", _METHODS),),
            )
        media_type = _header(scope, b"content-type").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise BodyTypeUnsupported("Send the operation as application/json.")
        body = await read_body(scope, receive, self._largest_body)
        key = (b"POST", accepted.value.encode(), body)
        kept = self._cache.kept(key)
        if kept is not None:
            return kept
        return await self._cache.answer(key, lambda: self._executed(scope, body, accepted))

    async def _executed(self, scope: Scope, body: bytes, accepted: AcceptedType) -> Answer:
        request = Request(scope, replayed(body))
        outcome = Outcome(accepted)
        # A request's own state: the server's is shared by all requests of the process.
        scope["state"] = {**scope.get("state", {}), "outcome": outcome}
        try:
            response = await self._view.run(request)
        except HTTPException as error:
            return _refused_by_view(accepted, error)
        except Exception as error:
            _LOGGER.exception("a GraphQL request failed")
            code, message = describe(error)
            return _refused(accepted, HTTPStatus.INTERNAL_SERVER_ERROR, message, code)
        headers = tuple(header for header in response.raw_headers if header[0] == b"retry-after")
        media_type = response.headers.get("content-type", accepted.media_type(refused=False))
        return answer(
            GRAPHQL_ROUTE,
            bytes(response.body),
            media_type.encode(),
            status=response.status_code,
            cache_control=NOT_STORED,
            headers=(*_VARIES, *headers),
            depends_on=_depends_on(outcome),
        )


def _depends_on(outcome: Outcome) -> Versions | None:
    """Return the versions that an answer is of; null where it must not be kept."""
    context = outcome.context
    if not outcome.complete or context is None or context.reads_event_store:
        return None
    return context.touched()


def _refused(
    accepted: AcceptedType,
    status: HTTPStatus,
    message: str,
    code: str = BAD_USER_INPUT,
    headers: Headers = (),
) -> Answer:
    return answer(
        GRAPHQL_ROUTE,
        refusal(message, code),
        accepted.media_type(refused=True).encode(),
        status=status,
        cache_control=NOT_STORED,
        headers=(*_VARIES, *headers),
    )


def _refused_by_view(accepted: AcceptedType, error: HTTPException) -> Answer:
    if isinstance(error.__cause__, InvalidOperationTypeError):
        return _refused(
            accepted,
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{error.reason}.",
            headers=((b"allow", b"POST"),),
        )
    return _refused(accepted, HTTPStatus(error.status_code), error.reason)


def _header(scope: Scope, name: bytes) -> str:
    return b",".join(value for key, value in scope["headers"] if key == name).decode("latin-1")
