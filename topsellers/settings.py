"""The program's settings: read once from the environment, checked before anything starts.

An option of a command, `--feed-url` say, is `TOPSELLERS_FEED_URL` for that run.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from topsellers.errors import HomeUnusable, SettingInvalid

PREFIX: Final = "TOPSELLERS_"
EMBEDDED_REDIS: Final = "embedded://"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

LogFormat = Literal["console", "json"]

_SHORTEST_SECRET: Final = 16
"""Characters: what signs cursors and makes pseudonyms must not be guessed."""
_MOST_DAYS: Final = 36_500
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_SECONDS: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?", re.ASCII)
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}

_Value = TypeVar("_Value")


WAITING: Final = (
    "JWT_SECRET",
    "JWKS_URL",
    "TRUSTED_PROXIES",
    "RATE_LIMIT",
    "TRUSTED_DOCUMENTS",
)
"""Settings that protect a gateway, and come to life with identity: nobody may rely on them yet."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How this program runs. `read_settings` makes it."""

    home: Path
    """Where the embedded parts keep their data; absolute."""
    feed_url: str
    event_store_url: str
    redis_url: str
    """`EMBEDDED_REDIS`, or what `projections.redis_connection` opens."""
    feed_settle: float
    """Seconds for which a file stands still until it is complete."""
    feed_marker: str | None
    """What stands beside a complete file instead: its name and this."""
    currency: str
    secret_keys: tuple[str, ...]
    """As they were given, the newest first; none where the home's own key serves."""
    quarantine_days: int
    log_level: str
    log_format: LogFormat
    introspection: bool


def read_settings(environment: Mapping[str, str], *, on_terminal: bool = False) -> Settings:
    """Return the settings of an environment; raises `SettingInvalid`, which names the wrong one.

    A variable that is empty counts as not set. `on_terminal` chooses the format of the log where
    none is set.
    """
    read = _Reader(environment)
    home = Path(os.path.abspath(read.text("HOME", ".topsellers")))  # noqa: PTH100  (keeps links)
    return Settings(
        home=home,
        feed_url=read.text("FEED_URL", str(home / "dropbox")),
        event_store_url=read.text("EVENT_STORE_URL", f"sqlite:///{home / 'events.db'}"),
        redis_url=read.checked("REDIS_URL", EMBEDDED_REDIS, _redis_url),
        feed_settle=read.checked("FEED_SETTLE", "2", _seconds),
        feed_marker=read.checked("FEED_MARKER", "", _marker) or None,
        currency=read.checked("CURRENCY", "USD", _currency),
        secret_keys=read.checked("SECRET_KEY", "", _secret_keys),
        quarantine_days=read.checked("QUARANTINE_DAYS", "30", _days),
        log_level=read.checked("LOG_LEVEL", "info", _log_level),
        log_format=read.checked("LOG_FORMAT", "console" if on_terminal else "json", _log_format),
        introspection=read.checked("INTROSPECTION", "true", _boolean),
    )


def settings_without_effect(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that are set and that this release does not heed yet."""
    return [PREFIX + name for name in WAITING if environment.get(PREFIX + name, "").strip()]


def prepare_home(home: Path) -> None:
    """Make the home folder where it is missing; raises `HomeUnusable` where it can't be used."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        # `access` says yes to root on read-only file systems too, but for the system's refusal.
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(None, "it may not be written to")
    except OSError as error:
        raise home_unusable(home, error) from error


def home_unusable(path: Path, error: OSError) -> HomeUnusable:
    """Return the error for a home, or a file in it, that failed with `error`."""
    return HomeUnusable(
        f"the home folder cannot be used: {path} ({error.strerror or error}). "
        "Make it writable, or set TOPSELLERS_HOME to a folder that is."
    )


class _Reader:
    """Reads variables, and says which one is wrong."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str, default: str) -> str:
        return self._environment.get(PREFIX + name, "").strip() or default

    def checked(self, name: str, default: str, check: Callable[[str], _Value]) -> _Value:
        try:
            return check(self.text(name, default))
        except ValueError as error:
            raise SettingInvalid(f"{PREFIX}{name} is wrong: {error}.") from None


def _redis_url(text: str) -> str:
    schemes = ("embedded", "redis", "rediss", "unix", "redis+cluster", "rediss+cluster")
    if text.partition("://")[0] not in schemes or "://" not in text:
        # Never the whole of it: it may hold a password.
        raise ValueError(f"write {EMBEDDED_REDIS}, redis://host:port or redis+cluster://host:port")
    return text


def _seconds(text: str) -> float:
    if not _SECONDS.fullmatch(text):
        raise ValueError(f"{text!r} is no number of seconds. Write one like 2 or 0.5")
    return float(text)


def _marker(text: str) -> str:
    if "/" in text:
        raise ValueError(f"{text!r} is no ending of a file name. Write one like .done")
    return text


def _currency(text: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise ValueError(f"{text!r} is no currency code. Write three letters like USD")
    return text


def _secret_keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(",")) if text else ()
    if any(len(key) < _SHORTEST_SECRET for key in keys):
        raise ValueError(f"a key has {_SHORTEST_SECRET} characters at least. Write longer ones")
    return keys


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _MOST_DAYS):
        raise ValueError(f"{text!r} is no number of days from 1 to {_MOST_DAYS}. Write one like 30")
    return int(text)


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"{text!r} is none of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _log_format(text: str) -> LogFormat:
    if text == "console":
        return "console"
    if text == "json":
        return "json"
    raise ValueError(f"{text!r} is neither console nor json")


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError(f"{text!r} is neither true nor false")
    return _BOOLEANS[text.lower()]
