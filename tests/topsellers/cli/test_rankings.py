"""The read model by commands and over HTTP, of one shop: three hours, two of them with reports."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.topsellers.conftest import Program, end, eventually, write_report
from topsellers.listening import free_address

HOURS = ("2026010100", "2026010102")


@contextmanager
def filled_shop(home: Path) -> Iterator[Program]:
    shop = Program(home, LOG_FORMAT="json", CURRENCY="EUR")
    feed = shop.home / "dropbox"
    write_report(feed, HOURS[0], "a/1,toys,1,10.00", "b,toys,2,3.50", "b,books,1,1000.00")
    write_report(feed, HOURS[1], "a/1,toys,5,60.00", "c,toys,0,1.00")
    assert shop.run("ingest").returncode == 0
    done = shop.run("project", "--once")
    assert done.returncode == 0
    assert done.stdout.startswith("Version 1 is shown, 64 partitions changed")
    try:
        yield shop
    finally:
        shop.kill_all()
        shutil.rmtree(shop.home, ignore_errors=True)


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[Program]:
    """The shop that tests share; none may change it."""
    with filled_shop(folder / "shop") as shop:
        yield shop


@pytest.fixture
def own_shop(folder: Path) -> Iterator[Program]:
    """The same shop for one test, which may change it."""
    with filled_shop(folder / "own") as shop:
        yield shop


@pytest.fixture(scope="module")
def served(shop: Program) -> Iterator[str]:
    port = free_address("127.0.0.1", 0).port
    process = shop.start("serve", "--port", str(port), "--workers", "2")
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answers(address))
        yield address
    finally:
        process.kill()
        process.communicate()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_second_projection_has_nothing_to_do(shop: Program) -> None:
    assert shop.run("project", "--once").stdout == "Version 1 is shown already\n"


def test_status_has_stable_keys(shop: Program) -> None:
    assert json.loads(shop.run("status", "--json").stdout) == {
        "as_of": "2026-01-01T03:00:00Z",
        "reports": 2,
        "rows": 4,
        "rejected_rows": 1,
        "missing_hours": ["2026-01-01T01:00:00Z"],
        "pending_reports": 0,
        "lag": {"projections": 0},
        "deliveries_pending": 0,
    }
    assert "2 (4 rows)" in shop.run("status").stdout


def test_top_in_json_is_the_body_of_rest(shop: Program, served: str) -> None:
    for options, query in (
        ((), ""),
        (
            ("--window", "hour", "--metric", "revenue", "-n", "1"),
            "?window=hour&metric=revenue&limit=1",
        ),
    ):
        printed = shop.run("top", "toys", *options, "--json")
        answer = httpx.get(f"{served}/v1/categories/toys/top-products{query}")
        assert printed.stdout == answer.text + "\n"
    assert json.loads(printed.stdout)["items"][0]["revenue"]["currency"] == "EUR"


def test_rank_in_json_is_the_body_of_rest(shop: Program, served: str) -> None:
    printed = shop.run("rank", "a/1", "--json")
    answer = httpx.get(f"{served}/v1/products/a%2F1/sales-ranks")
    assert printed.stdout == answer.text + "\n"


def test_people_get_columns(shop: Program) -> None:
    lines = shop.run("top", "toys").stdout.splitlines()
    assert lines[0] == "toys  day, by units  as of 2026-01-01T03:00:00Z  2 products"
    assert lines[2].split() == ["1", "up", "1", "a/1", "6", "70.00", "EUR"]
    assert lines[3].split() == ["2", "down", "1", "b", "2", "3.50", "EUR"]
    assert "1,000.00 EUR" in shop.run("rank", "b").stdout


def test_what_is_not_known_is_told_with_exit_1(shop: Program) -> None:
    for arguments in (("top", "nope"), ("rank", "nope")):
        told = shop.run(*arguments)
        assert told.returncode == 1
        (line,) = told.stderr.splitlines()
        assert "nope" in line
    assert shop.run("top", "toys", "-n", "101").returncode == 2


def test_verify_agrees_and_rebuild_changes_nothing_that_is_seen(own_shop: Program) -> None:
    before = own_shop.run("top", "toys", "--json").stdout
    agreed = own_shop.run("verify")
    assert (agreed.stderr, agreed.returncode) == ("", 0)
    assert "agree with 4 sales" in agreed.stdout
    rebuilt = own_shop.run("rebuild", "--category", "toys", "books", "--from", "events", "--json")
    body = json.loads(rebuilt.stdout)
    assert list(body) == ["version", "partitions", "rows_verified", "seconds"]
    assert (body["version"], body["partitions"]) == (1, 2)
    assert own_shop.run("rebuild").stdout.startswith("Version 1: 64 partitions rebuilt")
    after = own_shop.run("top", "toys", "--json").stdout
    assert after == before
    unknown = own_shop.run("rebuild", "--category", "nope")
    assert unknown.returncode == 2
    assert "nope" in unknown.stderr


def test_a_port_in_use_is_told(shop: Program, served: str) -> None:
    port = served.rpartition(":")[2]
    for command in ("serve", "up"):
        told = shop.run(command, "--port", port)
        assert told.returncode == 2
        (line,) = told.stderr.splitlines()
        assert port in line
        assert "--port" in line


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_server_that_ends_ends_its_streams_and_workers(
    shop: Program, number: signal.Signals, code: int
) -> None:
    port = free_address("127.0.0.1", 0).port
    address = f"http://127.0.0.1:{port}"
    before = {process.pid for process in shop.processes()}
    process = shop.start("serve", "--port", str(port))
    eventually(lambda: answers(address))
    began = {process.pid for process in shop.processes()} - before
    assert len(began) >= 2
    stream = f"{address}/v1/categories/toys/top-products/stream"
    with httpx.stream("GET", stream, timeout=20) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("retry")
        ended, said = end(process, number)
        assert ended == code
        if number is not signal.SIGKILL:
            assert any(line.startswith("event: ranking") for line in lines)
            assert not any(line.startswith("Traceback") for line in said.splitlines())
    eventually(lambda: not {one.pid for one in shop.processes()} & _serving(began, shop))


def _serving(began: set[int], shop: Program) -> set[int]:
    """Of some processes those that are no embedded Redis, which lives as long as others use it."""
    return {
        process.pid
        for process in shop.processes()
        if process.pid in began and "redis" not in " ".join(process.cmdline())
    }


def test_verify_finds_what_was_changed_in_redis(folder: Path, redis_url: str) -> None:
    shop = Program(folder / "differs", REDIS_URL=redis_url)
    report = write_report(shop.home / "reports", HOURS[0], "a,toys,1,10.00")
    shop.run("ingest", str(report))
    shop.run("project", "--once")
    corrupt(redis_url)
    told = shop.run("verify")
    assert told.returncode == 1
    assert "rebuild" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert told.stdout


def corrupt(redis_url: str) -> None:
    """Take one block of each list away."""
    import redis

    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter():
            if not key.endswith(b"head") and client.type(key) == b"hash":
                fields = client.hkeys(key)
                if fields == [b"0"]:
                    client.delete(key)
