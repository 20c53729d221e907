"""`topsellers up`: all roles on this machine."""

import logging
import time
from typing import Annotated

from cyclopts import Parameter

from topsellers.cli.options import AllOptions, given_environment, settings_of
from topsellers.listening import Address, free_address
from topsellers.live_board import is_serving
from topsellers.parent_process import end_with_parent
from topsellers.roles import POLL_SECONDS, running_roles

_LOGGER = logging.getLogger("topsellers.up")


def up(
    *,
    host: Annotated[
        str, Parameter(help="The address to serve at; 0.0.0.0 is every one of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port, 0 for any that is free.")] = 8080,
    workers: Annotated[int, Parameter(help="Processes that answer.")] = 1,
    parent: Annotated[int | None, Parameter(show=False)] = None,
    options: AllOptions = AllOptions(),  # noqa: B008  (frozen)
) -> None:
    """Run all roles on this machine until it is ended: watch the feed, project, serve."""
    settings = settings_of(options)
    end_with_parent(parent)
    address = free_address(host, port)
    from topsellers.composition import check_parts

    check_parts(settings)
    environment = given_environment(options)
    environment["TOPSELLERS_LOG_FORMAT"] = settings.log_format
    with running_roles(role_commands(address, workers), environment) as roles:
        is_told = False
        while True:
            roles.look()
            if not is_told and is_serving(address):
                _LOGGER.info("Live board: %s", address.url)
                is_told = True
            time.sleep(POLL_SECONDS)


def role_commands(address: Address, workers: int) -> list[tuple[str, ...]]:
    """Return the commands of all roles."""
    serve = ("serve", "--host", address.host, "--port", str(address.port))
    return [("watch",), ("project",), (*serve, "--workers", str(workers))]
