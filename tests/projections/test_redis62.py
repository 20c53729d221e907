"""The oldest Redis that is supported does for everything: folding, readers, cursors and repair."""

from pathlib import Path

import pytest

from projections.ranking_lists import RankingList, RankingMetric, RankingWindow
from projections.redis_connection import check_server, open_redis
from projections.redis_rankings import RedisRankings
from tests.projections.shops import Shop, some_operations
from write_side.partitioning import PARTITIONS, partition_of
from write_side.store_identity import store_identity

pytestmark = pytest.mark.anyio


async def test_a_feed_is_folded_and_read_on_redis_6_2(redis62_url: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, redis62_url)
    operations = some_operations(6, seed=31)
    ranking = RankingList("c0", RankingWindow.ALL_TIME, RankingMetric.UNITS)
    store_id = store_identity(shop.store).store_id
    with open_redis(redis62_url) as redis:
        check_server(redis)
        async with RedisRankings(redis62_url, shop.store, store_id) as rankings:
            shop.record(operations[0])
            shop.project()
            await rankings.heads.refresh(range(PARTITIONS))
            first = await rankings.view().page(ranking, 0, 100)
            for operation in operations[1:]:
                shop.record(operation)
                assert shop.project().behind == 0
            await rankings.heads.refresh(range(PARTITIONS))
            view = rankings.view()
            assert view.list_version("c0") != first.at
            assert await view.page(ranking, 0, 100, first.at) == first
            (ranks,) = await view.product_ranks([first.items[0].product_id], *ranking_of(ranking))
            assert any(one.ranking == ranking for one in ranks.ranks)
        for key in redis.scan_iter(f"{{{partition_of('c0'):02d}}}:*"):
            redis.delete(key)
    assert shop.project().behind == 0
    await shop.check_lists()
    shop.assert_published_once()
    shop.close()


def ranking_of(ranking: RankingList) -> tuple[RankingWindow, RankingMetric]:
    return ranking.window, ranking.metric
