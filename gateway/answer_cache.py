"""A bounded memory of finished answers: exact, because each names the versions it was made of.

An answer is given again only while every partition that it depends on shows that very version in
this process, so nothing goes stale by a clock. Equal requests that miss together are made once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

from gateway.answers import Answer
from gateway.metrics import GatewayMetrics
from projections.errors import ReadModelUnavailable
from projections.rankings_query import LiveRankings

AnswerKey = tuple[bytes, ...]
"""What was asked, byte for byte."""

_ENTRY_OVERHEAD: Final = 1_000
"""Bytes that an entry costs beside its key and body: headers, versions, places in tables."""
_LARGEST_SHARE: Final = 16
"""An answer larger than this part of the cache is not kept: it would push out too many."""


class AnswerCache:
    """Finished answers, the least recently given dropped first. For one event loop."""

    def __init__(
        self, rankings: LiveRankings, metrics: GatewayMetrics, most: int, most_bytes: int
    ) -> None:
        """Keep up to `most` answers of `most_bytes` bytes in all."""
        self._rankings = rankings
        self._metrics = metrics
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[AnswerKey, Answer] = OrderedDict()
        self._flights: dict[Hashable, asyncio.Task[Answer]] = {}

    def kept(self, key: AnswerKey) -> Answer | None:
        """Return the kept answer while it is exact; null where it has to be made.

        Never answers while the read model is away, but keeps what may be exact when it returns.
        """
        answer = self._answers.get(key)
        if answer is None:
            return None
        try:
            is_exact = self._is_shown(answer)
        except ReadModelUnavailable:
            return None
        if not is_exact:
            self._drop(key)
            return None
        self._answers.move_to_end(key)
        self._metrics.cache_hits.inc()
        return answer

    async def answer(self, key: AnswerKey, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return the answer that `make` makes, once for all who ask for it meanwhile.

        Raises what `make` raises. Who gives up waiting does not stop the making for the others.
        """
        flight = self._flights.get(key)
        if flight is not None:
            self._metrics.cache_joins.inc()
            try:
                answer = await asyncio.shield(flight)
            except Exception:
                answer = None
            # It may have begun before a change that this process showed when we asked.
            if answer is not None and self._is_exact(answer):
                return answer
            flight = self._flights.get(key)
        if flight is None:
            self._metrics.cache_misses.inc()
            flight = asyncio.create_task(self._make(key, make))
            flight.add_done_callback(_retrieve)
            self._flights[key] = flight
        return await asyncio.shield(flight)

    async def _make(self, key: AnswerKey, make: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            answer = await make()
        finally:
            del self._flights[key]
        if answer.depends_on:
            self._keep(key, answer)
        return answer

    def _keep(self, key: AnswerKey, answer: Answer) -> None:
        size = _size(key, answer)
        if size * _LARGEST_SHARE > self._most_bytes or not self._is_exact(answer):
            return
        if key in self._answers:
            self._drop(key)
        self._answers[key] = answer
        self._bytes += size
        while len(self._answers) > self._most or self._bytes > self._most_bytes:
            self._drop(next(iter(self._answers)))
        self._measure()

    def _drop(self, key: AnswerKey) -> None:
        self._bytes -= _size(key, self._answers.pop(key))
        self._measure()

    def _measure(self) -> None:
        self._metrics.cached_answers.set(len(self._answers))
        self._metrics.cached_bytes.set(self._bytes)

    def _is_exact(self, answer: Answer) -> bool:
        try:
            return self._is_shown(answer)
        except ReadModelUnavailable:
            return False

    def _is_shown(self, answer: Answer) -> bool:
        if answer.depends_on is None:
            return False
        shown = self._rankings.head_version
        return all(shown(part) == version for part, version in answer.depends_on.items())


def _size(key: AnswerKey, answer: Answer) -> int:
    return _ENTRY_OVERHEAD + sum(map(len, key)) + len(answer.body)


def _retrieve(flight: asyncio.Task[Answer]) -> None:
    # Everyone who waited may be gone: an error that nobody takes must not be reported as lost.
    if not flight.cancelled():
        flight.exception()
