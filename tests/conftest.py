"""What tests of all folders share: Redis servers, each started once in a test process and empty
for each test, and a browser."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import browser_tool, redis_servers
from tests.redis_servers import RedisServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="topsellers-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def valkey_server(server_folder: Path) -> Iterator[RedisServer]:
    """The Valkey node that tests share; tests that kill servers start their own."""
    with redis_servers.running_node(server_folder / "valkey") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_url(valkey_server: RedisServer) -> str:
    """The shared node's URL; `redis_url` is the same, emptied for the test."""
    return valkey_server.url


@pytest.fixture
def redis_url(valkey_server: RedisServer) -> str:
    """A Valkey node, empty."""
    valkey_server.flush()
    return valkey_server.url


@pytest.fixture(scope="session")
def cluster_nodes(server_folder: Path) -> Iterator[list[RedisServer]]:
    """The three masters of the cluster that tests share."""
    with redis_servers.running_cluster(server_folder / "cluster") as nodes:
        yield nodes


@pytest.fixture
def cluster_url(cluster_nodes: list[RedisServer]) -> str:
    """A Valkey cluster of three masters, empty."""
    for node in cluster_nodes:
        node.flush()
    return redis_servers.cluster_url(cluster_nodes)


@pytest.fixture(params=["node", "cluster"])
def any_redis_url(request: pytest.FixtureRequest) -> str:
    """A node and a cluster, each empty."""
    name = "redis_url" if request.param == "node" else "cluster_url"
    url = request.getfixturevalue(name)
    assert isinstance(url, str)
    return url


@pytest.fixture(scope="session")
def redis62_server(server_folder: Path) -> Iterator[RedisServer]:
    """The oldest server that is supported."""
    program = redis_servers.redis62_program()
    with redis_servers.running_node(server_folder / "redis62", program=program) as server:
        yield server


@pytest.fixture
def redis62_url(redis62_server: RedisServer) -> str:
    """A Redis 6.2 node, empty."""
    redis62_server.flush()
    return redis62_server.url


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of tests marked `pytest.mark.anyio`."""
    return "asyncio"


# For each module, not for the session: while Playwright runs, its thread has a running event loop,
# in which no other test could call asyncio.run.
@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """An installed Chromium; without one the board is not tested, so that fails."""
    # Imported here, because most test processes never need it.
    from playwright.sync_api import sync_playwright

    chromium = browser_tool.find_browser()
    if chromium is None:
        pytest.fail(browser_tool.MISSING, pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=browser_tool.FLAGS)
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once more, where it is read, why all tests of the board failed."""
    errors = terminalreporter.getreports("error")
    if any(browser_tool.MISSING in report.longreprtext for report in errors):
        terminalreporter.section("a tool is missing", red=True)
        terminalreporter.write_line(browser_tool.MISSING)
