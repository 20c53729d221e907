"""Makes builds live, keeps them while they wait for that, and removes those that never will be."""

import contextlib
import time
from collections.abc import Iterable
from enum import Enum
from typing import Final

from projections.errors import ReadModelUnavailable
from projections.head import (
    FLIPS_CHANNEL,
    Head,
    encode_head,
    encode_segments,
    head_key,
    retired_head_key,
    retired_key,
    segment_key,
)
from projections.read_model_tables import LiveHead
from projections.read_model_writer import BUILD_SECONDS
from projections.redis_connection import REDIS_FAILURES, RedisClient

RETIRED_SECONDS: Final = 660
"""How long a replaced version can be read: cursors promise 10 minutes."""

_FLIP: Final = """
local current = redis.call('HGET', KEYS[1], 'identity') or ''
if current == ARGV[2] then return 'flipped' end
if current ~= ARGV[1] then return 'moved' end
local fresh = tonumber(ARGV[5])
for i = 1, fresh do
  if redis.call('HLEN', KEYS[3 + i]) ~= tonumber(ARGV[10 + i]) then return 'missing' end
end
for i = 1, fresh do redis.call('PERSIST', KEYS[3 + i]) end
local now, seconds = tonumber(ARGV[9]), tonumber(ARGV[6])
if current ~= '' then
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('EXPIRE', KEYS[2], seconds)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', '(' .. ARGV[9])
  redis.call('ZADD', KEYS[3], now + seconds, current .. '=' .. ARGV[10])
  redis.call('EXPIRE', KEYS[3], seconds)
end
redis.call('HSET', KEYS[1], 'identity', ARGV[2], 'head', ARGV[3], 'segments', ARGV[4])
for i = 4 + fresh, #KEYS do redis.call('EXPIRE', KEYS[i], seconds) end
redis.call('PUBLISH', ARGV[7], ARGV[8])
return 'flipped'
"""
"""KEYS: head, retired head, what is retired, fresh segments, retired segments. ARGV: the identity
folded from, the new one, the new head, what it names, number of fresh segments, seconds that
retired keys live, channel, partition, now, bytes of what is retired now, the blocks in each fresh
segment. A client sends it again where the answer was lost, so a head that is already the new one
is fine."""

_DISCARD: Final = """
if redis.call('HGET', KEYS[1], 'identity') == ARGV[1] then return 0 end
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
"""
"""KEYS: head, segments of a build. ARGV: the build's identity. A flip whose answer was lost may
have been done, and one that comes later finds the build not whole."""


class Flip(Enum):
    """What became of a flip."""

    FLIPPED = "flipped"
    MOVED = "moved"
    """Another worker was first: fold again, from what it made."""
    MISSING = "missing"
    """The build is not whole any more: it took too long, or the server lost it."""


def flip(redis: RedisClient, head: Head, replaced: LiveHead) -> Flip:
    """Make a written head the live one, if `replaced` still is.

    Blocks of the replaced one that the new one does not name get their time to live. Raises
    `ReadModelUnavailable`; the flip may have been done then.
    """
    old_keys = {segment.key: segment.size for segment in replaced.segments}
    new = {segment.key: segment.blocks for segment in head.segments()}
    fresh = [key for key in new if key not in old_keys]
    retired = sorted(old_keys.keys() - new.keys())
    generation, version = (
        (replaced.head.generation, replaced.head.version)
        if replaced.head
        else (replaced.identity or "none", -1)
    )
    keys = [
        head_key(head.partition),
        retired_head_key(head.partition, generation, version),
        retired_key(head.partition),
        *fresh,
        *retired,
    ]
    arguments: list[bytes | str | int] = [
        replaced.identity,
        head.identity,
        encode_head(head),
        encode_segments(head.segments()),
        len(fresh),
        RETIRED_SECONDS,
        FLIPS_CHANNEL,
        head.partition,
        int(time.time()),
        sum(old_keys[key] for key in retired),
        *(new[key] for key in fresh),
    ]
    try:
        answer = redis.eval(_FLIP, len(keys), *keys, *arguments)
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"a version can't be made live: {error}") from error
    return Flip(answer.decode())


def discard(redis: RedisClient, heads: Iterable[Head]) -> None:
    """Remove what builds wrote themselves, unless they are live.

    Where Redis can't be reached it goes by its time to live.
    """
    with contextlib.suppress(*REDIS_FAILURES):
        for head in heads:
            keys = [head_key(head.partition), *_own_keys(head)]
            redis.eval(_DISCARD, len(keys), *keys, head.identity)


def renew(redis: RedisClient, heads: Iterable[Head]) -> None:
    """Let builds that are not live yet live on for their whole time.

    Raises `ReadModelUnavailable`.
    """
    try:
        for head in heads:
            pipeline = redis.pipeline(transaction=False)
            for key in _own_keys(head):
                pipeline.expire(key, BUILD_SECONDS)
            pipeline.execute()
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"a build can't be kept: {error}") from error


def _own_keys(head: Head) -> list[str]:
    """Return the keys that a build wrote itself: others it only names again."""
    own = segment_key(head.partition, head.build, "", 0).removesuffix(":0")
    return [segment.key for segment in head.segments() if segment.key.startswith(own)]
