"""Builds: what lies where before a flip, and what a failed one leaves."""

import pytest

from projections import read_model_writer
from projections.errors import ReadModelUnavailable
from projections.read_model_writer import BUILD_SECONDS
from projections.redis_connection import RedisClient, open_redis
from tests.projections.tables import Totals, store_tables

ROWS: Totals = {"c0": {f"p{n:05d}": (n, n) for n in range(3000)}}


@pytest.fixture
def redis(redis_url: str) -> RedisClient:
    return open_redis(redis_url)


def test_all_keys_of_a_build_have_a_time_to_live(redis: RedisClient) -> None:
    head = store_tables(redis, ROWS)
    keys = {key.decode() for key in redis.scan_iter()}
    assert keys == {segment.key for segment in head.segments()}
    assert all(BUILD_SECONDS - 60 < redis.ttl(key) <= BUILD_SECONDS for key in keys)


def test_segments_say_how_many_blocks_and_bytes_they_have(redis: RedisClient) -> None:
    for segment in store_tables(redis, ROWS).segments():
        blocks = redis.hvals(segment.key)
        assert (len(blocks), sum(map(len, blocks))) == (segment.blocks, segment.size)


def test_a_build_that_redis_has_no_memory_for_is_removed(
    redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_model_writer, "_BYTES_AT_ONCE", 1)
    put = read_model_writer._Sink.flush
    calls: list[read_model_writer._Sink] = []

    def flush(sink: read_model_writer._Sink) -> None:
        calls.append(sink)
        if len(calls) == 6:
            redis.config_set("maxmemory", "1")
        put(sink)

    monkeypatch.setattr(read_model_writer._Sink, "flush", flush)
    try:
        with pytest.raises(ReadModelUnavailable, match="blocks can't be written"):
            store_tables(redis, ROWS)
    finally:
        redis.config_set("maxmemory", "0")
    assert len(calls) == 6
    assert list(redis.scan_iter()) == []


def test_two_builds_of_the_same_tables_share_no_key_and_all_content(redis: RedisClient) -> None:
    first, second = store_tables(redis, ROWS), store_tables(redis, ROWS)
    assert {each.key for each in first.segments()}.isdisjoint(e.key for e in second.segments())
    for one, other in zip(first.segments(), second.segments(), strict=True):
        assert redis.hgetall(one.key) == redis.hgetall(other.key)
