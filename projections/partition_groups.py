"""Which partitions are folded together, in one frame.

A small shop's 64 partitions must not cost 64 times the overhead, and a large one's must not lie
in memory all at once.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from projections.head import Head
from projections.ranking_lists import WINDOWS
from projections.read_model import ReadModel, usable_version
from projections.read_model_tables import LiveHead
from write_side.events import rankings_stream
from write_side.partitioning import PARTITIONS
from write_side.report_history import ReportHistory

ROWS_TOGETHER: Final = 4_000_000
"""Table rows folded in one frame, about: bounds memory, keeps small shops' partitions together."""


@dataclass(frozen=True)
class Group:
    """Partitions that are folded together, from the same version."""

    partitions: tuple[int, ...]
    base: int | None
    """The version that their blocks hold; null where they are made from the totals."""
    published: int


def groups_behind(
    model: ReadModel,
    history: ReportHistory,
    live: Mapping[int, LiveHead],
    partitions: Iterable[int],
    lost: frozenset[int],
) -> Iterator[Group]:
    """Yield partitions in groups; those with `lost` blocks, or no usable head, are made anew."""
    alike: dict[tuple[int | None, int], list[int]] = defaultdict(list)
    for partition in partitions:
        base = None if partition in lost else usable_version(model, history, live[partition])
        published = last_published(model, partition)
        if base is not None and base > published:
            base = None  # the store lost what was published: the versions between must be made
        alike[base, published].append(partition)
    anew = _rows_anew(history)
    for (base, published), members in alike.items():
        sizes = {
            partition: anew if base is None or head is None else _rows_of(head)
            for partition in members
            for head in (live[partition].head,)
        }
        for together in _together(members, sizes):
            yield Group(together, base, published)


def groups_anew(history: ReportHistory, partitions: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield which partitions to make from the totals together."""
    return _together(partitions, dict.fromkeys(partitions, _rows_anew(history)))


def last_published(model: ReadModel, partition: int) -> int:
    """Return the last version whose lists of a partition are published, -1 before the first."""
    return model.store.last_version(rankings_stream(partition))


def _rows_anew(history: ReportHistory) -> int:
    return sum(event.rows for event in history.in_force.values()) // PARTITIONS


def _together(partitions: Sequence[int], sizes: Mapping[int, int]) -> Iterator[tuple[int, ...]]:
    group: list[int] = []
    rows = 0
    for partition in partitions:
        size = sizes[partition]
        if group and rows + size > ROWS_TOGETHER:
            yield tuple(group)
            group, rows = [], 0
        group.append(partition)
        rows += size
    if group:
        yield tuple(group)


def _rows_of(head: Head) -> int:
    return sum(int(head.window(window).by_id.starts[-1]) for window in WINDOWS)
