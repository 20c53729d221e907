"""`topsellers demo`: everything on embedded parts over a generated feed."""

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from topsellers import embedded_redis_keeper as keeper
from topsellers.cli.failures import Terminated
from topsellers.cli.options import SETTINGS, ProgramOptions, given_environment
from topsellers.cli.terminal import counted, say
from topsellers.cli.up import role_commands
from topsellers.embedded_redis import FOLDER_NAME, STOP_WAIT_SECONDS
from topsellers.errors import PortUnavailable, RoleFailed, WrongUse
from topsellers.listening import Address, free_address
from topsellers.live_board import has_rankings
from topsellers.logging_setup import set_up_logging
from topsellers.parent_process import end_with_parent
from topsellers.roles import POLL_SECONDS, Roles, running_roles, undisturbed
from topsellers.settings import (
    EMBEDDED_REDIS,
    PREFIX,
    Settings,
    home_unusable,
    prepare_home,
    read_settings,
)

HOST: Final = "127.0.0.1"
USUAL_PORT: Final = 8080
FEED_FOLDER: Final = "demo-feed"
MARKER: Final = "DEMO"
"""A file that says of a home that all its sales are generated."""
KEPT_SETTINGS: Final = (f"{PREFIX}LOG_LEVEL", f"{PREFIX}LOG_FORMAT")
"""All that a demo takes from the settings around it: the others may lead to real data."""
READY_SECONDS: Final = 60.0


def demo(
    *,
    port: Annotated[
        int | None,
        Parameter(
            help="The port of the live board; 8080 by default, or any that is free.",
            show_default=False,
        ),
    ] = None,
    parent: Annotated[int | None, Parameter(show=False)] = None,
    home: Annotated[
        str | None,
        Parameter(
            group=SETTINGS,
            help="Where the demo keeps its data: an empty folder or an earlier demo's; by default "
            "a new one that is removed after.",
            show_default=False,
        ),
    ] = None,
    options: ProgramOptions = ProgramOptions(),  # noqa: B008  (frozen)
) -> None:
    """Run everything on embedded parts over a generated feed, a new hour every few seconds.

    Only --home leads to data that stays, never TOPSELLERS_HOME. Raises `WrongUse` where that folder
    holds anything but a demo's data.
    """
    given = _given(options)
    log = read_settings(given, on_terminal=sys.stderr.isatty())
    set_up_logging(log.log_level, log.log_format)
    end_with_parent(parent)
    with _home(home) as folder:
        address = _address(port)
        environment = _demo_environment(given, folder)
        settings = read_settings(environment)
        with running_roles(role_commands(address, workers=1), environment) as roles:
            _run(settings, address, roles)


def _run(settings: Settings, address: Address, roles: Roles) -> None:
    # Imported while the roles start: together they take longer than the demo may.
    from topsellers.demo_feed import HOUR_SECONDS, ROWS, DemoFeed

    feed = DemoFeed(Path(settings.feed_url), _newest_hour(settings))
    feed.begin()
    began = time.monotonic()
    while not has_rankings(address):
        roles.look()
        if time.monotonic() - began > READY_SECONDS:
            raise RoleFailed(
                f"the demo has no rankings after {READY_SECONDS:.0f} s. Run it with "
                "--log-level info to see what it waits for."
            )
        time.sleep(POLL_SECONDS)
    say(f"Live board: {address.url}")
    say(f"An hour of sales comes every {HOUR_SECONDS:.0f} s. Ctrl-C ends it all.")
    while True:
        roles.look()
        if (report := feed.look()) is not None:
            say(f"{report.name}  {counted(ROWS, 'row')} dropped")
        time.sleep(POLL_SECONDS)


def _address(port: int | None) -> Address:
    if port is not None:
        return free_address(HOST, port)
    try:
        return free_address(HOST, USUAL_PORT)
    except PortUnavailable:
        return free_address(HOST, 0)


def _given(options: ProgramOptions) -> dict[str, str]:
    """Return this process's environment without the settings that a demo must not follow."""
    return {
        name: value
        for name, value in given_environment(options).items()
        if name in KEPT_SETTINGS or not name.startswith(PREFIX)
    }


def _demo_environment(given: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the roles' environment: all parts embedded, and below the demo's home."""
    return {
        f"{PREFIX}LOG_LEVEL": "warning",
        **given,
        f"{PREFIX}HOME": str(home),
        f"{PREFIX}FEED_URL": str(home / FEED_FOLDER),
        f"{PREFIX}EVENT_STORE_URL": f"sqlite:///{home / 'events.db'}",
        f"{PREFIX}REDIS_URL": EMBEDDED_REDIS,
        # The demo's reports appear whole.
        f"{PREFIX}FEED_SETTLE": "0",
    }


def _newest_hour(settings: Settings) -> int | None:
    """Return the newest hour of a home that a demo ran in before."""
    if not (settings.home / "events.db").exists():
        return None
    from topsellers.composition import opened_store
    from write_side.report_history import read_report_history

    with opened_store(settings) as opened:
        return max(read_report_history(opened.store).in_force, default=None)


@contextmanager
def _home(named: str | None) -> Iterator[Path]:
    """Yield the home that is named, or a new one, which is removed when its server is gone."""
    if named:
        home = Path(named).absolute()
        prepare_home(home)
        _claim(home)
        yield home
        return
    home = Path(tempfile.mkdtemp(prefix="topsellers-demo-"))
    try:
        yield home
    except Terminated:
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt("The demo has ended, and nothing of it is left.") from None
    finally:
        with undisturbed():
            _await_server_end(home / FOLDER_NAME)
            shutil.rmtree(home, ignore_errors=True)


def _claim(home: Path) -> None:
    """Mark an empty home as a demo's; raises `WrongUse` for any other that no demo marked."""
    marker = home / MARKER
    try:
        if marker.exists():
            return
        if any(home.iterdir()):
            raise WrongUse(
                f"the folder holds something else than a demo's data: {home}. A demo's sales could "
                "not be told from real ones: name an empty folder with --home, or leave it out."
            )
        marker.write_text("All sales in this folder are generated by `topsellers demo`.\n")
    except OSError as error:
        raise home_unusable(home, error) from error


def _await_server_end(folder: Path) -> None:
    """Wait until nobody keeps the embedded Redis of a folder; it outlives its users by a little."""
    deadline = time.monotonic() + STOP_WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            lock = keeper.lock_now(folder / keeper.KEEPER_LOCK, fcntl.LOCK_EX)
        except OSError:
            return
        if lock is not None:
            os.close(lock)
            return
        time.sleep(0.05)
