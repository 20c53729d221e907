"""The URLs of a Redis: one node, or a cluster by some of its nodes.

`redis://`, `rediss://` and `unix://` as redis-py reads them, and `redis+cluster://` and
`rediss+cluster://` with one or more nodes, `redis+cluster://user:password@host:port,host:port`.
Query options (`?socket_timeout=3`) are redis-py's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from redis.connection import parse_url

from projections.errors import RedisUrlInvalid

SETTING = "TOPSELLERS_REDIS_URL"
SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
DEFAULT_PORT = 6379

# redis-py's own parser has no annotations.
_parse_url: Callable[[str], dict[str, Any]] = parse_url


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """What a URL names. Of a cluster: nodes as (host, port), and redis-py's options."""

    is_cluster: bool
    nodes: tuple[tuple[str, int], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def parse_redis_url(url: str) -> RedisTarget:
    """Take a Redis URL apart. Raises RedisUrlInvalid."""
    scheme, separator, rest = url.partition("://")
    try:
        if not separator or scheme not in SCHEMES:
            raise ValueError("its scheme is none of " + ", ".join(SCHEMES))
        if scheme.endswith("+cluster"):
            return _cluster(scheme.removesuffix("+cluster"), rest)
        _parse_url(url)
    except ValueError as error:
        raise RedisUrlInvalid(
            f"The Redis URL cannot be used: {redact(url)}: {error}. Write {SETTING} as "
            "redis://host:port/0, unix:///path or redis+cluster://host:port,host:port."
        ) from error
    return RedisTarget(is_cluster=False)


def unknown_option(url: str, error: TypeError) -> RedisUrlInvalid:
    """Make the error for a URL whose options redis-py refused with `error`."""
    return RedisUrlInvalid(
        f"The Redis URL has an option that is not known: {redact(url)}: {error}. "
        f"Correct {SETTING} after its question mark."
    )


def redact(url: str) -> str:
    """Replace the passwords in a Redis URL by `***`."""
    url = re.sub(r"^([a-z+]*://)?([^/?#@:]*):(.*)@", r"\1\2:***@", url)
    return re.sub(r"([?&][a-z_]*password=)[^&]*", r"\1***", url)


def _cluster(scheme: str, rest: str) -> RedisTarget:
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    login, at, hosts = rest[:end].rpartition("@")
    options = _parse_url(f"{scheme}://{login}{at}localhost{rest[end:]}")
    for name in ("host", "port", "connection_class"):
        options.pop(name, None)
    path = rest[end:].partition("?")[0].partition("#")[0].strip("/")
    if options.pop("db", 0) != 0 or path not in {"", "0"}:
        raise ValueError("a cluster has no database but 0")
    if scheme == "rediss":
        options["ssl"] = True
    nodes = tuple(_node(host) for host in hosts.split(","))
    return RedisTarget(is_cluster=True, nodes=nodes, options=options)


def _node(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text.strip()}")
    if not parts.hostname:
        raise ValueError("a host is missing")
    return parts.hostname, parts.port or DEFAULT_PORT
