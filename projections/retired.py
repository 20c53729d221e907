"""What replaced versions still hold, and whether there is room for one more.

A partition waits while its replaced versions hold more than the live one: reports gather until
some of that is gone, so that memory is bounded by about twice the live bytes.
"""

import time
from collections.abc import Iterable, Sequence

from projections.errors import ReadModelUnavailable
from projections.head import retired_key
from projections.read_model import ReadModel
from projections.read_model_tables import LiveHead
from projections.redis_connection import REDIS_FAILURES, RedisClient


def retired_bytes(redis: RedisClient, partitions: Sequence[int]) -> dict[int, int]:
    """Return the bytes of replaced blocks that partitions still keep, about.

    Raises `ReadModelUnavailable`.
    """
    try:
        pipeline = redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.zrangebyscore(retired_key(partition), time.time(), "+inf")
        answers = pipeline.execute()
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"what is retired can't be read: {error}") from error
    return {
        partition: sum(int(member.rpartition(b"=")[2]) for member in members)
        for partition, members in zip(partitions, answers, strict=True)
    }


def has_room(model: ReadModel, live: LiveHead, retired: int, flips: int = 1) -> bool:
    """Return whether a partition may be flipped, so many times one after the other."""
    size = sum(segment.size for segment in live.segments)
    return retired + (flips - 1) * size <= max(size, model.retired_bytes)


def without_room(model: ReadModel, partitions: Iterable[int]) -> list[int]:
    """Return the partitions whose usable head may not be replaced yet.

    Raises `ReadModelUnavailable`.
    """
    wanted = list(partitions)
    live = model.known.read(model.redis, wanted)
    retired = retired_bytes(model.redis, wanted)
    return [
        partition
        for partition, one in live.items()
        if one.head is not None and not has_room(model, one, retired[partition])
    ]
