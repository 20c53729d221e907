"""Connections to the Redis that holds the read model: one node or a cluster, sync or async.

A Redis that is down is told within about two seconds; the options in a URL win over what is set
here.
"""

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.cluster
import redis.retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError

from projections.errors import ReadModelUnavailable, RedisUnsuitable
from projections.redis_url import SETTING, RedisTarget, parse_redis_url, redact, unknown_option

RedisClient = redis.Redis | redis.cluster.RedisCluster
AsyncRedisClient = redis.asyncio.Redis | redis.asyncio.cluster.RedisCluster

REDIS_FAILURES = (RedisError, RedisClusterException)
"""What redis-py raises: the cluster's base error is no RedisError."""

OLDEST_VERSION = (6, 2)
"""Of Redis; Valkey calls itself Redis 7.2 for compatibility."""

CONNECT_SECONDS = 0.8
"""How long one attempt to connect may take."""
RETRY_SECONDS = 1.2
"""How long a failing command is tried again: a restarting server is bridged, a dead one told."""
WORKER_ANSWER_SECONDS = 15.0
"""How long a worker waits for an answer: its pipelines write many megabytes."""
SERVER_ANSWER_SECONDS = 1.5
"""How long a server process waits for an answer before it answers 503 itself."""
HEALTH_CHECK_SECONDS = 30
"""A connection that was idle for longer is tried with PING before it is used."""
CLUSTER_RETRIES = 2
"""How often a cluster's command is tried again, with the slots read anew."""
SERVER_CONNECTIONS = 64
"""How many connections a server process opens to one node; further commands wait for one."""
CLUSTER_CONNECTIONS = 512
"""The same for a node of a cluster, whose client fails beyond it instead of waiting."""
RESP_VERSION = 2
"""Connects in fewer round trips than 3, and nothing here needs the types of 3."""

_Answer = TypeVar("_Answer")


def open_redis(url: str) -> RedisClient:
    """Open a client for workers; a cluster's reads its slots now, a node's connects when used.

    Raises RedisUrlInvalid, RedisUnsuitable where a cluster URL names a node without a cluster, and
    ReadModelUnavailable where no node of a cluster answers.
    """
    target = parse_redis_url(url)
    options = _options(WORKER_ANSWER_SECONDS) | target.options
    if not target.is_cluster:
        retry = _RetryWithin(RETRY_SECONDS)
        pool = redis.ConnectionPool.from_url(
            url, **options, retry=retry, health_check_interval=HEALTH_CHECK_SECONDS
        )
        _check_options(url, pool)
        return redis.Redis.from_pool(pool)
    _check_cluster_options(url, options)
    # Its constructor has no annotations.
    cluster_node: Callable[[str, int], Any] = redis.cluster.ClusterNode
    try:
        return redis.cluster.RedisCluster(
            startup_nodes=[cluster_node(host, port) for host, port in target.nodes],
            retry=redis.retry.Retry(_backoff(), CLUSTER_RETRIES),
            **options,
        )
    except RedisClusterException as error:
        if "not enabled" in str(error):
            raise RedisUnsuitable(
                f"This Redis is no cluster: {redact(url)}. Write {SETTING} with redis:// or "
                "rediss:// and one host."
            ) from error
        raise unavailable(redact(url), error) from error
    except RedisError as error:
        raise unavailable(redact(url), error) from error


def open_async_redis(url: str) -> AsyncRedisClient:
    """Open a client for servers; it connects when it is used first, a cluster's in `async with`.

    Raises RedisUrlInvalid.
    """
    target = parse_redis_url(url)
    options = _options(SERVER_ANSWER_SECONDS) | target.options
    options["health_check_interval"] = HEALTH_CHECK_SECONDS
    if not target.is_cluster:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            **{"max_connections": SERVER_CONNECTIONS, "timeout": SERVER_ANSWER_SECONDS} | options,
            retry=_AsyncRetryWithin(RETRY_SECONDS),
        )
        _check_options(url, pool)
        return redis.asyncio.Redis.from_pool(pool)
    _check_cluster_options(url, options)
    nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in target.nodes]
    return redis.asyncio.cluster.RedisCluster(
        startup_nodes=nodes,
        retry=redis.asyncio.retry.Retry(_backoff(), CLUSTER_RETRIES),
        **{"max_connections": CLUSTER_CONNECTIONS} | options,
    )


async def open_async_subscriber(url: str) -> redis.asyncio.Redis:
    """Open a client for `pubsub()`, connected to one node: a PUBLISH reaches all of a cluster.

    A subscription that loses its node raises; open another then, which takes a node that lives.
    Raises RedisUrlInvalid, and ReadModelUnavailable where no node answers.
    """
    target = parse_redis_url(url)
    options = _options(SERVER_ANSWER_SECONDS) | target.options
    options |= {
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "retry": _AsyncRetryWithin(RETRY_SECONDS),
    }
    failure: Exception | None = None
    for client in _subscribers(url, target, options):
        try:
            await client.ping()
        except REDIS_FAILURES as error:
            failure = error
            await client.aclose()
        else:
            return client
    raise unavailable(redact(url), failure) from failure


