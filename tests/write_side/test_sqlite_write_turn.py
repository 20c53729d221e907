"""One writer at a time."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from write_side.sqlite_write_turn import WriteTurn

HOLDER = """
import sys
from pathlib import Path
from write_side.sqlite_write_turn import WriteTurn
with WriteTurn(Path(sys.argv[1]), 5).taken():
    sys.stdout.write("taken\\n"); sys.stdout.flush(); sys.stdin.readline()
"""


@contextmanager
def another_process_holds(path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def test_threads_take_turns(tmp_path: Path) -> None:
    turn = WriteTurn(tmp_path / "lock", 10)
    inside = []

    def write(number: int) -> None:
        with turn.taken():
            inside.append(number)
            time.sleep(0.005)
            assert inside[-1] == number

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(20)))
    assert sorted(inside) == list(range(20))


def test_another_process_is_waited_for_and_no_longer_than_told(tmp_path: Path) -> None:
    with another_process_holds(tmp_path / "lock"):
        started = time.monotonic()
        with pytest.raises(TimeoutError), WriteTurn(tmp_path / "lock", 0.2).taken():
            pass
        assert 0.15 < time.monotonic() - started < 5


def test_a_process_that_dies_gives_its_turn_back(tmp_path: Path) -> None:
    with another_process_holds(tmp_path / "lock") as process:
        process.kill()
        with WriteTurn(tmp_path / "lock", 10).taken():
            assert process.wait(10) != 0


def test_a_turn_ends_with_an_error(tmp_path: Path) -> None:
    turn = WriteTurn(tmp_path / "lock", 1)
    with pytest.raises(KeyError), turn.taken():
        raise KeyError
    with turn.taken():
        pass
