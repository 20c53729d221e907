"""Finished answers: status, headers and bytes, ready to be sent as often as they are true."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.types import Scope, Send

from projections.ranking_lists import ListVersion

Headers = tuple[tuple[bytes, bytes], ...]
Versions = Mapping[int, ListVersion | None]

JSON = b"application/json"
REVALIDATED = b"public, max-age=0, must-revalidate"
NOT_STORED = b"no-store"


class Answer(msgspec.Struct, frozen=True):
    """An answer, with the versions of the partitions that it was made of."""

    route: str
    """The template of the route that made it, for the metrics."""
    status: int
    headers: Headers
    body: bytes
    etag: bytes | None = None
    depends_on: Versions | None = None
    """Null where the answer must not be kept: it is no success, or depends on more."""


def answer(
    route: str,
    body: bytes,
    media_type: bytes,
    *,
    status: int = HTTPStatus.OK,
    etag: bytes | None = None,
    cache_control: bytes = REVALIDATED,
    headers: Headers = (),
    depends_on: Versions | None = None,
) -> Answer:
    """Make an answer; `headers` come on top of type, length, caching and sniffing protection."""
    all_headers = [
        (b"content-type", media_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", cache_control),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    if etag is not None:
        all_headers.append((b"etag", etag))
    return Answer(route, status, tuple(all_headers), body, etag, depends_on)


async def send_answer(given: Answer, scope: Scope, send: Send) -> int:
    """Send an answer, or 304 where the client has it; returns the status sent."""
    status, headers, body = given.status, given.headers, given.body
    if given.etag is not None and has_current(scope, given.etag):
        status, body = HTTPStatus.NOT_MODIFIED, b""
        headers = tuple(
            header for header in headers if header[0] not in (b"content-type", b"content-length")
        )
    elif scope["method"] == "HEAD":
        body = b""
    await send({"type": "http.response.start", "status": int(status), "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
    return int(status)


def has_current(scope: Scope, etag: bytes) -> bool:
    """Return whether a request's `If-None-Match` names this entity tag, compared weakly."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            if value.strip() == b"*":
                return True
            # An entity tag of ours holds no comma, so a list can be cut at each.
            if any(one.strip().removeprefix(b"W/") == etag for one in value.split(b",")):
                return True
    return False
