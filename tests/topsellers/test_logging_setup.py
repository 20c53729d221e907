import json
import logging
from typing import Any

from topsellers.errors import WrongUse
from topsellers.logging_setup import ConsoleLines, JsonLines


def record(message: str, *arguments: object, **more: Any) -> logging.LogRecord:
    level = more.pop("level", logging.INFO)
    made = logging.LogRecord("topsellers.watch", level, "", 0, message, arguments, None)
    made.created = 1_764_060_302.25
    made.__dict__.update(more)
    return made


def test_a_line_of_json_says_when_how_bad_who_what_and_which_code() -> None:
    line = JsonLines().format(record("Refused: %s", "x\ny", level=logging.ERROR, code="WRONG_USE"))
    assert "\n" not in line
    assert json.loads(line) == {
        "timestamp": "2025-11-25T08:45:02.250Z",
        "level": "error",
        "logger": "topsellers.watch",
        "message": "Refused: x\ny",
        "code": "WRONG_USE",
    }


def test_an_exception_that_is_logged_gives_its_code_and_its_trace() -> None:
    error = WrongUse("so not.")
    line = json.loads(JsonLines().format(record("failed", exc_info=(WrongUse, error, None))))
    assert line["code"] == "WRONG_USE"
    assert "so not." in line["exception"]


def test_people_get_a_short_line_that_names_the_part_and_what_is_bad() -> None:
    line = ConsoleLines().format(record("Watching %s", "/feed"))
    assert line.endswith("watch    Watching /feed")
    assert ConsoleLines().format(record("x", level=logging.WARNING)).endswith("warning: x")


def test_people_see_the_trace_of_what_nobody_expected_only() -> None:
    expected, unexpected = WrongUse("so not."), ValueError("what")
    of_expected = ConsoleLines().format(record("x", exc_info=(WrongUse, expected, None)))
    of_unexpected = ConsoleLines().format(record("x", exc_info=(ValueError, unexpected, None)))
    assert "\n" not in of_expected
    assert "ValueError: what" in of_unexpected
