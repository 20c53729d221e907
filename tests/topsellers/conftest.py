"""Running the program as a person does, and seeing what it leaves behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

WITHIN_SECONDS = 30.0
_MARK = "TEST_RUN"


class Program:
    """The console script with a home of its own; every process that it starts is known.

    `script` is another installation's than this environment's.
    """

    def __init__(self, home: Path, script: Path | None = None, **settings: str) -> None:
        self.home = home
        self._script = script or installed_script()
        self._mark = uuid.uuid4().hex
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TOPSELLERS_", "NO_COLOR"))
        }
        self.environment = {**inherited, "TOPSELLERS_HOME": str(home), _MARK: self._mark}
        self.set(**settings)

    def set(self, **settings: str) -> None:
        for name, value in settings.items():
            self.environment[f"TOPSELLERS_{name}"] = value

    def run(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        environment = self.environment | {
            f"TOPSELLERS_{name}": value for name, value in settings.items()
        }
        return subprocess.run(
            [str(self._script), *arguments],
            env=environment,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(self._script), *arguments],
            env=self.environment,
            cwd=self.home.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self) -> list[psutil.Process]:
        """All that live of what this program started, whoever their parents are now."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.environ().get(_MARK) == self._mark
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
        return found

    def kill_all(self) -> None:
        while processes := self.processes():
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            time.sleep(0.02)


def installed_script() -> Path:
    """The console script of the environment that runs the tests."""
    return Path(sys.executable).with_name("topsellers")


def eventually(is_so: Callable[[], bool], seconds: float = WITHIN_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> tuple[int, str]:
    """Send a signal; returns the exit code and all that was said."""
    process.send_signal(number)
    said, _ = process.communicate(timeout=WITHIN_SECONDS)
    return process.returncode, said


def write_report(folder: Path, stamp: str, *rows: str) -> Path:
    """Write a report of rows `product,category,quantity,price` and let it look old."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["timestamp,product_id,category_id,customer_id,qty,total_price"]
    for row in rows:
        product, category, quantity, price = row.split(",")
        lines.append(f"1764000000,{product},{category},c1,{quantity},{price}")
    path = folder / f"SalesReport-{stamp}.csv"
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short path for a module's homes."""
    path = Path(tempfile.mkdtemp(prefix="topsellers-cli-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def program(folder: Path) -> Iterator[Program]:
    """A program with a fresh home."""
    home = folder / uuid.uuid4().hex[:8]
    program = Program(home, LOG_FORMAT="json")
    yield program
    program.kill_all()
    shutil.rmtree(home, ignore_errors=True)
