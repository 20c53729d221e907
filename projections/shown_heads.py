"""What all partitions show at one moment, some of which may be away."""

from collections.abc import Iterable, Mapping

from projections.errors import ReadModelUnavailable
from projections.head import Head
from projections.ranking_lists import ListVersion, RankedCategory
from write_side.partitioning import PARTITIONS


class ShownHeads:
    """What all partitions show at one moment; never changes."""

    def __init__(self, known: Mapping[int, Head], away: Mapping[int, str]) -> None:
        """Take all known heads, and why partitions can't be told of."""
        self.heads = {partition: head for partition, head in known.items() if partition not in away}
        """The heads that can be read. A partition of no head that is not away knows no category."""
        self.away = dict(away)
        self.categories: list[RankedCategory] | None = None

    def head(self, partition: int) -> Head | None:
        """Return what a partition shows; raises `ReadModelUnavailable`."""
        if partition in self.away:
            raise ReadModelUnavailable(self.away[partition])
        return self.heads.get(partition)

    def of(self, partitions: Iterable[int]) -> Mapping[int, Head]:
        """Return the heads of partitions; raises `ReadModelUnavailable` where one is away."""
        found = {partition: self.head(partition) for partition in partitions}
        return {partition: head for partition, head in found.items() if head is not None}

    def moved(self, fresh: "ShownHeads", partitions: Iterable[int]) -> "ShownHeads":
        """Return these heads, with what `fresh` shows of some partitions."""
        known, away = dict(self.heads), dict(self.away)
        for partition in partitions:
            known.pop(partition, None)
            away.pop(partition, None)
            if partition in fresh.away:
                away[partition] = fresh.away[partition]
            elif partition in fresh.heads:
                known[partition] = fresh.heads[partition]
        return ShownHeads(known, away)


def version_of(head: Head) -> ListVersion:
    """Return what caches and cursors call a head's version."""
    return ListVersion(head.generation, head.version)


def categories_of(shown: ShownHeads) -> list[RankedCategory]:
    """Return all categories, in the order of their bytes; raises `ReadModelUnavailable`."""
    heads = shown.of(range(PARTITIONS))
    if shown.categories is None:
        found = [category for head in heads.values() for category in _categories_of(head)]
        found.sort(key=lambda category: category.category_id.encode())
        shown.categories = found
    return shown.categories


def _categories_of(head: Head) -> Iterable[RankedCategory]:
    starts = head.windows["all_time"].by_id.starts.tolist()
    for place, category_id in enumerate(head.categories):
        yield RankedCategory(category_id, starts[place + 1] - starts[place], head.as_of_hour)
