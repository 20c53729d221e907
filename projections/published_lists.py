"""Published lists: what `RankingsPublished` says, made and read.

Event N of `rankings-PP` is version N of the partition: the first 100 rows of each list with the
ranks before, where that changed, else the number of the event that holds them. Here the lists of
several partitions stand together in one frame, as they are folded; events are of one partition.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from projections.blocks import (
    Block,
    BlockWriter,
    decode_block,
    decode_rows,
    new_compressor,
    row_count,
)
from projections.errors import HistoryMissing
from projections.fold import Categories
from projections.ranking_lists import LISTS_PER_CATEGORY, RankedProduct
from write_side.event_store import EventStore
from write_side.events import RankingsPublished, rankings_stream

ROWS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "list": pl.UInt32(),
    "position": pl.Int32(),
    "rank": pl.Int32(),
    "product_id": pl.String(),
    "units": pl.Int64(),
    "amount_minor": pl.Int64(),
    "previous_rank": pl.Int32(),
}
"""Rows of lists in order; `list` is the category's place x 10 + the list's offset in it."""

_STORED_COLUMNS: Final = ("offset", "rank", "previous_rank", "units", "amount_minor")
"""The columns of an event's blocks, beside the product id; a previous rank of 0 is none."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PublishedLists:
    """The lists of some partitions at one version."""

    version: int
    hour: int | None
    as_of_hour: int
    categories: Categories
    total_counts: IntArray
    held_at: IntArray
    """Number of the event that holds each list's rows; -1 for none: the list is empty."""
    rows: pl.DataFrame
    """`ROWS_SCHEMA`."""


def nothing_published() -> PublishedLists:
    """Return the lists before version 0."""
    none = np.zeros(0, np.int64)
    return PublishedLists(-1, None, 0, Categories(), none, none, pl.DataFrame(schema=ROWS_SCHEMA))


def next_lists(
    before: PublishedLists,
    *,
    hour: int | None,
    as_of_hour: int,
    categories: Categories,
    counts: IntArray,
    rows: pl.DataFrame,
) -> PublishedLists:
    """Return the lists of the version after `before`, given all their rows (`ROWS_SCHEMA`)."""
    version = before.version + 1
    held_at = np.full(len(categories.ids) * LISTS_PER_CATEGORY, -1, np.int64)
    held_at[list_places(before.categories.ids, categories.ids)] = before.held_at
    held_at[_changed_lists(recode_lists(before.rows, before.categories, categories), rows)] = (
        version
    )
    empty = np.ones(len(held_at), np.bool_)
    empty[rows.get_column("list").unique().to_numpy()] = False
    held_at[empty] = -1
    return PublishedLists(version, hour, as_of_hour, categories, counts, held_at, rows)


def events_of(
    lists: PublishedLists, partitions: Iterable[int]
) -> Iterator[tuple[int, RankingsPublished]]:
    """Yield the events that publish the lists, with their partitions."""
    changed = np.flatnonzero(lists.held_at == lists.version)
    rows = lists.rows.filter(
        pl.col("list").is_in(pl.Series(changed, dtype=pl.UInt32).implode())
    ).with_columns(
        (pl.col("list") % LISTS_PER_CATEGORY).alias("offset"),
        pl.col("previous_rank").fill_null(0),
    )
    writer = BlockWriter(rows, _STORED_COLUMNS)
    compressor = new_compressor()
    categories = np.arange(len(lists.categories.ids) + 1, dtype=np.uint32)
    ends = rows.get_column("list").to_numpy().searchsorted(categories * LISTS_PER_CATEGORY)
    for partition in partitions:
        first, end = lists.categories.range_of(partition)
        blocks = [
            writer.encode(int(ends[n]), int(ends[n + 1]), compressor)
            if ends[n] < ends[n + 1]
            else b""
            for n in range(first, end)
        ]
        span = slice(first * LISTS_PER_CATEGORY, end * LISTS_PER_CATEGORY)
        yield (
            partition,
            RankingsPublished(
                version=lists.version,
                hour=lists.hour,
                as_of_hour=lists.as_of_hour,
                categories=lists.categories.ids[first:end],
                held_at=lists.held_at[span].astype("<i4").tobytes(),
                total_counts=lists.total_counts[span].astype("<i8").tobytes(),
                offsets=np.cumsum([0, *map(len, blocks)]).astype("<i4").tobytes(),
                rows=b"".join(blocks),
            ),
        )


def read_published(store: EventStore, partitions: Iterable[int], version: int) -> PublishedLists:
    """Return some partitions' lists at a version (from 0); raises `HistoryMissing`."""
    ids: list[str] = []
    of: list[int] = []
    counts: list[IntArray] = []
    held: list[IntArray] = []
    rows = [pl.DataFrame(schema=ROWS_SCHEMA)]
    hour, as_of_hour = None, 0
    for partition in sorted(partitions):
        event = _read_event(store, partition, version)
        hour, as_of_hour = event.hour, event.as_of_hour
        held_at = np.frombuffer(event.held_at, "<i4").astype(np.int64)
        first = pl.lit(len(ids) * LISTS_PER_CATEGORY, pl.UInt32)
        rows.extend(
            part.with_columns(pl.col("list") + first)
            for part in _rows_held(store, partition, event, held_at)
        )
        ids += event.categories
        of += [partition] * len(event.categories)
        counts.append(np.frombuffer(event.total_counts, "<i8"))
        held.append(held_at)
    return PublishedLists(
        version,
        hour,
        as_of_hour,
        Categories(ids, of),
        np.concatenate(counts),
        np.concatenate(held),
        pl.concat(rows).sort("list", "position"),
    )


