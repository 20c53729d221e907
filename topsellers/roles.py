"""The roles of one machine as child processes: started, started again when they die, and ended.

A child is a command of this program. It ends by itself when this process is gone.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from topsellers.errors import RoleFailed

POLL_SECONDS: Final = 0.2
END_SECONDS: Final = 20.0
"""How long a role may take to end before it is killed."""
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 15.0
STEADY_SECONDS: Final = 30.0
"""A role that lived for so long was well: its next start waits no longer than the first."""

_LOGGER = logging.getLogger("topsellers.up")


@dataclass
class _Child:
    """One role, and how its starts went."""

    arguments: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    starts: int = 0
    pause: float = FIRST_PAUSE_SECONDS
    start_at: float = 0.0

    @property
    def name(self) -> str:
        return self.arguments[0]


class Roles:
    """The children. `look` is to be called every `POLL_SECONDS` or so."""

    def __init__(self, commands: Sequence[tuple[str, ...]], environment: Mapping[str, str]) -> None:
        """Take each role's command and options, and the environment of all."""
        self._environment = dict(environment)
        self._children = [_Child(command) for command in commands]

    def start(self) -> None:
        """Start all roles."""
        for child in self._children:
            self._start(child)

    def look(self) -> None:
        """Start the roles again that have ended.

        Raises `RoleFailed` where one ended at its first start: what it needs is not there, and it
        has said so itself.
        """
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.start_at:
                    self._start(child)
                continue
            code = child.process.poll()
            if code is None:
                continue
            child.process = None
            lived = now - child.started_at
            if child.starts == 1 and lived < STEADY_SECONDS and code > 0:
                raise RoleFailed(
                    f"{child.name} ended with exit code {code} at its start, so all else was "
                    "ended too. What it said stands above."
                )
            if lived >= STEADY_SECONDS:
                child.pause = FIRST_PAUSE_SECONDS
            child.start_at = now + child.pause
            _LOGGER.warning(
                "%s ended with exit code %d; it is started again in %.1f s",
                child.name,
                code,
                child.pause,
                extra={"code": RoleFailed.code},
            )
            child.pause = min(2 * child.pause, LONGEST_PAUSE_SECONDS)

    def end(self) -> None:
        """End all roles, and wait until they are gone."""
        living = [child.process for child in self._children if child.process is not None]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + END_SECONDS
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in self._children:
            child.process = None

    def _start(self, child: _Child) -> None:
        # `-P`: a folder named like one of our packages where the user stands is not ours. A
        # session of its own: Ctrl-C reaches this process alone, which ends the others in order.
        command = [sys.executable, "-P", "-m", "topsellers", *child.arguments]
        child.process = subprocess.Popen(  # noqa: S603
            [*command, "--parent", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
        )
        child.started_at = time.monotonic()
        child.starts += 1


@contextmanager
def running_roles(
    commands: Sequence[tuple[str, ...]], environment: Mapping[str, str]
) -> Iterator[Roles]:
    """Start roles, and end them whatever happens."""
    roles = Roles(commands, environment)
    try:
        roles.start()
        yield roles
    finally:
        with undisturbed():
            roles.end()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Hold signals off: impatience must not leave processes behind."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
