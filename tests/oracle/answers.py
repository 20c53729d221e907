"""The oracle's answers at one version, in the shape in which a system is asked."""

from dataclasses import dataclass, field

import polars as pl

from tests.oracle.rankings import Oracle


@dataclass(frozen=True)
class RankedRow:
    """A row of a list; `amount_minor` in minor units, or the text that is no such amount."""

    position: int | None
    rank: int
    previous_rank: int | None
    product_id: str
    units: int
    amount_minor: int | str


@dataclass
class RankedList:
    """A list as far as it was asked for, and how long it is in all."""

    total_count: int = 0
    rows: list[RankedRow] = field(default_factory=list)


class Answers:
    """All lists, categories and products at one version."""

    def __init__(self, oracle: Oracle, version: int) -> None:
        self.categories = oracle.categories(version)
        self.products = oracle.products(version)
        self.as_of = oracle.as_of(version)
        self.lists = ranked_lists(oracle.at(version))
        self._places = {
            (name, row.product_id): row
            for name, ranked in self.lists.items()
            for row in ranked.rows
        }

    def ranked(self, category: str, window: str, metric: str) -> RankedList:
        return self.lists.get((category, window, metric), RankedList())

    def place(self, category: str, window: str, metric: str, product: str) -> RankedRow | None:
        return self._places.get(((category, window, metric), product))


def ranked_lists(frame: pl.DataFrame) -> dict[tuple[str, str, str], RankedList]:
    lists: dict[tuple[str, str, str], RankedList] = {}
    for row in frame.iter_rows(named=True):
        ranked = lists.setdefault(
            (row["category_id"], row["window"], row["metric"]), RankedList(row["total_count"])
        )
        ranked.rows.append(
            RankedRow(
                row["position"],
                row["rank"],
                row["previous_rank"],
                row["product_id"],
                row["units"],
                row["amount_minor"],
            )
        )
    return lists
