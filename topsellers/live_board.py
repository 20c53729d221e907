"""Whether a gateway on this machine serves, and has something to show."""

import http.client
from urllib.parse import urlsplit

import msgspec

from topsellers.listening import Address

_SECONDS = 2.0


class _Categories(msgspec.Struct):
    total_count: int


def is_serving(address: Address) -> bool:
    """Return whether rankings can be read there now."""
    return _get(address, "/health/ready") is not None


def has_rankings(address: Address) -> bool:
    """Return whether there is a list to look at."""
    body = _get(address, "/v1/categories?limit=1")
    if body is None:
        return False
    try:
        return msgspec.json.decode(body, type=_Categories).total_count > 0
    except msgspec.DecodeError:
        return False


def _get(address: Address, target: str) -> bytes | None:
    parts = urlsplit(address.url)
    connection = http.client.HTTPConnection(str(parts.hostname), address.port, timeout=_SECONDS)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == 200 else None
