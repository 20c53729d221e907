"""The address to serve at, looked at before anything is started for it."""

import errno
import socket
from typing import Final, NamedTuple

from topsellers.errors import PortUnavailable

_LAST_PORT: Final = 65_535


class Address(NamedTuple):
    """An IP address and a port of this machine."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (names, not a bind)
        host = everywhere.get(self.host, self.host)
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"


def free_address(host: str, port: int) -> Address:
    """Return the address of a host's name and a port, 0 for any that is free.

    Raises `PortUnavailable` where it is taken or no address of this machine's.
    """
    if not 0 <= port <= _LAST_PORT:
        raise PortUnavailable(
            f"there is no such port: {port}. Choose one from 0 to {_LAST_PORT} by --port, and an "
            "address of this machine's by --host."
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise PortUnavailable(
            f"this host has no address: {host} ({error}). Name one of this machine's by --host."
        ) from error
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        # A server that has just ended leaves connections behind, which are in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            # Two sockets may be bound with SO_REUSEADDR, but only one of them listens.
            probe.listen(1)
        except OSError as error:
            raise _unavailable(host, port, error) from error
        bound = probe.getsockname()
    return Address(str(bound[0]), int(bound[1]))


def _unavailable(host: str, port: int, error: OSError) -> PortUnavailable:
    if error.errno == errno.EADDRINUSE:
        return PortUnavailable(
            f"the port is in use: {port} of {host}. End what serves there, or choose another by "
            "--port."
        )
    return PortUnavailable(
        f"nothing can be served at {host}:{port} ({error.strerror}). Choose another by --host and "
        "--port."
    )
