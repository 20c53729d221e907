"""Single blocks out of Redis, for those who answer requests; one pipelined round trip a call."""

from collections.abc import Iterable, Sequence

from projections.errors import BlockMissing, ReadModelUnavailable
from projections.redis_connection import REDIS_FAILURES, AsyncRedisClient

Place = tuple[str, str]
"""The key of a segment, and the field of a block in it."""


async def fetch_blocks(redis: AsyncRedisClient, places: Iterable[Place]) -> dict[Place, bytes]:
    """Return the bytes of blocks, each fetched once.

    Raises `BlockMissing` where one is gone: its version is over, never that a product is unknown;
    `ReadModelUnavailable`.
    """
    wanted: Sequence[Place] = list(dict.fromkeys(places))
    if not wanted:
        return {}
    try:
        if len(wanted) == 1:
            answers = [await redis.hget(*wanted[0])]
        else:
            pipeline = redis.pipeline(transaction=False)
            for key, field in wanted:
                pipeline.hget(key, field)
            answers = await pipeline.execute()
    except REDIS_FAILURES as error:
        raise ReadModelUnavailable(f"blocks can't be read: {error}") from error
    blocks: dict[Place, bytes] = {}
    for place, data in zip(wanted, answers, strict=True):
        if not isinstance(data, bytes):
            raise BlockMissing(f"block {place[1]} of {place[0]} is not there any more")
        blocks[place] = data
    return blocks
