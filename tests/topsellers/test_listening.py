import socket

import pytest

from topsellers.errors import PortUnavailable
from topsellers.listening import Address, free_address


def test_port_0_is_any_that_is_free() -> None:
    address = free_address("127.0.0.1", 0)
    assert address.port > 0
    assert free_address("127.0.0.1", address.port) == address


def test_a_port_that_others_use_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):
            with pytest.raises(PortUnavailable, match=f"in use: {port}.*--port"):
                free_address(host, port)


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.1", 0), ("no such host", 0), ("127.0.0.1", 70_000)]
)
def test_an_address_of_no_use_is_told(host: str, port: int) -> None:
    with pytest.raises(PortUnavailable, match="--host"):
        free_address(host, port)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (Address("127.0.0.1", 80), "http://127.0.0.1:80/"),
        (Address("0.0.0.0", 80), "http://127.0.0.1:80/"),
        (Address("::", 80), "http://[::1]:80/"),
    ],
)
def test_a_browser_here_finds_it(address: Address, url: str) -> None:
    assert address.url == url
