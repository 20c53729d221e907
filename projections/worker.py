"""The projection worker: brings the read model up to what the event store holds.

Publish, then write, then flip. `RankingsPublished` N is appended by expected version before the
blocks of N become live, so a head at N means that event N is stored; whatever crashes, runs twice
or is lost is folded again from the head that is there, or from the totals where none is.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import polars as pl

from projections.errors import BlockCorrupted, BlockMissing
from projections.fold import Categories, Tables
from projections.folding import Folded, Publisher, advance, unfolded
from projections.head import Head, StoredWindow, new_build, new_generation
from projections.product_categories import read_marks, write_pairs
from projections.ranking_lists import WINDOWS, RankingWindow
from projections.read_model_tables import LiveHead, read_live_heads, read_table
from projections.read_model_writer import Build, Flip, flip, retired_bytes, write_build
from projections.redis_connection import RedisClient
from projections.totals import stored_totals, totals_reader
from write_side.event_store import EventStore
from write_side.events import rankings_stream
from write_side.partitioning import PARTITIONS
from write_side.report_history import ReportHistory, catch_up

ROWS_TOGETHER: Final = 4_000_000
"""Table rows folded in one frame, about: bounds memory, keeps small shops' partitions together."""
RETIRED_BYTES: Final = 8 << 20
"""What a partition's replaced versions may hold, however small the live one is."""
GATHER_SECONDS: Final = 10.0
"""After so long in one go, a worker that is behind shows what it has, where there is room."""
BEHIND_SECONDS: Final = 0.5
"""How long to wait where another worker has a partition in hand, or old versions must go first."""


@dataclass(frozen=True)
class ReadModel:
    """Where a read model is made from, and where it is kept."""

    store: EventStore
    store_id: str
    redis: RedisClient
    threads: ThreadPoolExecutor
    """Encodes blocks; as many threads as there are cores."""
    retired_bytes: int = RETIRED_BYTES


@dataclass(frozen=True)
class Progress:
    """What one go of a worker did."""

    version: int
    """The last version of the event store when it began; -1 before the first report."""
    flipped: int
    """Partitions that show a newer version now."""
    behind: int
    """Partitions that still show an older one than `version`."""


@dataclass(frozen=True)
class _Group:
    """Partitions that are folded together, from the same version."""

    partitions: tuple[int, ...]
    base: int | None
    """The version that their blocks hold; null where they are made from the totals."""
    published: int


def project(model: ReadModel, history: ReportHistory) -> Progress:
    """Bring every partition that is behind up to the store, and return what was done.

    Blocks while it works, for about `GATHER_SECONDS` a group of partitions and a good deal longer
    at full load. Safe to run in many processes at once, and to kill at any instant. Raises
    `ReadModelUnavailable`, `EventStoreUnavailable`.
    """
    # The heads before the reports: a head that is newer than these is then of a store that was
    # set back, never of another worker that was faster.
    live = read_live_heads(model.redis, range(PARTITIONS))
    known = history.version
    catch_up(history, model.store)
    if history.version < 0:
        return Progress(-1, 0, 0)
    behind = _behind(model, history, live, looked_before=history.version == known)
    retired = retired_bytes(model.redis, behind)
    ready = [p for p in behind if _has_room(model, live[p], retired[p], flips=1)]
    flipped = 0
    for group in _groups(model, history, live, ready):
        in_parts = all(_has_room(model, live[p], retired[p], flips=2) for p in group.partitions)
        flipped += _bring_up(model, history, live, group, in_parts=in_parts)
    shown = read_live_heads(model.redis, behind).values()
    still = sum(_shows_less(model, history.version, head) for head in shown)
    return Progress(history.version, flipped, still)


def _behind(
    model: ReadModel, history: ReportHistory, live: Mapping[int, LiveHead], *, looked_before: bool
) -> list[int]:
    """Return the partitions that don't show the last version, or lack what belongs to it."""
    marks = read_marks(model.redis, model.store_id, range(PARTITIONS))
    return [
        partition
        for partition, head in live.items()
        if usable_version(model, history, head) != history.version
        or marks[partition] < history.version
        # A store that was set back and went on has other reports under the same versions.
        or (not looked_before and _published(model, partition) < history.version)
    ]


