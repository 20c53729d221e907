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

from projections.errors import HistoryMissing
from projections.fold import Categories
from projections.ranking_lists import LISTS_PER_CATEGORY
from write_side.event_store import EventStore
from write_side.events import RankingsPublished, rankings_stream
from write_side.sale_frames import decode_frame, encode_frame

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
    rows = lists.rows.filter(pl.col("list").is_in(pl.Series(changed, dtype=pl.UInt32).implode()))
    row_lists = rows.get_column("list").to_numpy()
    for partition in partitions:
        span = lists.categories.range_of(partition)
        first, end = (category * LISTS_PER_CATEGORY for category in span)
        first_row, end_row = row_lists.searchsorted([first, end]).tolist()
        held = rows.slice(first_row, end_row - first_row).with_columns(pl.col("list") - first)
        yield (
            partition,
            RankingsPublished(
                version=lists.version,
                hour=lists.hour,
                as_of_hour=lists.as_of_hour,
                categories=lists.categories.ids[
                    first // LISTS_PER_CATEGORY : end // LISTS_PER_CATEGORY
                ],
                held_at=lists.held_at[first:end].astype("<i4").tobytes(),
                total_counts=lists.total_counts[first:end].astype("<i8").tobytes(),
                rows=encode_frame(held) if first_row < end_row else b"",
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
    rows: pl.DataFrame
    """`ROWS_SCHEMA`."""


def read_published_list(
    store: EventStore, partition: int, version: int, category_id: str, offset: int
) -> PublishedList | None:
    """Return one list as published at a version, null where its category wasn't known yet.

    Takes one or two reads. Raises `HistoryMissing`.
    """
    event = _read_event(store, partition, version)
    if category_id not in event.categories:
        return None
    number = event.categories.index(category_id) * LISTS_PER_CATEGORY + offset
    holder = int(np.frombuffer(event.held_at, "<i4")[number])
    if holder < 0:
        rows = pl.DataFrame(schema=ROWS_SCHEMA)
    else:
        source = event if holder == version else _read_event(store, partition, holder)
        rows = _rows_of(source, event.categories, [number])
    total_count = int(np.frombuffer(event.total_counts, "<i8")[number])
    return PublishedList(event.hour, event.as_of_hour, total_count, rows)


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
    wanted = np.array(lists, np.int64)
    among = {category_id: index for index, category_id in enumerate(source.categories)}
    places = [among[categories[number // LISTS_PER_CATEGORY]] for number in lists]
    stored = np.array(places, np.int64) * LISTS_PER_CATEGORY + wanted % LISTS_PER_CATEGORY
    names = pl.DataFrame(
        {"list": stored, "wanted": wanted}, schema={"list": pl.UInt32, "wanted": pl.UInt32}
    )
    return (
        decode_frame(source.rows)
        .join(names, on="list", how="inner")
        .with_columns(pl.col("wanted").alias("list"))
        .select(ROWS_SCHEMA.keys())
        .sort("list", "position")
    )


def _changed_lists(before: pl.DataFrame, after: pl.DataFrame) -> IntArray:
    """Return the lists whose rows are not the same in both frames; that became empty, too."""
    columns = list(ROWS_SCHEMA)
    only_before = before.join(after, on=columns, how="anti", nulls_equal=True)
    only_after = after.join(before, on=columns, how="anti", nulls_equal=True)
    changed = pl.concat([only_before.get_column("list"), only_after.get_column("list")])
    return changed.unique().sort().to_numpy().astype(np.int64)
