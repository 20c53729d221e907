"""The roles that run until they are ended: `project`, `up`, `demo`."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.redis_servers import RedisServer
from tests.topsellers.conftest import WITHIN_SECONDS, Program, end, eventually, write_report
from topsellers.listening import free_address


def version(address: str) -> int:
    try:
        answer = httpx.get(f"{address}/health/ready", timeout=5)
        return int(answer.json()["version"]) if answer.status_code == 200 else -2
    except httpx.HTTPError:
        return -2


def role_of(process: psutil.Process) -> str:
    words = process.cmdline()
    place = words.index("topsellers") if "topsellers" in words else -1
    return words[place + 1] if 0 <= place < len(words) - 1 else ""


@pytest.fixture
def up(program: Program) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    program.set(FEED_SETTLE="0")
    port = free_address("127.0.0.1", 0).port
    process = program.start("up", "--port", str(port))
    address = f"http://127.0.0.1:{port}"
    eventually(lambda: version(address) == -1)
    yield process, address
    program.kill_all()
    process.communicate()


def test_up_serves_what_is_dropped_survives_lost_roles_and_leaves_nothing(
    program: Program, up: tuple["subprocess.Popen[str]", str]
) -> None:
    process, address = up
    write_report(program.home / "dropbox", "2026010100", "a,toys,1,10.00")
    eventually(lambda: version(address) == 0)
    for role in ("watch", "project", "serve"):
        victims = [one for one in program.processes() if role_of(one) == role]
        assert len(victims) == 1
        victims[0].kill()
    write_report(program.home / "dropbox", "2026010101", "a,toys,1,10.00")
    eventually(lambda: version(address) == 1)
    code, said = end(process, signal.SIGINT)
    assert code == 130
    lines = said.splitlines()
    assert "Interrupted" in lines[-1]
    log = [json.loads(line) for line in lines if line.startswith("{")]
    assert sum("started again" in line["message"] for line in log) == 3
    assert {line["logger"] for line in log} >= {
        "topsellers.up",
        "topsellers.watch",
        "topsellers.project",
        "topsellers.serve",
    }
    eventually(lambda: not program.processes(), 10)


def test_nothing_outlives_an_up_that_is_killed(
    program: Program, up: tuple["subprocess.Popen[str]", str]
) -> None:
    process, _ = up
    assert {role_of(one) for one in program.processes()} >= {"watch", "project", "serve"}
    process.kill()
    eventually(lambda: not program.processes(), 15)


def test_an_up_whose_roles_cannot_start_ends_and_says_why(program: Program) -> None:
    told = program.run("up", "--port", "0", REDIS_URL="redis://127.0.0.1:1/0")
    assert told.returncode == 2
    assert "TOPSELLERS_REDIS_URL" in told.stderr
    assert told.stderr.splitlines()[-1].startswith("topsellers: ")
    assert not program.processes()


def test_a_projector_fills_a_redis_that_lost_everything(program: Program, folder: Path) -> None:
    server = RedisServer(folder / "lost").start()
    program.set(REDIS_URL=server.url)
    program.run("ingest", str(write_report(folder, "2026010100", "a,toys,1,10.00")))
    projecting = program.start("project")

    def shown() -> int:
        return int(json.loads(program.run("status", "--json").stdout)["pending_reports"])

    try:
        eventually(lambda: shown() == 0)
        server.kill()
        said_first = until_said(projecting, "READ_MODEL_UNAVAILABLE")
        server.restart(keep_data=False)
        eventually(lambda: shown() == 0)
    finally:
        code, said = end(projecting, signal.SIGTERM)
        server.kill()
    assert code == 0
    log = [json.loads(line) for line in (said_first + said).splitlines()]
    warnings = [line for line in log if line["level"] == "warning"]
    assert [line["code"] for line in warnings] == ["READ_MODEL_UNAVAILABLE"]
    assert any("kept again" in line["message"] for line in log)
    shutil.rmtree(server.folder, ignore_errors=True)


def until_said(process: "subprocess.Popen[str]", word: str) -> str:
    """Return what a process says up to the first line with a word."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if word in line:
            return said
    raise AssertionError(f"it ended, and {word} is not in what it said: {said}")


def test_a_demo_is_there_soon_alive_and_gone_without_a_trace(program: Program) -> None:
    temporary = program.home
    temporary.mkdir()
    del program.environment["TOPSELLERS_HOME"]
    program.environment["TMPDIR"] = str(temporary)
    began = time.monotonic()
    process = program.start("demo", "--port", "0")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Live board: http://127.0.0.1:")
    assert time.monotonic() - began < WITHIN_SECONDS
    address = line.split()[-1].rstrip("/")
    assert "<html" in httpx.get(f"{address}/").text
    categories: dict[str, Any] = httpx.get(f"{address}/v1/categories").json()
    category = categories["items"][0]["category_id"]
    top = f"{address}/v1/categories/{category}/top-products"
    first: dict[str, Any] = httpx.get(top).json()
    assert len(first["items"]) == 10
    eventually(lambda: bool(httpx.get(top).json()["as_of"] > first["as_of"]), 20)
    later: dict[str, Any] = httpx.get(top).json()
    assert any(item["previous_rank"] for item in later["items"])
    code, said = end(process, signal.SIGINT)
    assert code == 130
    assert said.splitlines()[-1] == "The demo has ended, and nothing of it is left."
    assert not program.processes()
    assert not list(temporary.iterdir())


def test_a_demo_never_follows_the_settings_of_a_real_store(program: Program) -> None:
    """The home of `program` is set, as people are told to export it, and so are the addresses."""
    own = program.home / "dropbox"
    program.set(FEED_URL=str(own), REDIS_URL="redis://127.0.0.1:1/0", CURRENCY="none")
    program.set(EVENT_STORE_URL=f"sqlite:///{program.home / 'events.db'}")
    process = program.start("demo", "--port", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Live board: ")
    assert end(process, signal.SIGINT)[0] == 130
    assert not program.home.exists()


def test_a_demo_refuses_a_home_of_other_data(program: Program, folder: Path) -> None:
    report = write_report(folder, "2026010100", "a,toys,1,10.00")
    assert program.run("ingest", str(report)).returncode == 0
    before = (program.home / "events.db").read_bytes()
    told = program.run("demo", "--port", "0", "--home", str(program.home))
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert str(program.home) in line
    assert (program.home / "events.db").read_bytes() == before
    assert not (program.home / "demo-feed").exists()


def test_a_demo_in_a_home_of_its_own_goes_on_after_what_is_there(program: Program) -> None:
    program.home.mkdir()
    newest = [newest_hour_of_demo(program, program.home) for _ in range(2)]
    assert newest[1] > newest[0]
    status = program.run("status", "--json", "--home", str(program.home))
    assert json.loads(status.stdout)["missing_hours"] == []


def newest_hour_of_demo(program: Program, home: Path) -> str:
    """Run a demo in a home until it shows its board; returns the stamp of its newest report."""
    process = program.start("demo", "--port", "0", "--home", str(home))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Live board: ")
    code, _ = end(process, signal.SIGTERM)
    assert code == 0
    eventually(lambda: not program.processes(), 10)
    return max(path.name for path in (home / "demo-feed").iterdir())
