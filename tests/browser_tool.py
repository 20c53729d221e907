"""Finds a Chromium for the tests of the board, or installs one: `python -m tests.browser_tool`.

In this order: CHROMIUM_PATH, a browser on PATH, Debian's package where we are root, and else the
binary of npm's @sparticuz/chromium, which needs no root.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
ROOT = Path(__file__).resolve().parent.parent
CARRIED = ROOT / "node_modules" / ".chromium-path"
"""Holds the path of the binary that npm's package unpacked."""
CARRIED_PACKAGE = "@sparticuz/chromium@153.0.0"
UNPACK = (
    "import('@sparticuz/chromium')"
    ".then(async (chromium) => console.log(await chromium.default.executablePath()))"
)


def find_browser() -> str | None:
    """Return the path of an installed Chromium, None where there is none."""
    named = os.environ.get("CHROMIUM_PATH")
    if named:
        return named if Path(named).is_file() else None
    for name in NAMES:
        if found := shutil.which(name):
            return found
    if CARRIED.is_file() and Path(carried := CARRIED.read_text().strip()).is_file():
        return carried
    return None


def install_browser() -> None:
    """Install a Chromium; raises `CalledProcessError` or `OSError` where that fails."""
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
    path = os.pathsep.join([os.environ["PATH"], str(Path(sys.executable).parent)])
    environment = {**os.environ, "PATH": path}
    npm = shutil.which("npm", path=path) or "npm"
    node = shutil.which("node", path=path) or "node"
    install = [npm, "install", "--no-save", "--silent", "--no-audit", "--no-fund", CARRIED_PACKAGE]
    subprocess.run(install, check=True, cwd=ROOT, env=environment)
    unpacked = subprocess.run(
        [node, "-e", UNPACK], check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    CARRIED.write_text(unpacked.stdout)


def main() -> None:
    """Install what is missing, and say in one line where that fails: the tests then fail, too."""
    if find_browser():
        return
    print("installing Chromium for the tests of the board", file=sys.stderr)
    try:
        install_browser()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"Chromium can't be installed: {error}. Set CHROMIUM_PATH.", file=sys.stderr)


if __name__ == "__main__":
    main()
