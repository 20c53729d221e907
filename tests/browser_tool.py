"""Finds a Chromium for the tests of the board, or installs one: `python -m tests.browser_tool`.

In this order: CHROMIUM_PATH, a browser on PATH, Debian's package where we are root, and else the
binary of npm's @sparticuz/chromium, which needs no root. That package is pinned here rather than
in package.json, so that it is loaded only where no browser is found.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
ROOT = Path(__file__).resolve().parent.parent
CARRIED = ROOT / "node_modules" / ".chromium"
"""Where npm's package unpacks its binary."""
CARRIED_PACKAGE = "@sparticuz/chromium@153.0.0"
CARRIED_SHA512 = (
    "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
)
"""Of the package's archive, as `npm view … dist.integrity` prints it."""
UNPACK = "import('@sparticuz/chromium').then((chromium) => chromium.default.executablePath())"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
"""How tests start it."""
MISSING = "No Chromium for the board's tests. Run `make tools`, or set CHROMIUM_PATH."


class PackageChanged(Exception):
    """What the registry gave is not the package that was pinned."""


def find_browser() -> str | None:
    """Return the path of an installed Chromium, None where there is none."""
    named = os.environ.get("CHROMIUM_PATH")
    if named:
        return named if Path(named).is_file() else None
    for name in NAMES:
        if found := shutil.which(name):
            return found
    carried = CARRIED / "chromium"
    return str(carried) if carried.is_file() else None


def install_browser() -> None:
    """Install a Chromium.

    Raises `CalledProcessError` or `OSError` where that fails, and `PackageChanged`.
    """
    if os.geteuid() == 0 and shutil.which("apt-get"):
        run = ["apt-get", "--quiet=2", "--yes"]
        subprocess.run([*run, "update"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(
            [*run, "install", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        return
    unpack_carried(ROOT, CARRIED)


def unpack_carried(root: Path, folder: Path) -> None:
    """Install npm's package below `root`, and unpack its `chromium` into `folder`."""
    path = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
    npm = shutil.which("npm", path=path) or "npm"
    node = shutil.which("node", path=path) or "node"
    folder.mkdir(parents=True, exist_ok=True)
    # It unpacks into TMPDIR, and takes what is there for its own.
    environment = {**os.environ, "PATH": path, "TMPDIR": str(folder)}
    with tempfile.TemporaryDirectory() as loaded:
        pack = [npm, "pack", "--silent", "--pack-destination", loaded, CARRIED_PACKAGE]
        subprocess.run(pack, check=True, cwd=root, env=environment, stdout=subprocess.DEVNULL)
        (archive,) = Path(loaded).iterdir()
        check_archive(archive)
        install = [npm, "install", "--no-save", "--ignore-scripts", "--silent", "--no-audit"]
        subprocess.run([*install, str(archive)], check=True, cwd=root, env=environment)
    subprocess.run([node, "-e", UNPACK], check=True, cwd=root, env=environment)


def check_archive(archive: Path) -> None:
    """Raise `PackageChanged` where an archive is not the one that was pinned."""
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != CARRIED_SHA512:
        raise PackageChanged(f"{CARRIED_PACKAGE} has the SHA-512 {found}, not {CARRIED_SHA512}")


def main() -> None:
    """Install what is missing, and say in one line where that fails: the tests then fail, too."""
    if find_browser():
        return
    print("installing Chromium for the tests of the board", file=sys.stderr)
    try:
        install_browser()
    except (OSError, subprocess.CalledProcessError, PackageChanged) as error:
        print(f"Chromium can't be installed: {error}. Set CHROMIUM_PATH.", file=sys.stderr)


if __name__ == "__main__":
    main()
