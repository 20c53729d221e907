"""The heads of all partitions in a server process, kept fresh while Redis comes and goes.

A listener hears each flip; a sweep reads all heads every few seconds, since notices can be lost
unseen. No newer version is replaced by an older one, unless the newer one's blocks are gone.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, NamedTuple, Self

from projections.errors import BlockCorrupted, ReadModelUnavailable
from projections.head import FLIPS_CHANNEL, Head, decode_head, head_key
from projections.ranking_lists import ListVersion, RankedCategory
from projections.redis_connection import (
    REDIS_FAILURES,
    open_async_redis,
    open_async_subscriber,
)
from write_side.errors import EventStoreError
from write_side.partitioning import PARTITIONS, partition_of

SWEEP_SECONDS: Final = 5.0
"""A flip whose notice was lost shows after this long at most."""
RECONNECT_SECONDS: Final = 0.25
"""How often a Redis that went away is looked for."""

_log = logging.getLogger(__name__)


class _Replacement(NamedTuple):
    """A head to adopt in place of the one that was known when it was found."""

    known: Head | None
    found: Head | None


class LiveHeads:
    """What every partition shows now. An async context manager: it listens while it is entered.

    `has_reports` says, from a thread, whether the event store holds any report: partitions without
    a head are then lost or not made yet, and nothing is told of them rather than that they know no
    category.
    """

    def __init__(
        self,
        redis_url: str,
        store_id: str,
        has_reports: Callable[[], bool],
        *,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        self.redis = open_async_redis(redis_url)
        self.store_id = store_id
        self._redis_url = redis_url
        self._has_reports = has_reports
        self._sweep_seconds = sweep_seconds
        self._heads: Mapping[int, Head] = {}
        self._available = False
        self._reason = "the read model was not read yet"
        self._watchers: dict[int, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []
        self._sweep_now = asyncio.Event()
        self._categories: tuple[Mapping[int, Head], list[RankedCategory]] = ({}, [])

    async def __aenter__(self) -> Self:
        with contextlib.suppress(ReadModelUnavailable):
            await self.refresh(range(PARTITIONS))
        self._tasks = [
            asyncio.create_task(self._listen(), name="flips"),
            asyncio.create_task(self._sweep(), name="sweep"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        # A client's time limit can swallow a cancellation that comes at the same moment.
        waiting: set[asyncio.Task[None]] = set(self._tasks)
        while waiting:
            for task in waiting:
                task.cancel()
            waiting = (await asyncio.wait(waiting, timeout=0.1))[1]
        with contextlib.suppress(*REDIS_FAILURES):
            await self.redis.aclose()

    @property
    def heads(self) -> Mapping[int, Head]:
        """The heads by partition; a mapping that never changes. Raises `ReadModelUnavailable`."""
        if not self._available:
            raise ReadModelUnavailable(self._reason)
        return self._heads

    def head_version(self, partition: int) -> ListVersion | None:
        """Return what a partition shows; raises `ReadModelUnavailable`."""
        head = self.heads.get(partition)
        return None if head is None else version_of(head)

    def categories_of(self, heads: Mapping[int, Head]) -> list[RankedCategory]:
        """Return all categories that heads know, in the order of their bytes."""
        if self._categories[0] is not heads:
            found = [category for head in heads.values() for category in _categories_of(head)]
            found.sort(key=lambda category: category.category_id.encode())
            self._categories = (heads, found)
        return self._categories[1]

    async def changes(self, category_id: str) -> AsyncIterator[None]:
        """Yield at once, then whenever the category's partition may show something new."""
        changed = asyncio.Event()
        changed.set()
        watchers = self._watchers[partition_of(category_id)]
        watchers.add(changed)
        try:
            while True:
                await changed.wait()
                changed.clear()
                yield
        finally:
            watchers.discard(changed)

    def suspect(self) -> None:
        """Look at Redis soon: a read failed."""
        self._sweep_now.set()

    async def refresh(self, partitions: Iterable[int]) -> None:
        """Read the heads of partitions.

        Raises `ReadModelUnavailable` where Redis does not answer, and is unavailable then; also,
        without raising, while heads are missing that there should be.
        """
        wanted = list(partitions)
        try:
            pipeline = self.redis.pipeline(transaction=False)
            for partition in wanted:
                pipeline.hget(head_key(partition), "head")
            answers = await pipeline.execute()
            found = dict(zip(wanted, map(self._decoded, answers), strict=True))
            fresh = {
                p: _Replacement(known, head)
                for p, head in found.items()
                if await self._replaces(known := self._heads.get(p), head)
            }
        except REDIS_FAILURES as error:
            self._lost(f"Redis does not answer: {error}")
            raise ReadModelUnavailable(self._reason) from error
        changed = self._adopt(fresh)
        missing = PARTITIONS - len(self._heads)
        if missing and await self._expects_heads():
            self._lost(f"{missing} partitions are lost or not made yet; a projection worker does")
            return
        woken = changed if self._available else range(PARTITIONS)
        self._available = True
        self._wake(woken)

    def _decoded(self, data: bytes | None) -> Head | None:
        if data is None:
            return None
        try:
            head = decode_head(data)
        except BlockCorrupted as error:
            _log.warning("%s; it is made anew by a projection worker", error)
            return None
        return head if head.store_id == self.store_id else None

    async def _expects_heads(self) -> bool:
        try:
            return await asyncio.to_thread(self._has_reports)
        except EventStoreError as error:
            _log.warning("%s", error)
            return True

    async def _replaces(self, known: Head | None, found: Head | None) -> bool:
        if known is None or found is None:
            older = known is not None
        elif found.identity == known.identity:
            return False
        else:
            older = found.version < known.version
        if not older or known is None:
            return found is not None
        pipeline = self.redis.pipeline(transaction=False)
        for segment in known.segments():
            pipeline.exists(segment.key)
        return not all(await pipeline.execute())

    def _adopt(self, fresh: Mapping[int, _Replacement]) -> set[int]:
        heads = dict(self._heads)
        changed: set[int] = set()
        for partition, (known, found) in fresh.items():
            current = heads.get(partition)
            if (
                current is not None
                and current is not known
                and (found is None or found.version < current.version)
            ):
                continue  # another refresh ended first, and may have read later
            if found is not None:
                heads[partition] = found
            else:
                heads.pop(partition, None)
            changed.add(partition)
        if changed:
            self._heads = heads
        return changed

    def _lost(self, reason: str) -> None:
        self._reason = f"{reason}. Rankings return by themselves when it does"
        if self._available:
            _log.warning("%s", self._reason)
            self._available = False
            self._wake(range(PARTITIONS))

    def _wake(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            for changed in self._watchers.get(partition, ()):
                changed.set()

    async def _sweep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                seconds = self._sweep_seconds if self._available else RECONNECT_SECONDS
                await asyncio.wait_for(self._sweep_now.wait(), seconds)
            self._sweep_now.clear()
            with contextlib.suppress(ReadModelUnavailable):
                await self.refresh(range(PARTITIONS))

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (*REDIS_FAILURES, ReadModelUnavailable, OSError) as error:
                self._lost(f"the connection to Redis was lost: {error}")
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        client = await open_async_subscriber(self._redis_url)
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(FLIPS_CHANNEL)
                await self.refresh(range(PARTITIONS))
                while True:
                    message = await subscription.get_message(timeout=self._sweep_seconds)
                    told: set[int] = set()
                    while message is not None:
                        if message["data"].isdigit():
                            told.add(int(message["data"]))
                        message = await subscription.get_message(timeout=0)
                    if told:
                        await self.refresh(sorted(told))
        finally:
            await client.aclose()


def version_of(head: Head) -> ListVersion:
    """Return what caches and cursors call a head's version."""
    return ListVersion(head.generation, head.version)


def _categories_of(head: Head) -> Iterable[RankedCategory]:
    starts = head.windows["all_time"].by_id.starts.tolist()
    for place, category_id in enumerate(head.categories):
        yield RankedCategory(category_id, starts[place + 1] - starts[place], head.as_of_hour)
