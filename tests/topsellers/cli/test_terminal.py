import io
import sys

import pytest

from topsellers.cli import terminal
from topsellers.cli.terminal import counted, progress, took


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (1.26, "1.3 s"), (125.4, "2 min 05 s")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert took(seconds) == text


def test_counts_have_separators_and_agree_with_their_noun() -> None:
    assert counted(1, "row") == "1 row"
    assert counted(1_390_000, "row") == "1,390,000 rows"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_quick_work_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress("Working") as advance:
        advance(1, 2)
    assert screen.getvalue() == ""


def test_slow_work_shows_a_bar_on_a_terminal_that_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    bar = terminal._LateBar("Working")
    bar.advance(1, 2)
    bar.show()
    bar.close()
    shown = screen.getvalue()
    assert "Working" in shown
    assert "50%" in shown
    assert "\x1b[3" not in shown
    assert shown.endswith("\x1b[2K")


def test_a_pipe_gets_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = io.StringIO()
    monkeypatch.setattr(sys, "stderr", piped)
    monkeypatch.setattr(terminal, "_PATIENCE_SECONDS", 0.0)
    with progress("Working") as advance:
        advance(1, 2)
    assert piped.getvalue() == ""
