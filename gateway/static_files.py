"""Files that a browser shows: read once, served with entity tags and strict security headers."""

from hashlib import blake2b
from pathlib import Path
from typing import Final

from starlette.types import Receive, Scope, Send

from gateway.answers import Answer, Headers, answer, send_answer

SECURITY_HEADERS: Final[Headers] = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
        b" object-src 'none'",
    ),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
BRIEFLY_CACHED: Final = b"public, max-age=60, must-revalidate"

_MEDIA_TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".ico": b"image/x-icon",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".md": b"text/markdown; charset=utf-8",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".webmanifest": b"application/manifest+json",
    ".woff2": b"font/woff2",
}


class StaticFile:
    """An endpoint that serves bytes that stay as they are."""

    def __init__(
        self, route: str, body: bytes, media_type: bytes, cache_control: bytes = BRIEFLY_CACHED
    ) -> None:
        """Serve `body` as `media_type`."""
        self.answer: Answer = answer(
            route,
            body,
            media_type,
            etag=b'"' + blake2b(body, digest_size=12).hexdigest().encode() + b'"',
            cache_control=cache_control,
            headers=SECURITY_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a GET or HEAD request."""
        await send_answer(self.answer, scope, send)


def static_files(route: str, folder: Path) -> dict[str, StaticFile]:
    """Return the servable files of a folder by their paths in it, with `/` between names.

    A file whose kind has no media type here is left out, so that nothing is served by accident.
    """
    return {
        path.relative_to(folder).as_posix(): StaticFile(
            route, path.read_bytes(), _MEDIA_TYPES[path.suffix]
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _MEDIA_TYPES
    }
