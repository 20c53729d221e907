"""A read model as its workers hold it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from projections.known_heads import KnownHeads
from projections.lost_blocks import BlocksCheck
from projections.read_model_tables import LiveHead
from projections.redis_connection import RedisClient
from write_side.event_store import EventStore
from write_side.report_history import ReportHistory

RETIRED_BYTES: Final = 8 << 20
"""What a partition's replaced versions may hold, however small the live one is."""


@dataclass(frozen=True)
class ReadModel:
    """Where a read model is made from, and where it is kept."""

    store: EventStore
    store_id: str
    redis: RedisClient
    threads: ThreadPoolExecutor
    """Encodes blocks; as many threads as there are cores."""
    retired_bytes: int = RETIRED_BYTES
    known: KnownHeads = field(default_factory=KnownHeads)
    blocks_check: BlocksCheck = field(default_factory=BlocksCheck)


def usable_version(model: ReadModel, history: ReportHistory, live: LiveHead) -> int | None:
    """Return the version that a partition shows; null where it shows none of this event store."""
    head = live.head
    if head is None or head.store_id != model.store_id or head.version > history.version:
        return None
    return head.version
