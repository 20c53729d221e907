"""The wheel as a user gets it: built, installed with the pinned dependencies into an empty
environment, and run there from a folder that knows nothing of the sources."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.topsellers.conftest import Program, eventually, write_report

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = {
    "gateway": ROOT / "gateway",
    "projections": ROOT / "projections",
    "subgraph": ROOT / "graphql" / "subgraph",
    "topsellers": ROOT / "topsellers",
    "write_side": ROOT / "write_side",
}


def uv(*arguments: str | Path) -> None:
    program = Path(sys.executable).with_name("uv")
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        [program, *arguments, "--quiet"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="topsellers-wheel-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    uv("build", "--wheel", "--out-dir", folder / "dist", ROOT)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Path:
    """The console script of the environment."""
    environment = folder / "environment"
    uv("venv", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    lock = ROOT / "requirements-runtime.lock"
    uv("pip", "install", "--python", python, "--require-hashes", "-r", lock)
    uv("pip", "install", "--python", python, "--no-deps", wheel)
    uv("pip", "check", "--python", python)
    return environment / "bin" / "topsellers"


@pytest.fixture
def program(folder: Path, installed: Path) -> Iterator[Program]:
    program = Program(folder / "home", installed)
    program.environment.pop("PYTHONPATH", None)
    yield program
    program.kill_all()
    shutil.rmtree(program.home, ignore_errors=True)


def test_the_wheel_holds_the_packages_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    contents = {name for name in names if ".dist-info/" not in name}
    sources = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert contents == sources
    assert contents >= {f"{package}/py.typed" for package in PACKAGES}
    assert contents >= {f"gateway/board/{name}" for name in ("index.html", "board.js", "board.css")}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_an_installed_wheel_says_its_version_and_schema(program: Program, wheel: Path) -> None:
    version = program.run("--version")
    assert (version.stdout.strip(), version.stderr) == (wheel.name.split("-")[1], "")
    schema = program.run("schema")
    assert schema.stdout == (ROOT / "graphql" / "schema.graphql").read_text()


def test_an_installed_wheel_ranks_a_report(program: Program) -> None:
    write_report(program.home / "dropbox", "2026010100", "a,toys,1,10.00", "b,toys,2,3.50")
    for arguments in (("ingest",), ("project", "--once")):
        done = program.run(*arguments)
        assert done.returncode == 0, done.stderr
    top = json.loads(program.run("top", "toys", "--json").stdout)
    assert [(item["rank"], item["product_id"], item["units"]) for item in top["items"]] == [
        (1, "b", 2),
        (2, "a", 1),
    ]
    eventually(lambda: not program.processes())
