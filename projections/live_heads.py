"""The heads of all partitions in a server process, kept fresh while Redis comes and goes.

A listener hears each flip; a sweep looks for new heads every few seconds, since notices can be
lost unseen. No newer version is replaced by an older one, unless the newer one's blocks are gone.
Each partition is available or not by itself: what needs only the others goes on.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Self

from redis.asyncio.cluster import RedisCluster
from redis.exceptions import ConnectionError as NodeLost

from projections.errors import BlockCorrupted, ReadModelUnavailable
from projections.head import FLIPS_CHANNEL, Head, decode_head, head_key
from projections.ranking_lists import ListVersion
from projections.redis_connection import (
    REDIS_FAILURES,
    open_async_redis,
    open_async_subscriber,
)
from projections.shown_heads import ShownHeads, version_of
from write_side.errors import EventStoreError
from write_side.partitioning import PARTITIONS, partition_of

SWEEP_SECONDS: Final = 5.0
"""A flip whose notice was lost shows after this long at most."""
RECONNECT_SECONDS: Final = 0.25
"""How often a Redis that went away is looked for."""

_EVERY_PARTITION: Final = frozenset(range(PARTITIONS))
_LOST: Final = (
    "partitions are lost or not made yet; a projection worker makes them. Rankings return by "
    "themselves then"
)

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
        self._known: Mapping[int, Head] = {}
        self._told_away = False
        self._away: Mapping[int, str] = dict.fromkeys(
            range(PARTITIONS), "the read model was not read yet"
        )
        self._shown = ShownHeads(self._known, self._away)
        self._watchers: dict[int, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []
        self._sweep_now = asyncio.Event()

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
    def shown(self) -> ShownHeads:
        """What all partitions show now; raises `ReadModelUnavailable` where all are away."""
        if len(self._away) == PARTITIONS:
            raise ReadModelUnavailable(next(iter(self._away.values())))
        return self._shown

    @property
    def heads(self) -> Mapping[int, Head]:
        """The heads that can be read; raises `ReadModelUnavailable` where all are away."""
        return self.shown.heads

    def head_version(self, partition: int) -> ListVersion | None:
        """Return what a partition shows; raises `ReadModelUnavailable`."""
        head = self._shown.head(partition)
        return None if head is None else version_of(head)

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
        """Look at the heads of partitions, and read those that are not known.

        Raises `ReadModelUnavailable` where Redis does not answer for one of them; it is away then,
        and so is, without raising, one whose head is missing though there should be one.
        """
        wanted = list(partitions)
        found, away = await self._read(wanted)
        fresh: dict[int, _Replacement] = {}
        for partition, head in found.items():
            known = self._known.get(partition)
            try:
                if await self._replaces(known, head):
                    fresh[partition] = _Replacement(known, head)
            except REDIS_FAILURES as error:
                away[partition] = _silent(error)
        changed = self._adopt(fresh)
        failed = next(iter(away.values()), None)
        missing = [p for p in wanted if p not in away and p not in self._known]
        if missing and await self._expects_heads():
            away |= dict.fromkeys(missing, _LOST)
        self._show(wanted, away, changed)
        if failed is not None:
            raise ReadModelUnavailable(failed)

    async def _read(
        self, partitions: Sequence[int]
    ) -> tuple[dict[int, Head | None], dict[int, str]]:
        """Return the heads that differ from the known ones, and why others can't be read."""
        identities = await self._fields(partitions, "identity")
        unknown = [
            partition
            for partition, identity in identities.items()
            if isinstance(identity, bytes)
            and (
                partition not in self._known or self._known[partition].identity.encode() != identity
            )
        ]
        answers = {
            partition: identity
            for partition, identity in identities.items()
            if not isinstance(identity, bytes)
        } | await self._fields(unknown, "head")
        found: dict[int, Head | None] = {}
        away: dict[int, str] = {}
        for partition, answer in answers.items():
            if isinstance(answer, Exception):
                away[partition] = _silent(answer)
            else:
                found[partition] = self._decoded(answer)
        return found, away

    async def _fields(
        self, partitions: Sequence[int], field: str
    ) -> dict[int, bytes | Exception | None]:
        """Return a field of heads, or why it can't be read; one master's fault is not another's."""
        answers: dict[int, bytes | Exception | None] = {}
        try:
            groups = await self._by_node(partitions)
        except REDIS_FAILURES as error:
            return dict.fromkeys(partitions, error)
        for among, some in zip(
            groups,
            await asyncio.gather(*(self._fields_of_node(among, field) for among in groups)),
            strict=True,
        ):
            # A cluster's client that loses one master closes its connections to the others too.
            if len(groups) > 1 and any(isinstance(one, NodeLost) for one in some.values()):
                answers |= await self._fields_of_node(among, field)
            else:
                answers |= some
        return answers

    async def _by_node(self, partitions: Sequence[int]) -> list[list[int]]:
        if not partitions or not isinstance(self.redis, RedisCluster):
            return [list(partitions)] if partitions else []
        await self.redis.initialize()
        nodes: dict[str, list[int]] = defaultdict(list)
        for partition in partitions:
            try:
                node = self.redis.get_node_from_key(head_key(partition))
                name = "nowhere" if node is None else str(node.name)
            except REDIS_FAILURES:
                name = "nowhere"
            nodes[name].append(partition)
        return list(nodes.values())

    async def _fields_of_node(
        self, partitions: Sequence[int], field: str
    ) -> dict[int, bytes | Exception | None]:
        pipeline = self.redis.pipeline(transaction=False)
        for partition in partitions:
            pipeline.hget(head_key(partition), field)
        try:
            answers = await pipeline.execute(raise_on_error=False)
        except REDIS_FAILURES as error:
            return dict.fromkeys(partitions, error)
        return dict(zip(partitions, answers, strict=True))

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
        alive = await pipeline.execute()
        # Nothing shows of a head without blocks whether it is still true: only a head can.
        return not all(alive) or (found is None and not alive)

    def _adopt(self, fresh: Mapping[int, _Replacement]) -> set[int]:
        heads = dict(self._known)
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
        self._known = heads
        return changed

    def _show(self, partitions: Iterable[int], away: Mapping[int, str], changed: set[int]) -> None:
        asked = set(partitions)
        before = set(self._away)
        self._away = {p: why for p, why in self._away.items() if p not in asked} | dict(away)
        after = set(self._away)
        if changed or self._away != self._shown.away:
            self._shown = ShownHeads(self._known, self._away)
        if lost := sorted(after - before):
            _log.warning("%d partitions can't be read: %s", len(lost), self._away[lost[0]])
        self._told_away |= bool(lost)
        if self._told_away and not after:
            _log.warning("all partitions can be read again")
            self._told_away = False
        self._wake(changed | (before ^ after))

    def _wake(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            for changed in self._watchers.get(partition, ()):
                changed.set()

    async def _sweep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                seconds = RECONNECT_SECONDS if self._away else self._sweep_seconds
                await asyncio.wait_for(self._sweep_now.wait(), seconds)
            self._sweep_now.clear()
            with contextlib.suppress(ReadModelUnavailable):
                await self.refresh(range(PARTITIONS))

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (*REDIS_FAILURES, ReadModelUnavailable, OSError) as error:
                _log.warning("the connection that hears flips was lost: %s", error)
                self.suspect()
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        client = await open_async_subscriber(self._redis_url)
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(FLIPS_CHANNEL)
                with contextlib.suppress(ReadModelUnavailable):
                    await self.refresh(range(PARTITIONS))
                while True:
                    message = await subscription.get_message(timeout=self._sweep_seconds)
                    told: set[int] = set()
                    while message is not None:
                        if message["data"].isdigit():
                            told.add(int(message["data"]))
                        message = await subscription.get_message(timeout=0)
                    if told:
                        with contextlib.suppress(ReadModelUnavailable):
                            await self.refresh(sorted(told & _EVERY_PARTITION))
        finally:
            await client.aclose()


def _silent(error: Exception) -> str:
    return f"Redis does not answer: {error}. Rankings return by themselves when it does"