def _published(model: ReadModel, partition: int) -> int:
    return model.store.last_version(rankings_stream(partition))


def _shows_less(model: ReadModel, version: int, live: LiveHead) -> bool:
    head = live.head
    return head is None or head.store_id != model.store_id or head.version < version


def project_fully(model: ReadModel, history: ReportHistory) -> Progress:
    """Project until nothing is behind; returns what was done in all. Raises as `project`."""
    flipped = 0
    while True:
        progress = project(model, history)
        flipped += progress.flipped
        if not progress.behind:
            return Progress(progress.version, flipped, 0)
        if not progress.flipped:
            time.sleep(BEHIND_SECONDS)


def _has_room(model: ReadModel, live: LiveHead, retired: int, flips: int) -> bool:
    """Return whether a partition may be flipped, so many times one after the other.

    Not while its replaced versions hold more than the live one: reports gather until some of that
    is gone, so that memory is bounded by about twice the live bytes.
    """
    size = 0 if live.head is None else live.head.size
    return retired + (flips - 1) * size <= max(size, model.retired_bytes)


def usable_version(model: ReadModel, history: ReportHistory, live: LiveHead) -> int | None:
    """Return the version that a partition shows; null where it shows none of this event store."""
    head = live.head
    if head is None or head.store_id != model.store_id or head.version > history.version:
        return None
    return head.version


def _groups(
    model: ReadModel,
    history: ReportHistory,
    live: Mapping[int, LiveHead],
    partitions: Iterable[int],
) -> Iterator[_Group]:
    alike: dict[tuple[int | None, int], list[int]] = defaultdict(list)
    for partition in partitions:
        base = usable_version(model, history, live[partition])
        published = _published(model, partition)
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
            yield _Group(together, base, published)


