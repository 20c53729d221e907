"""The board before a scripted shop."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.gateway.board.board_server import BoardServer, Shop, Totals

HEADPHONES: Totals = {
    "ALTO-1": (900, 45_000_00),
    "BASS-2": (700, 21_000_00),
    "CLIP-3": (500, 5_000_00),
    "DUET-4": (300, 30_000_50),
}

OpenBoard = Callable[..., Page]


@pytest.fixture(scope="module")
def board_server() -> Iterator[BoardServer]:
    with BoardServer() as server:
        yield server


@pytest.fixture
def shop(board_server: BoardServer) -> Shop:
    """A shop of three categories, whose newest hour ended less than an hour ago."""
    board_server.shop = Shop(
        {
            "Headphones": dict(HEADPHONES),
            "Kitchen & dining": {"ALTO-1": (20, 800_00), "PANS-9": (55, 2_000_00)},
            "Toys/3 to 5": {"KITE-7": (9, 90_00)},
        }
    )
    return board_server.shop


@pytest.fixture
def open_board(board_server: BoardServer, shop: Shop, browser: Browser) -> Iterator[OpenBoard]:
    """Opens the board at an address, in a context with the options of Playwright's."""
    with ExitStack() as contexts:

        def open_at(address: str = "/?category=Headphones", **options: Any) -> Page:
            context = browser.new_context(base_url=board_server.address, locale="en-US", **options)
            contexts.callback(context.close)
            context.set_default_timeout(10_000)
            page = context.new_page()
            page.goto(address)
            return page

        yield open_at
