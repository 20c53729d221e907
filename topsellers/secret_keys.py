"""The secret keys of an installation, and the keys that are derived from them for each purpose.

Without a setting a key is made once under the home; every command there then has the same.
"""

import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from topsellers.errors import HomeUnusable
from topsellers.settings import Settings, home_unusable

FILE_NAME: Final = "secret-key"
_SHORTEST: Final = 16
_PSEUDONYMS: Final = b"topsellers pseudonyms"


def secret_keys(settings: Settings) -> tuple[bytes, ...]:
    """Return the secret keys, the newest first; makes the home's own where none is set.

    Each purpose derives its own key from them: `pseudonym_key` here, the cursors' in
    `subgraph.cursors`. Raises `HomeUnusable`.
    """
    if settings.secret_keys:
        return tuple(key.encode() for key in settings.secret_keys)
    return (_home_key(settings.home),)


def pseudonym_key(keys: Sequence[bytes]) -> bytes:
    """Return the key that makes customers' pseudonyms: always of the newest secret key."""
    return HKDF(SHA256(), length=32, salt=None, info=_PSEUDONYMS).derive(keys[0])


def _home_key(home: Path) -> bytes:
    path = home / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes().strip()
    except OSError as error:
        raise home_unusable(path, error) from error
    if len(key) < _SHORTEST:
        raise HomeUnusable(
            f"the secret key is damaged: {path}. Restore it from a backup, or remove it: then "
            "cursors expire, and customers get other pseudonyms."
        )
    return key


def _make(path: Path) -> None:
    """Put a new key in place, whole, unless another command was first."""
    handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        # mkstemp's files are their owner's alone, and the name that is linked keeps that.
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_urlsafe(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(unfinished)
    except FileExistsError:
        return
    finally:
        Path(unfinished).unlink()
