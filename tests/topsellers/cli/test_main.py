"""What every command keeps to: help, one line for each error, exit codes."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.topsellers.conftest import Program, end, installed_script
from topsellers.cli.failures import Terminated, describe_failure, error_chain
from topsellers.cli.main import COMMANDS, run


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    page = capsys.readouterr().out
    assert all(f" {command.name} " in page for command in COMMANDS)
    assert " reports " in page


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_each_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    page = capsys.readouterr().out
    assert f"Example: topsellers {command}" in " ".join(page.split())
    assert "--verbose" in page
    assert "--parent" not in page


def test_help_needs_nothing_that_is_slow_to_import() -> None:
    code = """
import sys
from topsellers.cli.main import run
run(["ingest", "--help"])
slow = {"polars", "strawberry", "redis", "granian", "starlette", "duckdb"} & set(sys.modules)
assert not slow, slow
"""
    python = installed_script().with_name("python")
    subprocess.run([str(python), "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nope"], "nope"),
        (["ingest", "--nope"], "--nope"),
        (["top"], "CATEGORY"),
        (["top", "toys", "--window", "year"], "--window"),
        (["top", "toys", "-n", "many"], "-n"),
        (["reports", "withdraw", "2026112507"], "--reason"),
        (["reports", "withdraw", "26-11-25", "--reason", "x"], "26-11-25"),
        (["reports", "withdraw", "2026112507", "--reason", " "], "reason"),
        (["serve", "--workers", "0"], "workers"),
        (["generate", "--out", "/tmp/x", "--products", "0"], "products"),
        (["generate", "--out", "/tmp/x", "--hours", "0"], "hours"),
        (["generate", "--out", "/tmp/x", "--start", "tomorrow"], "tomorrow"),
        (["generate", "--out", "/tmp/x", "--log-level", "loud"], "TOPSELLERS_LOG_LEVEL"),
        (["generate", "--out", "/dev/null/x", "--hours", "1"], "/dev/null"),
        (["ingest", "/nowhere/SalesReport-2026112507.csv"], "/nowhere"),
        (["ingest", "notes.txt"], "notes.txt"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("topsellers: ")
    assert named in line


def test_verbose_adds_where_an_error_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["generate", "--out", "/dev/null/x", "--hours", "1", "--verbose"]) == 2
    first, *chain = capsys.readouterr().err.splitlines()
    assert first.startswith("topsellers: ")
    assert any("NotADirectoryError" in line for line in chain)


def test_an_error_that_nobody_expected_is_one_line_too() -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("several\nlines") from inner
    except ValueError as error:
        failure = describe_failure(error)
        chain = error_chain(error)
    assert failure.exit_code == 2
    assert "\n" not in failure.message
    assert "--verbose" in failure.message
    assert chain[0].startswith("ValueError: several lines.")
    assert chain[1].startswith("from KeyError: 'inner'")


def test_what_is_ended_before_it_is_done_does_not_look_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(*_: object, **__: object) -> None:
        raise Terminated

    monkeypatch.setattr("topsellers.generate.generate_feed", ended)
    assert run(["generate", "--out", "/tmp/x"]) == 143

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("topsellers.generate.generate_feed", interrupted)
    assert run(["generate", "--out", "/tmp/x"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_a_wrong_setting_is_named(program: Program) -> None:
    wrong = program.run("status", CURRENCY="dollars")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("topsellers: TOPSELLERS_CURRENCY is wrong: ")
    assert len(wrong.stderr.splitlines()) == 1


def test_a_home_of_no_use_is_told(program: Program) -> None:
    program.home.touch()
    told = program.run("serve", "--port", "0")
    program.home.unlink()
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert str(program.home) in line
    assert "TOPSELLERS_HOME" in line


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["project", "--once"]])
def test_a_redis_that_is_down_is_told(program: Program, command: list[str]) -> None:
    told = program.run(*command, REDIS_URL="redis://127.0.0.1:1/0")
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert "TOPSELLERS_REDIS_URL" in line


def test_the_schema_is_the_file_in_the_repository(program: Program) -> None:
    schema = Path(__file__).parents[3] / "graphql" / "schema.graphql"
    assert program.run("schema").stdout == schema.read_text()


def test_a_reader_that_goes_is_no_error(program: Program) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [str(installed_script()), "schema"],
        env=program.environment,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, b"")


def test_generate_writes_a_feed_of_the_hours_asked_for(program: Program) -> None:
    out = program.home / "feed"
    arguments = ["--hours", "2", "--rows", "50", "--start", "2026010100"]
    done = program.run("generate", "--out", str(out), *arguments)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{out}  2 reports, 100 rows")
    names = sorted(path.name for path in out.iterdir())
    assert names == ["SalesReport-2026010100.csv", "SalesReport-2026010101.csv"]


def test_sigterm_ends_a_role_in_order(program: Program) -> None:
    watching = program.start("watch")
    assert watching.stdout is not None
    assert "Watching" in watching.stdout.readline()
    code, said = end(watching, signal.SIGTERM)
    assert (code, said) == (0, "")
