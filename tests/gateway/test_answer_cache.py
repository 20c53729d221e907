"""Finished answers are exact, bounded, and made once for all who ask together."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from gateway.answer_cache import AnswerCache, AnswerKey
from gateway.answers import JSON, Answer, answer
from gateway.metrics import GatewayMetrics
from projections.ranking_lists import ListVersion
from tests.gateway.conftest import HOUR
from tests.gateway.rankings_in_memory import RankingsInMemory

pytestmark = pytest.mark.anyio

KEY: AnswerKey = (b"GET", b"/books", b"")


def cache_of(
    rankings: RankingsInMemory, most: int = 100, most_bytes: int = 10_000_000
) -> AnswerCache:
    return AnswerCache(rankings, GatewayMetrics(CollectorRegistry()), most, most_bytes)


class Maker:
    """Makes answers of what the rankings show, and counts them."""

    def __init__(self, rankings: RankingsInMemory, size: int = 1) -> None:
        self.rankings = rankings
        self.size = size
        self.made = 0
        self.storable = True

    async def __call__(self) -> Answer:
        self.made += 1
        shown: ListVersion | None = self.rankings.head_version(0)
        if self.rankings.gate is not None:
            await self.rankings.gate.wait()
        if self.rankings.failure is not None:
            raise self.rankings.failure
        depends_on = {0: shown} if self.storable else None
        return answer("/books", b"x" * self.size, JSON, depends_on=depends_on)


async def test_an_answer_is_kept_until_its_versions_change(rankings: RankingsInMemory) -> None:
    cache, make = cache_of(rankings), Maker(rankings)
    assert cache.kept(KEY) is None
    made = await cache.answer(KEY, make)
    assert cache.kept(KEY) is made
    rankings.publish(HOUR + 1, {})
    assert cache.kept(KEY) is None
    assert await cache.answer(KEY, make) is not made
    rankings.publish(HOUR + 1, {}, generation="rebuilt")
    assert cache.kept(KEY) is None


async def test_nothing_is_given_while_the_read_model_is_away(rankings: RankingsInMemory) -> None:
    cache = cache_of(rankings)
    await cache.answer(KEY, Maker(rankings))
    rankings.away = True
    assert cache.kept(KEY) is None
    rankings.away = False
    assert cache.kept(KEY) is not None


async def test_what_depends_on_more_is_not_kept(rankings: RankingsInMemory) -> None:
    cache, make = cache_of(rankings), Maker(rankings)
    make.storable = False
    await cache.answer(KEY, make)
    assert cache.kept(KEY) is None


async def test_an_answer_that_was_overtaken_is_not_kept(rankings: RankingsInMemory) -> None:
    cache, make = cache_of(rankings), Maker(rankings)
    rankings.gate = asyncio.Event()
    asking = asyncio.create_task(cache.answer(KEY, make))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    rankings.publish(HOUR + 1, {})
    rankings.gate.set()
    await asking
    assert cache.kept(KEY) is None


async def test_the_least_recently_given_goes_first(rankings: RankingsInMemory) -> None:
    cache, make = cache_of(rankings, most=2), Maker(rankings)
    one, two, three = ((b"GET", b"/%d" % n, b"") for n in range(3))
    await cache.answer(one, make)
    await cache.answer(two, make)
    assert cache.kept(one)
    await cache.answer(three, make)
    assert cache.kept(two) is None
    assert cache.kept(one)
    assert cache.kept(three)


async def test_bytes_are_bounded(rankings: RankingsInMemory) -> None:
    cache = cache_of(rankings, most_bytes=200_000)
    keys = [(b"GET", b"/%d" % n, b"") for n in range(40)]
    for key in keys:
        await cache.answer(key, Maker(rankings, size=9_000))
    kept = [key for key in keys if cache.kept(key)]
    assert kept == keys[-19:]
    too_large = (b"GET", b"/all", b"")
    await cache.answer(too_large, Maker(rankings, size=100_000))
    assert cache.kept(too_large) is None
    assert [key for key in keys if cache.kept(key)] == kept


async def test_equal_requests_are_made_once(rankings: RankingsInMemory) -> None:
    cache, make = cache_of(rankings), Maker(rankings)
    rankings.gate = asyncio.Event()
    asking = [asyncio.create_task(cache.answer(KEY, make)) for _ in range(10)]
    await asyncio.sleep(0.01)
    rankings.gate.set()
    answers = await asyncio.gather(*asking)
    assert make.made == 1
    assert all(one is answers[0] for one in answers)


async def test_a_leader_that_gives_up_takes_nobody_along(rankings: RankingsInMemory) -> None:
    cache, make = cache_of(rankings), Maker(rankings)
    rankings.gate = asyncio.Event()
    leader = asyncio.create_task(cache.answer(KEY, make))
    await asyncio.sleep(0.01)
    follower = asyncio.create_task(cache.answer(KEY, make))
    await asyncio.sleep(0.01)
    leader.cancel()
    await asyncio.gather(leader, return_exceptions=True)
    rankings.gate.set()
    assert (await follower).body == b"x"
    assert make.made == 1


async def test_who_asks_after_a_change_gets_the_changed(rankings: RankingsInMemory) -> None:
    cache, make = cache_of(rankings), Maker(rankings)
    rankings.gate = asyncio.Event()
    before = asyncio.create_task(cache.answer(KEY, make))
    await asyncio.sleep(0.01)
    newest = rankings.publish(HOUR + 1, {})
    after = asyncio.create_task(cache.answer(KEY, make))
    await asyncio.sleep(0.01)
    rankings.gate.set()
    assert (await before).depends_on != {0: newest}
    assert (await after).depends_on == {0: newest}


async def test_a_failure_is_told_to_who_asked_and_not_kept(rankings: RankingsInMemory) -> None:
    cache, make = cache_of(rankings), Maker(rankings)
    rankings.failure = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        await cache.answer(KEY, make)
    rankings.failure = None
    assert (await cache.answer(KEY, make)).body == b"x"
