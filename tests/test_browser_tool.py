"""The browser that is loaded is the one that was pinned, and a missing one is told last."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser_tool import MISSING, PackageChanged, check_archive, find_browser

ROOT = Path(__file__).resolve().parent.parent


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "chromium.tgz"
    archive.write_bytes(b"something else")
    with pytest.raises(PackageChanged, match="SHA-512"):
        check_archive(archive)


def test_a_named_browser_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM_PATH", "/nowhere/chromium")
    assert find_browser() is None


def test_the_last_lines_of_a_run_name_the_browser_that_is_missing() -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/end_to_end/test_board.py",
        ],
        cwd=ROOT,
        env={**os.environ, "CHROMIUM_PATH": "/nowhere/chromium"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert MISSING in run.stdout.splitlines()[-4:]
