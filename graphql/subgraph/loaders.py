"""Loaders that make one question of the many that the entities of an operation ask.

They remember answers, so an operation gets its own: on a WebSocket a connection's would go stale.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

import msgspec
from strawberry.dataloader import DataLoader

from projections.ranking_lists import ProductRanks, RankingMetric, RankingPage, RankingWindow
from projections.rankings_query import RankingsView
from subgraph.ranking_pages import PageRequest, read_page


class RanksOfProduct(msgspec.Struct, frozen=True):
    """A product's ranks that someone asked for."""

    product_id: str
    window: RankingWindow
    metric: RankingMetric
    category_ids: tuple[str, ...] | None


class RankingLoaders:
    """The loaders of one operation, over its view."""

    def __init__(self, view: Callable[[], RankingsView]) -> None:
        """Take the operation's view, asked for when it is first needed."""
        self._view = view
        self.pages: DataLoader[PageRequest, RankingPage] = DataLoader(self._load_pages)
        self.product_ranks: DataLoader[RanksOfProduct, ProductRanks] = DataLoader(self._load_ranks)

    async def _load_pages(self, requests: list[PageRequest]) -> list[RankingPage | BaseException]:
        view = self._view()
        return await asyncio.gather(
            *(read_page(view, request) for request in requests), return_exceptions=True
        )

    async def _load_ranks(self, wanted: list[RanksOfProduct]) -> list[ProductRanks]:
        view = self._view()
        groups: dict[
            tuple[RankingWindow, RankingMetric, tuple[str, ...] | None], list[RanksOfProduct]
        ] = defaultdict(list)
        for one in wanted:
            groups[one.window, one.metric, one.category_ids].append(one)
        answers = await asyncio.gather(
            *(
                view.product_ranks([one.product_id for one in group], *question)
                for question, group in groups.items()
            )
        )
        found = {
            one: ranks
            for group, answer in zip(groups.values(), answers, strict=True)
            for one, ranks in zip(group, answer, strict=True)
        }
        return [found[one] for one in wanted]
