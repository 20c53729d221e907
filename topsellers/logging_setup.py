"""How this program logs: lines for people on a terminal, else one JSON object a line, on stderr."""

import logging
import sys
from datetime import UTC, datetime
from typing import Final

import msgspec

from topsellers.settings import LogFormat

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_QUIET: Final = ("_granian", "granian", "asyncio", "httpx")
"""Libraries that tell at `info` what only their developers ask."""


def set_up_logging(level: str, log_format: LogFormat) -> None:
    """Send all logs of this process to stderr, in one format, from a level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else ConsoleLines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])
    for name in _QUIET:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(_LEVELS[level], logging.WARNING) if level != "debug" else logging.DEBUG)


def error_code(record: logging.LogRecord) -> str | None:
    """Return the stable code of what a record tells: its own, or its exception's."""
    code = getattr(record, "code", None)
    if code is None and record.exc_info is not None:
        code = getattr(record.exc_info[1], "code", None)
    return code if isinstance(code, str) else None


class JsonLines(logging.Formatter):
    """One JSON object a line: `timestamp`, `level`, `logger`, `message`, and `code` if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line."""
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, str] = {
            "timestamp": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (code := error_code(record)) is not None:
            line["code"] = code
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class ConsoleLines(logging.Formatter):
    """`08:15:02 watch  message`: the time is local; a level above `info` is named."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's line, and an unexpected exception below it."""
        when = datetime.fromtimestamp(record.created).astimezone()
        part = record.name.rpartition(".")[2].lstrip("_")
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        line = f"{when:%H:%M:%S} {part:<8} {level}{record.getMessage()}"
        if record.exc_info and error_code(record) is None:
            line += "\n" + self.formatException(record.exc_info)
        return line