def groups_anew(history: ReportHistory, partitions: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Return which partitions to make from the totals together."""
    return _together(partitions, dict.fromkeys(partitions, _rows_anew(history)))


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


def _bring_up(
    model: ReadModel,
    history: ReportHistory,
    live: Mapping[int, LiveHead],
    group: _Group,
    *,
    in_parts: bool,
) -> int:
    base = unfolded()
    if group.base is not None:
        heads = [head for p in group.partitions if (head := live[p].head) is not None]
        tables, lost = read_tables(model.redis, heads)
        if lost:
            whole = tuple(p for p in group.partitions if p not in lost)
            return sum(
                _bring_up(model, history, live, part, in_parts=in_parts)
                for part in (
                    _Group(tuple(lost), None, group.published),
                    _Group(whole, group.base, group.published),
                )
                if part.partitions
            )
        base = Folded(group.base, tables)
    publisher = Publisher(model.store, history, group.partitions, group.published)
    seconds = GATHER_SECONDS if in_parts else math.inf
    folded, build = _fold_and_publish(model, history, publisher, group, base, seconds)
    reusable = unchanged_windows(base, folded, live, group.partitions)
    generation = new_generation()
    heads = [
        next_head(
            model, history, partition, folded, _generation(live[partition], group, generation)
        )
        for partition in group.partitions
    ]
    complete = write_build(model.redis, build, heads, reusable, model.threads)
    write_new_pairs(model, base, folded, group.partitions)
    flips = [
        flip(model.redis, head, live[head.partition].identity, live[head.partition].head)
        for head in complete
    ]
    return flips.count(Flip.FLIPPED)


def _fold_and_publish(
    model: ReadModel,
    history: ReportHistory,
    publisher: Publisher,
    group: _Group,
    base: Folded,
    seconds: float,
) -> tuple[Folded, Build]:
    target = history.version
    first = target if group.published >= target else group.published + 1
    totals_of = totals_reader(model.store, history, group.partitions, stored_totals)
    began = time.monotonic()
    folded = base
    for version in range(first, target + 1):
        if version != folded.version:
            folded = advance(folded, history, version, totals_of)
        build = publisher.prepare(folded)
        if version > publisher.published:
            publisher.publish(version, build)
        if time.monotonic() - began > seconds:
            break
    return folded, build


def read_tables(redis: RedisClient, heads: Sequence[Head]) -> tuple[Tables, list[int]]:
    """Return what heads hold, in one frame a window, and the partitions whose blocks are lost.

    `heads` are in the order of their partitions. Raises `ReadModelUnavailable`.
    """
    lost: list[int] = []
    ids: list[str] = []
    of: list[int] = []
    windows: dict[RankingWindow, list[pl.DataFrame]] = {window: [] for window in WINDOWS}
    for head in heads:
        try:
            tables = {window: read_table(redis, head.window(window).by_id) for window in WINDOWS}
        except (BlockMissing, BlockCorrupted):
            lost.append(head.partition)
            continue
        first = pl.lit(len(ids), pl.UInt32)
        for window, table in tables.items():
            windows[window].append(table.with_columns(pl.col("category") + first))
        ids += head.categories
        of += [head.partition] * len(head.categories)
    if len(lost) == len(heads):
        return unfolded().tables, lost
    together = {window: pl.concat(tables) for window, tables in windows.items()}
    return Tables(Categories(ids, of), together), lost


def next_head(
    model: ReadModel, history: ReportHistory, partition: int, folded: Folded, generation: str
) -> Head:
    """Return a partition's head at the folded version, but for where its blocks lie."""
    assert folded.version is not None  # noqa: S101  (nothing is written before version 0)
    first, end = folded.tables.categories.range_of(partition)
    return Head(
        store_id=model.store_id,
        partition=partition,
        generation=generation,
        version=folded.version,
        build=new_build(),
        hour=history.newest_at(folded.version),
        as_of_hour=history.as_of_hour_at(folded.version),
        categories=tuple(folded.tables.categories.ids[first:end]),
        windows={},
        lists=(),
    )


def _generation(live: LiveHead, group: _Group, generation: str) -> str:
    return generation if live.head is None or group.base is None else live.head.generation


def unchanged_windows(
    base: Folded,
    folded: Folded,
    live: Mapping[int, LiveHead],
    partitions: Sequence[int],
) -> dict[tuple[int, RankingWindow], StoredWindow]:
    """Return the stored windows whose rows are the same in both, to be named again."""
    if base.version is None:
        return {}
    unchanged = {}
    for window in WINDOWS:
        before, after = base.tables.windows[window], folded.tables.windows[window]
        for partition in partitions:
            head = live[partition].head
            old_span = base.tables.categories.range_of(partition)
            new_span = folded.tables.categories.range_of(partition)
            if head is None or old_span[1] - old_span[0] != new_span[1] - new_span[0]:
                continue
            old, new = _rows_between(before, old_span), _rows_between(after, new_span)
            if old.equals(new):
                unchanged[partition, window] = head.window(window)
    return unchanged


def _rows_between(table: pl.DataFrame, span: tuple[int, int]) -> pl.DataFrame:
    category = table.get_column("category")
    first, end = category.search_sorted(pl.Series(span, dtype=pl.UInt32), side="left")
    return table.slice(first, end - first).with_columns(
        pl.col("category") - pl.lit(span[0], pl.UInt32)
    )


def write_new_pairs(
    model: ReadModel, base: Folded, folded: Folded, partitions: Sequence[int]
) -> None:
    """Make the products' categories complete up to the folded version; adds what was lost, too."""
    assert folded.version is not None  # noqa: S101  (nothing is written before version 0)
    marks = read_marks(model.redis, model.store_id, partitions)
    known = _pairs(base.tables)
    complete = base.version is not None and min(marks.values()) >= base.version
    if complete:
        candidates = pl.concat(folded.pairs).unique() if folded.pairs else known.clear()
        pairs = candidates.join(known, on=["category_id", "product_id"], how="anti")
    else:
        pairs = _pairs(folded.tables)
    write_pairs(model.redis, pairs, model.store_id, dict.fromkeys(partitions, folded.version))


def _pairs(tables: Tables) -> pl.DataFrame:
    ids = pl.Series("category_id", tables.categories.ids, dtype=pl.String)
    known = tables.windows[RankingWindow.ALL_TIME]
    return known.select(ids.gather(known.get_column("category")).alias("category_id"), "product_id")
