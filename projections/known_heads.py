"""Heads that a worker has seen, so that a look at 64 partitions reads only those that changed."""

from collections.abc import Iterable

from projections.head import Head
from projections.read_model_tables import LiveHead, read_identities, read_live_heads
from projections.redis_connection import RedisClient


class KnownHeads:
    """Remembers each partition's last head; a head of the same identity is the same."""

    def __init__(self) -> None:
        self._heads: dict[int, Head] = {}

    def read(self, redis: RedisClient, partitions: Iterable[int]) -> dict[int, LiveHead]:
        """Return what partitions show now; raises `ReadModelUnavailable`."""
        identities = read_identities(redis, partitions)
        known = {
            partition: LiveHead(identity, head)
            for partition, identity in identities.items()
            if (head := self._heads.get(partition)) is not None and head.identity == identity
        }
        changed = [partition for partition in identities if partition not in known]
        read = read_live_heads(redis, changed) if changed else {}
        for partition, live in read.items():
            if live.head is not None:
                self._heads[partition] = live.head
        return {partition: known.get(partition) or read[partition] for partition in identities}

    def learn(self, head: Head) -> None:
        """Remember a head that was made live."""
        self._heads[head.partition] = head

    def forget(self) -> None:
        """Read all heads whole the next time, whatever their identities."""
        self._heads = {}
