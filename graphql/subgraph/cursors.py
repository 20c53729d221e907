"""Signed cursors: where a page ended, and in which version, so that the next page fits to it.

A cursor is bound to its list and kind by what is signed, not by what it carries; used with another
list it is refused just as one that was tampered with. It is no secret, only unforgeable: without
the signature anyone could make the servers look for any version at any depth.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from projections.ranking_lists import ListVersion, RankingList
from subgraph.errors import BadArgument

_SIGNATURE_BYTES: Final = 16
_LONGEST: Final = 400
_REFUSED: Final = "not a cursor of this list; use one exactly as the page before gave it"


class ListPosition(msgspec.Struct, frozen=True, array_like=True):
    """A place in one version of a list."""

    at: ListVersion
    offset: int
    """Rows of the list before the next page."""


class CursorCodec:
    """Writes and reads cursors with keys derived from the secret keys; the first one signs."""

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        """Take the secret keys, the newest first; any of them verifies while they are rotated."""
        if not secret_keys:
            raise ValueError("cursors need a secret key. Give at least one.")
        self._keys = [_derived(key) for key in secret_keys]

    def of_position(
        self, ranking: RankingList, position: ListPosition, as_of_hour: int | None = None
    ) -> str:
        """Write a position in a list; `as_of_hour` is the hour asked for in a list of the past."""
        payload = msgspec.msgpack.encode(
            [position.at.generation, position.at.version, position.offset]
        )
        return self._sealed(_list_scope(ranking, as_of_hour), payload)

    def position(
        self, argument: str, text: str, ranking: RankingList, as_of_hour: int | None = None
    ) -> ListPosition:
        """Read a position in this list; raises `BadArgument` for any other cursor."""
        payload = self._opened(argument, text, _list_scope(ranking, as_of_hour))
        try:
            generation, version, offset = msgspec.msgpack.decode(payload, type=tuple[str, int, int])
        except msgspec.MsgspecError:
            raise BadArgument(argument, _REFUSED) from None
        return ListPosition(ListVersion(generation, version), offset)

    def of_category(self, category_id: str) -> str:
        """Write the place after a category in the list of categories."""
        return self._sealed(_CATEGORIES_SCOPE, category_id.encode())

    def category(self, argument: str, text: str) -> str:
        """Read the category after which a page begins; raises `BadArgument`."""
        try:
            return self._opened(argument, text, _CATEGORIES_SCOPE).decode()
        except UnicodeDecodeError:
            raise BadArgument(argument, _REFUSED) from None

    def _sealed(self, scope: bytes, payload: bytes) -> str:
        return _text_of(_signature(self._keys[0], scope, payload) + payload)

    def _opened(self, argument: str, text: str, scope: bytes) -> bytes:
        token = _token_of(text)
        signature, payload = token[:_SIGNATURE_BYTES], token[_SIGNATURE_BYTES:]
        for key in self._keys:
            if hmac.compare_digest(signature, _signature(key, scope, payload)):
                return payload
        raise BadArgument(argument, _REFUSED)


_CATEGORIES_SCOPE: Final = msgspec.msgpack.encode(["categories"])


def _list_scope(ranking: RankingList, as_of_hour: int | None) -> bytes:
    kind = "list" if as_of_hour is None else "list as of"
    return msgspec.msgpack.encode(
        [kind, ranking.category_id, ranking.window.value, ranking.metric.value, as_of_hour]
    )


def _derived(secret_key: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=b"topsellers cursors").derive(secret_key)


def _signature(key: bytes, scope: bytes, payload: bytes) -> bytes:
    # The scope's length keeps scope and payload apart: no other pair signs the same bytes.
    message = len(scope).to_bytes(4, "big") + scope + payload
    return hmac.digest(key, message, "sha256")[:_SIGNATURE_BYTES]


def _text_of(token: bytes) -> str:
    return urlsafe_b64encode(token).rstrip(b"=").decode()


def _token_of(text: str) -> bytes:
    """Return a cursor's bytes, empty for a text that no cursor is written as."""
    if len(text) > _LONGEST or not text.isascii():
        return b""
    try:
        token = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
    # Base64 readers skip foreign characters and spare bits; only the one canonical text counts.
    return token if _text_of(token) == text else b""