def check_server(client: RedisClient) -> None:
    """See that the server (each master of a cluster) can hold the read model.

    Raises RedisUnsuitable where it is older than Redis 6.2, a read-only replica, may evict keys,
    or is a cluster's node while the URL names a single one, and ReadModelUnavailable where it
    does not answer.
    """
    for where, node in _masters(client):
        try:
            information = node.info()
        except REDIS_FAILURES as error:
            raise unavailable(where, error) from error
        is_cluster = isinstance(client, redis.cluster.RedisCluster)
        if problem := _unsuitable(information, is_cluster=is_cluster):
            raise RedisUnsuitable(f"Redis cannot hold the read model: {where} {problem}")


def unavailable(where: str, error: Exception | None) -> ReadModelUnavailable:
    """Make the error that tells that Redis at `where` (no password in it) failed with `error`."""
    if isinstance(error, AuthenticationError):
        return ReadModelUnavailable(
            f"Redis refuses the login: {where}: {error}. Check user and password in {SETTING}."
        )
    return ReadModelUnavailable(
        f"Redis does not answer: {where}: {error}. Start it, or correct {SETTING}."
    )


def _options(answer_seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": answer_seconds,
        "socket_connect_timeout": CONNECT_SECONDS,
        "protocol": RESP_VERSION,
        "decode_responses": False,
    }


def _check_options(url: str, pool: redis.ConnectionPool | redis.asyncio.ConnectionPool) -> None:
    # A pool takes any option, and only its first connection would stumble over a wrong one.
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        raise unknown_option(url, error) from error


def _check_cluster_options(url: str, options: dict[str, Any]) -> None:
    # The sync cluster drops what it does not know without a word.
    is_encrypted = options.get("ssl", False)
    connection = redis.SSLConnection if is_encrypted else redis.Connection
    options = {name: value for name, value in options.items() if name != "ssl"}
    _check_options(url, redis.ConnectionPool(connection, **options))


def _subscribers(
    url: str, target: RedisTarget, options: dict[str, Any]
) -> Iterator[redis.asyncio.Redis]:
    if target.is_cluster:
        for host, port in target.nodes:
            yield redis.asyncio.Redis(host=host, port=port, **options)
    else:
        yield redis.asyncio.Redis.from_url(url, **options)


def _masters(client: RedisClient) -> Iterator[tuple[str, redis.Redis]]:
    if isinstance(client, redis.cluster.RedisCluster):
        for node in client.nodes_manager.get_nodes_by_server_type("primary"):
            yield f"{node.host}:{node.port}", client.get_redis_connection(node)
        return
    options = client.connection_pool.connection_kwargs
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    yield options.get("path") or f"{host}:{port}", client


def _unsuitable(information: dict[str, Any], *, is_cluster: bool) -> str | None:
    """Say what `INFO` tells against a server, and what to do; None where nothing does."""
    version = str(information.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        return f"is Redis {version}. Take Redis 6.2 or newer, or Valkey."
    if information.get("cluster_enabled", 0) and not is_cluster:
        return f"is a node of a cluster. Write {SETTING} as redis+cluster://host:port,host:port."
    if information.get("role") == "slave" and information.get("slave_read_only", 1):
        return f"is a read-only replica. Name its master in {SETTING}."
    policy = information.get("maxmemory_policy")
    if information.get("maxmemory", 0) and policy != "noeviction":
        return (
            f"may evict keys (maxmemory-policy {policy}). Set maxmemory-policy noeviction there, "
            "or maxmemory 0."
        )
    return None


def _backoff() -> ExponentialWithJitterBackoff:
    return ExponentialWithJitterBackoff(base=0.02, cap=0.2)


def _until(
    seconds: float, is_retryable: Callable[[Exception], bool] | None
) -> Callable[[Exception], bool]:
    """Narrow `is_retryable` to the next `seconds`, and to errors that may pass."""
    deadline = time.monotonic() + seconds

    def may_pass(error: Exception) -> bool:
        return (
            time.monotonic() < deadline
            and not isinstance(error, AuthenticationError)
            and (is_retryable is None or is_retryable(error))
        )

    return may_pass


class _RetryWithin(redis.retry.Retry):
    """Retries by time instead of by number: a refused connection fails in no time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(_backoff(), -1)
        self._seconds = seconds

    def call_with_retry(
        self,
        do: Callable[[], _Answer],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> _Answer:
        within = _until(self._seconds, is_retryable)
        return super().call_with_retry(do, fail, within, with_failure_count)


class _AsyncRetryWithin(redis.asyncio.retry.Retry):
    """The same for async clients."""

    def __init__(self, seconds: float) -> None:
        super().__init__(_backoff(), -1)
        self._seconds = seconds

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[_Answer]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> _Answer:
        within = _until(self._seconds, is_retryable)
        return await super().call_with_retry(do, fail, within, with_failure_count)
