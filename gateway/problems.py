"""Errors of the HTTP endpoints as `application/problem+json` (RFC 9457)."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.answers import NOT_STORED
from gateway.errors import RequestRefused
from projections.errors import ProjectionError
from subgraph.error_codes import describe
from subgraph.errors import (
    BAD_USER_INPUT,
    CURSOR_EXPIRED,
    INTERNAL_SERVER_ERROR,
    NOT_FOUND,
    TOO_COMPLEX,
    UNAVAILABLE,
    BadArgument,
    SubgraphError,
)
from write_side.errors import WriteSideError

_LOGGER = logging.getLogger("topsellers.gateway")

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 2
"""How long a client waits before it asks again: a failover of the read model takes some seconds."""
TYPES_PAGE: Final = "/docs"
"""The page whose anchors explain each code."""

STATUS_OF_CODE: Final = {
    BAD_USER_INPUT: HTTPStatus.BAD_REQUEST,
    NOT_FOUND: HTTPStatus.NOT_FOUND,
    CURSOR_EXPIRED: HTTPStatus.GONE,
    TOO_COMPLEX: HTTPStatus.BAD_REQUEST,
    UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    INTERNAL_SERVER_ERROR: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong with a request. `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    parameter: str | None = None
    """The path or query parameter that is wrong, where one is."""


def problem_of(error: Exception) -> Problem:
    """Return the problem that an exception is for a client; nothing internal shows."""
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        code = NOT_FOUND if status == HTTPStatus.NOT_FOUND else BAD_USER_INPUT
        return _problem(status, code, _DETAILS.get(status, status.description))
    if isinstance(error, RequestRefused):
        return _problem(error.status, error.code, str(error))
    code, message = describe(error)
    parameter = error.argument if isinstance(error, BadArgument) else None
    return _problem(STATUS_OF_CODE[code], code, message, parameter)


def problem_response(error: Exception) -> Response:
    """Return the response for an exception."""
    problem = problem_of(error)
    headers = {
        "cache-control": NOT_STORED.decode(),
        "x-content-type-options": "nosniff",
    }
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, HTTPException) and error.headers:
        headers.update(_sorted_allow(error.headers))
    return Response(
        msgspec.json.encode(problem),
        status_code=problem.status,
        headers=headers,
        media_type=PROBLEM_JSON,
    )


async def answer_problem(request: Request, error: Exception) -> Response:
    """Answer an exception that an endpoint raised."""
    log_internal(error, f"{request.method} {request.url.path}")
    return problem_response(error)


def log_internal(error: Exception, what: str) -> None:
    """Log an exception for which clients are told that we did; others are theirs to know."""
    if problem_of(error).code == INTERNAL_SERVER_ERROR:
        _LOGGER.error("a request failed: %s: %s", what, error, exc_info=error)


EXPECTED_ERRORS: Final = (
    HTTPException,
    RequestRefused,
    SubgraphError,
    ProjectionError,
    WriteSideError,
)
"""Exceptions that endpoints raise for clients; any other one passes to the front."""

_DETAILS: Final = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address. The addresses are listed at /docs.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address has no such method; `Allow` names those it has.",
}


def _problem(status: HTTPStatus, code: str, detail: str, parameter: str | None = None) -> Problem:
    text = detail[:1].upper() + detail[1:] if parameter is None else detail
    return Problem(f"{TYPES_PAGE}#{code}", status.phrase, int(status), text, code, parameter)


def _sorted_allow(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.lower(): ", ".join(sorted(value.split(", "))) if name == "Allow" else value
        for name, value in headers.items()
    }
