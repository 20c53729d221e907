"""Flips: one at a time, only of whole builds, and what becomes of those that lose."""

import time

import msgspec
import pytest

from projections.flips import RETIRED_SECONDS, Flip, discard, flip, renew
from projections.head import FLIPS_CHANNEL, Head, head_key, retired_head_key, retired_key
from projections.read_model_tables import LiveHead, read_live_heads
from projections.read_model_writer import BUILD_SECONDS
from projections.redis_connection import RedisClient, open_redis
from projections.retired import retired_bytes
from tests.projections.tables import PARTITION, Totals, store_tables

NOTHING = LiveHead("", None)
ROWS: Totals = {"c0": {f"p{n:05d}": (n, n) for n in range(300)}}


@pytest.fixture
def redis(any_redis_url: str) -> RedisClient:
    return open_redis(any_redis_url)


def build(redis: RedisClient, version: int) -> Head:
    """Write a build; its head may have another version than `store_tables` gives it."""
    return msgspec.structs.replace(store_tables(redis, ROWS), version=version)


def live(redis: RedisClient) -> LiveHead:
    return read_live_heads(redis, [PARTITION])[PARTITION]


def lives(redis: RedisClient, head: Head) -> set[int]:
    """Return the seconds that a head's segments live: -1 for ever, -2 where they are gone."""
    return {redis.ttl(segment.key) for segment in head.segments()}


def test_a_flipped_build_lives_on_and_the_replaced_one_goes_later(redis: RedisClient) -> None:
    first, second = build(redis, 1), build(redis, 2)
    assert flip(redis, first, NOTHING) is Flip.FLIPPED
    assert lives(redis, first) == {-1}
    assert flip(redis, second, live(redis)) is Flip.FLIPPED
    assert live(redis) == LiveHead(second.identity, second)
    assert lives(redis, second) == {-1}
    assert all(RETIRED_SECONDS - 60 < each <= RETIRED_SECONDS for each in lives(redis, first))
    kept = retired_head_key(PARTITION, first.generation, first.version)
    for key in (kept, retired_key(PARTITION)):
        assert RETIRED_SECONDS - 60 < redis.ttl(key) <= RETIRED_SECONDS
    assert retired_bytes(redis, [PARTITION]) == {PARTITION: first.size}


def test_a_flip_that_is_sent_again_changes_nothing(redis: RedisClient) -> None:
    first, second = build(redis, 1), build(redis, 2)
    flip(redis, first, NOTHING)
    replaced = live(redis)
    assert flip(redis, second, replaced) is Flip.FLIPPED
    assert flip(redis, second, replaced) is Flip.FLIPPED
    assert lives(redis, second) == {-1}
    assert redis.zcard(retired_key(PARTITION)) == 1


def test_a_build_that_is_not_whole_never_becomes_live(redis: RedisClient) -> None:
    head = build(redis, 1)
    segment = next(head.segments())
    redis.hdel(segment.key, "0")
    assert flip(redis, head, NOTHING) is Flip.MISSING
    redis.delete(segment.key)
    assert flip(redis, head, NOTHING) is Flip.MISSING
    assert not redis.exists(head_key(PARTITION))


def test_a_build_that_comes_second_is_not_live_and_can_be_discarded(redis: RedisClient) -> None:
    first, second = build(redis, 1), build(redis, 1)
    assert flip(redis, first, NOTHING) is Flip.FLIPPED
    assert flip(redis, second, NOTHING) is Flip.MOVED
    discard(redis, [first, second])
    assert lives(redis, first) == {-1}
    assert lives(redis, second) == {-2}


def test_discarding_spares_the_blocks_of_others_that_a_build_names(redis: RedisClient) -> None:
    first, second = build(redis, 1), build(redis, 2)
    mixed = msgspec.structs.replace(second, windows=first.windows)
    flip(redis, first, NOTHING)
    discard(redis, [mixed])
    assert lives(redis, first) == {-1}
    assert {redis.exists(segment.key) for segment in second.lists} == {0}


def test_a_build_is_renewed_while_it_is_verified(redis: RedisClient) -> None:
    head = build(redis, 1)
    for segment in head.segments():
        redis.expire(segment.key, 5)
    renew(redis, [head])
    assert min(lives(redis, head)) > BUILD_SECONDS - 60


def test_what_is_retired_is_forgotten_when_its_time_is_over(redis: RedisClient) -> None:
    redis.zadd(retired_key(PARTITION), {"g:0:gone=1000": time.time() - 1, "g:0:b=7": 9e9})
    flip(redis, build(redis, 1), NOTHING)
    replaced = live(redis)
    flip(redis, build(redis, 2), replaced)
    members = redis.zrange(retired_key(PARTITION), 0, -1)
    size = replaced.head.size if replaced.head else 0
    assert members == [f"{replaced.identity}={size}".encode(), b"g:0:b=7"]


def test_a_damaged_head_is_replaced_with_all_that_it_named(redis: RedisClient) -> None:
    first, second = build(redis, 1), build(redis, 2)
    flip(redis, first, NOTHING)
    redis.hset(head_key(PARTITION), "head", b"no head")
    damaged = live(redis)
    assert (damaged.identity, damaged.head) == (first.identity, None)
    assert damaged.segments == tuple(first.segments())
    assert flip(redis, second, damaged) is Flip.FLIPPED
    assert all(0 < each <= RETIRED_SECONDS for each in lives(redis, first))


def test_a_flip_is_told_to_all_readers(redis_url: str) -> None:
    with open_redis(redis_url) as redis, redis.pubsub() as told:
        told.subscribe(FLIPS_CHANNEL)
        assert told.get_message(timeout=5) is not None
        flip(redis, build(redis, 1), NOTHING)
        message = told.get_message(timeout=5)
        assert message is not None
        assert message["data"] == str(PARTITION).encode()
