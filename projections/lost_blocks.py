"""Finds blocks that are lost under an intact head, which no version number tells."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from projections.errors import ReadModelUnavailable
from projections.head import Head
from projections.redis_connection import REDIS_FAILURES, RedisClient

CHECK_SECONDS: Final = 60.0
"""How often a worker looks whether all blocks are there."""
_SEGMENTS_AT_ONCE: Final = 1_000


class BlocksCheck:
    """Says when to look for lost blocks: at first, now and then, and until none are lost."""

    def __init__(
        self, seconds: float = CHECK_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._passed: float | None = None

    @property
    def is_due(self) -> bool:
        """Whether to look now."""
        return self._passed is None or self._clock() - self._passed >= self._seconds

    def passed(self) -> None:
        """Nothing was lost just now."""
        self._passed = self._clock()


def partitions_with_lost_blocks(redis: RedisClient, heads: Mapping[int, Head]) -> frozenset[int]:
    """Return the partitions whose heads name segments that are not there whole.

    Raises `ReadModelUnavailable`.
    """
    lost: set[int] = set()
    named = [(p, segment) for p, head in heads.items() for segment in head.segments()]
    for start in range(0, len(named), _SEGMENTS_AT_ONCE):
        some = named[start : start + _SEGMENTS_AT_ONCE]
        try:
            pipeline = redis.pipeline(transaction=False)
            for _, segment in some:
                pipeline.hlen(segment.key)
            answers = pipeline.execute()
        except REDIS_FAILURES as error:
            raise ReadModelUnavailable(f"blocks can't be looked for: {error}") from error
        lost.update(
            partition
            for (partition, segment), blocks in zip(some, answers, strict=True)
            if blocks != segment.blocks
        )
    return frozenset(lost)
