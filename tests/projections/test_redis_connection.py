import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.utils

from projections.errors import ReadModelUnavailable, RedisUnsuitable, RedisUrlInvalid
from projections.redis_connection import (
    REDIS_FAILURES,
    check_server,
    open_async_redis,
    open_async_subscriber,
    open_redis,
)
from tests.redis_servers import RedisServer

SOON = 4.0
"""About two seconds, and what a busy machine adds."""


@pytest.fixture
def own_server(server_folder: Path, tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(server_folder / f"own-{tmp_path.name[-30:]}", is_persistent=True).start()
    yield server
    server.kill()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_a_worker_writes_and_reads_bytes(any_redis_url: str) -> None:
    with open_redis(any_redis_url) as client:
        client.set("{03}:head", b"\x00\xff")
        assert client.get("{03}:head") == b"\x00\xff"


def test_answers_are_parsed_by_hiredis() -> None:
    assert redis.utils.HIREDIS_AVAILABLE


@pytest.mark.anyio
async def test_a_server_writes_and_reads_bytes(any_redis_url: str) -> None:
    async with open_async_redis(any_redis_url) as client:
        await client.set("{03}:head", b"\x00\xff")
        assert await client.get("{03}:head") == b"\x00\xff"


@pytest.mark.anyio
async def test_more_commands_than_connections_wait_for_their_turn(redis_url: str) -> None:
    async with open_async_redis(f"{redis_url}?max_connections=2") as client:
        answers = await asyncio.gather(*(client.incr("n") for _ in range(50)))
        assert sorted(answers) == list(range(1, 51))


@pytest.mark.anyio
async def test_a_subscriber_hears_what_is_published_on_any_node(any_redis_url: str) -> None:
    subscriber = await open_async_subscriber(any_redis_url)
    async with subscriber, subscriber.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe("versions")
        heard: list[bytes] = []
        # The keys of the scripts lie on different masters.
        with open_redis(any_redis_url) as client:
            for partition in range(6):
                script = "return redis.call('PUBLISH', 'versions', KEYS[1])"
                client.eval(script, 1, f"{{{partition:02}}}:head")
        while len(heard) < 6:
            message = await channel.get_message(timeout=5.0)
            if message is not None:
                heard.append(message["data"])
    assert sorted(heard) == [b"{%02d}:head" % partition for partition in range(6)]


@pytest.mark.anyio
async def test_a_quiet_subscription_does_not_time_out(redis_url: str) -> None:
    subscriber = await open_async_subscriber(f"{redis_url}?socket_timeout=0.1")
    async with subscriber, subscriber.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe("versions")
        await channel.get_message(timeout=1.0)
        assert await channel.get_message(timeout=0.3) is None
        with open_redis(redis_url) as client:
            client.publish("versions", "7")
        message = None
        while message is None:
            message = await channel.get_message(timeout=5.0)
        assert message["data"] == b"7"


@pytest.mark.anyio
async def test_a_subscriber_takes_another_node_of_a_cluster_where_one_is_down(
    cluster_url: str, closed_port: int
) -> None:
    scheme, _, nodes = cluster_url.partition("://")
    subscriber = await open_async_subscriber(f"{scheme}://127.0.0.1:{closed_port},{nodes}")
    async with subscriber:
        assert await subscriber.ping()


def test_a_worker_reaches_a_cluster_where_one_of_the_named_nodes_is_down(
    cluster_url: str, closed_port: int
) -> None:
    scheme, _, nodes = cluster_url.partition("://")
    with open_redis(f"{scheme}://127.0.0.1:{closed_port},{nodes}") as client:
        check_server(client)


def test_a_redis_that_is_down_is_told_soon(closed_port: int) -> None:
    begin = time.monotonic()
    with (
        open_redis(f"redis://:s3cret@127.0.0.1:{closed_port}/0") as client,
        pytest.raises(ReadModelUnavailable, match=f"127.0.0.1:{closed_port}") as raised,
    ):
        check_server(client)
    assert time.monotonic() - begin < SOON
    assert "s3cret" not in str(raised.value)


@pytest.mark.anyio
async def test_a_server_is_told_soon_that_redis_is_down_or_hangs(
    closed_port: int, silent_port: int
) -> None:
    for port in closed_port, silent_port:
        begin = time.monotonic()
        async with open_async_redis(f"redis://127.0.0.1:{port}") as client:
            with pytest.raises(REDIS_FAILURES):
                await client.get("{03}:head")
        assert time.monotonic() - begin < SOON


@pytest.mark.anyio
async def test_a_cluster_that_is_down_is_told_soon(closed_port: int, silent_port: int) -> None:
    url = f"redis+cluster://reader:s3cret@127.0.0.1:{closed_port}"
    begin = time.monotonic()
    with pytest.raises(ReadModelUnavailable, match="reader") as raised:
        open_redis(url)
    assert "s3cret" not in str(raised.value)
    with pytest.raises(ReadModelUnavailable):
        await open_async_subscriber(url)
    assert time.monotonic() - begin < 2 * SOON
    for port in closed_port, silent_port:
        begin = time.monotonic()
        client = open_async_redis(f"redis+cluster://127.0.0.1:{port}")
        with pytest.raises(REDIS_FAILURES):
            await client.get("{03}:head")
        await client.aclose()
        assert time.monotonic() - begin < SOON


def test_a_server_that_restarts_is_bridged(own_server: RedisServer) -> None:
    with open_redis(own_server.url) as client:
        client.set("n", 1)
        own_server.restart()
        assert client.incr("n") == 2


@pytest.mark.anyio
async def test_a_server_that_hangs_answers_again_when_it_goes_on(own_server: RedisServer) -> None:
    async with open_async_redis(own_server.url) as client:
        await client.set("n", 1)
        own_server.pause()
        begin = time.monotonic()
        with pytest.raises(REDIS_FAILURES):
            await client.get("n")
        assert time.monotonic() - begin < SOON
        own_server.resume()
        assert await client.get("n") == b"1"


def test_valkey_redis_62_and_a_cluster_are_suitable(
    redis_url: str, redis62_url: str, cluster_url: str
) -> None:
    for url in redis_url, redis62_url, cluster_url:
        with open_redis(url) as client:
            check_server(client)


def test_a_server_that_may_evict_keys_is_refused(own_server: RedisServer) -> None:
    with open_redis(own_server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        check_server(client)
        client.config_set("maxmemory", "100mb")
        with pytest.raises(RedisUnsuitable, match=r"maxmemory-policy allkeys-lru.*noeviction"):
            check_server(client)
        client.config_set("maxmemory-policy", "noeviction")
        check_server(client)


def test_one_master_of_a_cluster_that_may_evict_keys_is_enough_to_refuse_it(
    cluster_nodes: list[RedisServer], cluster_url: str
) -> None:
    last = cluster_nodes[-1]
    with last.client() as node, open_redis(cluster_url) as client:
        node.config_set("maxmemory", "100mb")
        node.config_set("maxmemory-policy", "volatile-ttl")
        try:
            with pytest.raises(RedisUnsuitable, match=f"127.0.0.1:{last.port}"):
                check_server(client)
        finally:
            node.config_set("maxmemory", "0")
            node.config_set("maxmemory-policy", "noeviction")


def test_a_read_only_replica_is_refused(own_server: RedisServer, closed_port: int) -> None:
    with open_redis(own_server.url) as client:
        client.replicaof("127.0.0.1", closed_port)
        with pytest.raises(RedisUnsuitable, match="replica"):
            check_server(client)


def test_a_cluster_named_as_a_single_node_is_refused(cluster_nodes: list[RedisServer]) -> None:
    with (
        open_redis(cluster_nodes[0].url) as client,
        pytest.raises(RedisUnsuitable, match=r"redis\+cluster://"),
    ):
        check_server(client)


def test_a_single_node_named_as_a_cluster_is_refused(server_folder: Path, closed_port: int) -> None:
    server = RedisServer(server_folder / "alone", port=closed_port).start()
    try:
        with pytest.raises(RedisUnsuitable, match="no cluster"):
            open_redis(f"redis+cluster://127.0.0.1:{closed_port}")
    finally:
        server.kill()


def test_a_wrong_password_is_told_at_once_and_not_shown(own_server: RedisServer) -> None:
    with open_redis(own_server.url) as admin:
        admin.config_set("requirepass", "right")
        begin = time.monotonic()
        url = own_server.url.replace("unix://", "unix://:wr0ng@")
        with open_redis(url) as client, pytest.raises(ReadModelUnavailable) as raised:
            check_server(client)
        assert time.monotonic() - begin < 1.0
        assert "refuses the login" in str(raised.value)
        assert "wr0ng" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "redis://localhost:http",
        "redis://localhost?socket_timeout=soon",
        "redis://localhost?colour=red",
        "redis+cluster://localhost:7000?colour=red",
        "redis+cluster://a:7000/1",
        "redis+cluster://",
    ],
)
def test_a_url_that_cannot_be_understood_is_told(url: str) -> None:
    for open_client in open_redis, open_async_redis:
        with pytest.raises(RedisUrlInvalid, match="TOPSELLERS_REDIS_URL"):
            open_client(url)