@dataclass(frozen=True)
class PublishedList:
    """One list as published at a version."""

    hour: int | None
    as_of_hour: int
    total_count: int
    rows: list[RankedProduct]


def read_published_list(
    store: EventStore, partition: int, version: int, category_id: str, offset: int
) -> PublishedList | None:
    """Return one list as published at a version, null where its category wasn't known yet.

    Takes one or two reads, and decodes that category's rows alone. Raises `HistoryMissing`.
    """
    event = _read_event(store, partition, version)
    if category_id not in event.categories:
        return None
    number = event.categories.index(category_id) * LISTS_PER_CATEGORY + offset
    holder = int(np.frombuffer(event.held_at, "<i4")[number])
    rows: list[RankedProduct] = []
    if holder >= 0:
        source = event if holder == version else _read_event(store, partition, holder)
        block = decode_block(_stored(source, source.categories.index(category_id)))
        rows = list(_ranked_products(block, offset))
    total_count = int(np.frombuffer(event.total_counts, "<i8")[number])
    return PublishedList(event.hour, event.as_of_hour, total_count, rows)


def _ranked_products(block: Block, offset: int) -> Iterator[RankedProduct]:
    offsets, ranks, previous, units, amounts = block.columns
    for position, row in enumerate(np.flatnonzero(offsets == offset).tolist(), start=1):
        yield RankedProduct(
            position=position,
            rank=int(ranks[row]),
            previous_rank=int(previous[row]) or None,
            product_id=block.product_id(row).decode(),
            units=int(units[row]),
            amount_minor=int(amounts[row]),
        )


def list_places(of: Sequence[str], among: Sequence[str]) -> IntArray:
    """Return where the lists of some categories stand when the categories are `among`."""
    place = {category_id: index for index, category_id in enumerate(among)}
    categories = np.array([place[category_id] for category_id in of], np.int64)
    offsets = np.arange(LISTS_PER_CATEGORY)
    return (categories[:, None] * LISTS_PER_CATEGORY + offsets).reshape(-1)


def recode_lists(rows: pl.DataFrame, old: Categories, new: Categories) -> pl.DataFrame:
    """Return rows with `list` as it is among other categories, in the same order."""
    if old.ids == new.ids or not old.ids:
        return rows
    places = pl.Series("list", list_places(old.ids, new.ids), dtype=pl.UInt32)
    return rows.with_columns(places.gather(rows.get_column("list")))


def _read_event(store: EventStore, partition: int, version: int) -> RankingsPublished:
    stream = rankings_stream(partition)
    for recorded in store.read(stream, version, limit=1):
        if recorded.version == version and isinstance(recorded.event, RankingsPublished):
            return recorded.event
    raise HistoryMissing(
        f"{stream} has no event {version}. `topsellers project --once` publishes what is missing"
    )


def _rows_held(
    store: EventStore, partition: int, event: RankingsPublished, held_at: IntArray
) -> Iterable[pl.DataFrame]:
    holders: dict[int, list[int]] = defaultdict(list)
    for number in np.flatnonzero(held_at >= 0).tolist():
        holders[int(held_at[number])].append(number)
    for holder, lists in holders.items():
        source = event if holder == event.version else _read_event(store, partition, holder)
        yield _rows_of(source, event.categories, lists)


def _rows_of(source: RankingsPublished, categories: list[str], lists: list[int]) -> pl.DataFrame:
    among = {category_id: index for index, category_id in enumerate(source.categories)}
    wanted = sorted({number // LISTS_PER_CATEGORY for number in lists})
    blocks = [_stored(source, among[categories[category]]) for category in wanted]
    places = np.repeat(np.array(wanted, np.int64), [row_count(block) for block in blocks])
    number = pl.lit(pl.Series(places)) * LISTS_PER_CATEGORY + pl.col("offset")
    chosen = pl.Series(lists, dtype=pl.UInt32).implode()
    return (
        decode_rows(blocks, _STORED_COLUMNS)
        .with_columns(number.cast(pl.UInt32).alias("list"))
        .filter(pl.col("list").is_in(chosen))
        .with_columns(
            pl.int_range(1, pl.len() + 1).over("list").alias("position"),
            pl.when(pl.col("previous_rank") > 0).then(pl.col("previous_rank")),
        )
        .select(pl.col(column).cast(dtype) for column, dtype in ROWS_SCHEMA.items())
        .sort("list", "position")
    )


def _stored(event: RankingsPublished, category: int) -> bytes:
    """Return the block of a category's rows, by its place in the event."""
    offsets = np.frombuffer(event.offsets, "<i4")
    return event.rows[int(offsets[category]) : int(offsets[category + 1])]


def _changed_lists(before: pl.DataFrame, after: pl.DataFrame) -> IntArray:
    """Return the lists whose rows are not the same in both frames; that became empty, too."""
    columns = list(ROWS_SCHEMA)
    only_before = before.join(after, on=columns, how="anti", nulls_equal=True)
    only_after = after.join(before, on=columns, how="anti", nulls_equal=True)
    changed = pl.concat([only_before.get_column("list"), only_after.get_column("list")])
    return changed.unique().sort().to_numpy().astype(np.int64)
