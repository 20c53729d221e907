"""The projection worker: brings the read model up to what the event store holds.

Publish, then write, then flip. `RankingsPublished` N is appended by expected version before the
blocks of N become live, so a head at N means that event N is stored; whatever crashes, runs twice
or is lost is folded again from the head that is there, or from the totals where none is.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from dataclasses import dataclass
from typing import Final

from projections.flips import Flip, discard, flip
from projections.folded_tables import next_head, read_tables, unchanged_windows
from projections.folding import Folded, Publisher, advance, unfolded
from projections.head import new_generation
from projections.lost_blocks import partitions_with_lost_blocks
from projections.partition_groups import Group, groups_behind, last_published
from projections.product_categories import read_marks
from projections.product_pairs import write_new_pairs
from projections.read_model import ReadModel, usable_version
from projections.read_model_tables import LiveHead, read_identities
from projections.read_model_writer import Build, write_build
from projections.retired import has_room, retired_bytes
from projections.totals import stored_totals, totals_reader
from write_side.partitioning import PARTITIONS
from write_side.report_history import ReportHistory, catch_up

__all__ = ["Progress", "ReadModel", "project", "project_fully", "usable_version"]

GATHER_SECONDS: Final = 10.0
"""After so long in one go, a worker that is behind shows what it has, where there is room."""
BEHIND_SECONDS: Final = 0.5
"""How long to wait where another worker has a partition in hand, or old versions must go first."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """What one go of a worker did."""

    version: int
    """The last version of the event store when it began; -1 before the first report."""
    flipped: int
    """Partitions that show a newer version now."""
    behind: int
    """Partitions that still show an older one than `version`."""


def project(model: ReadModel, history: ReportHistory) -> Progress:
    """Bring every partition that is behind up to the store, and return what was done.

    Partitions whose blocks are lost are made anew. Blocks while it works, for about
    `GATHER_SECONDS` a group of partitions and a good deal longer at full load. Safe to run in
    many processes at once, and to kill at any instant. Raises `ReadModelUnavailable`,
    `EventStoreUnavailable`.
    """
    check_blocks = model.blocks_check.is_due
    if check_blocks:
        model.known.forget()
    # The heads before the reports: a head that is newer than these is then of a store that was
    # set back, never of another worker that was faster.
    live = model.known.read(model.redis, range(PARTITIONS))
    known = history.version
    catch_up(history, model.store)
    if history.version < 0:
        return Progress(-1, 0, 0)
    lost = _lost(model, live) if check_blocks else frozenset()
    behind = _behind(model, history, live, lost, looked_before=history.version == known)
    retired = retired_bytes(model.redis, behind)
    ready = [
        partition
        for partition in behind
        # What readers can't use must not wait for room.
        if partition in lost
        or usable_version(model, history, live[partition]) is None
        or has_room(model, live[partition], retired[partition])
    ]
    flipped = 0
    for group in groups_behind(model, history, live, ready, lost):
        in_parts = all(has_room(model, live[p], retired[p], flips=2) for p in group.partitions)
        flipped += _bring_up(model, history, live, group, in_parts=in_parts)
    shown = model.known.read(model.redis, behind).values()
    still = sum(_shows_less(model, history.version, head) for head in shown)
    return Progress(history.version, flipped, still)


def _lost(model: ReadModel, live: Mapping[int, LiveHead]) -> frozenset[int]:
    heads = {p: one.head for p, one in live.items() if one.head is not None}
    lost = partitions_with_lost_blocks(model.redis, heads)
    if lost:
        _log.warning(
            "Redis lost blocks of partitions %s: they are made anew",
            ", ".join(f"{partition:02d}" for partition in sorted(lost)),
        )
    else:
        model.blocks_check.passed()
    return lost


def _behind(
    model: ReadModel,
    history: ReportHistory,
    live: Mapping[int, LiveHead],
    lost: frozenset[int],
    *,
    looked_before: bool,
) -> list[int]:
    """Return the partitions that don't show the last version, or lack what belongs to it."""
    marks = read_marks(model.redis, model.store_id, range(PARTITIONS))
    return [
        partition
        for partition, head in live.items()
        if partition in lost
        or usable_version(model, history, head) != history.version
        or marks[partition] < history.version
        # A store that was set back and went on has other reports under the same versions.
        or (not looked_before and last_published(model, partition) < history.version)
    ]


def _shows_less(model: ReadModel, version: int, live: LiveHead) -> bool:
    head = live.head
    return head is None or head.store_id != model.store_id or head.version < version


def project_fully(
    model: ReadModel,
    history: ReportHistory,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Progress:
    """Project until nothing is behind; returns what was done in all. Raises as `project`.

    `told` hears how many partitions are done, and of how many.
    """
    flipped = 0
    while True:
        progress = project(model, history)
        flipped += progress.flipped
        if not progress.behind:
            return Progress(progress.version, flipped, 0)
        told(PARTITIONS - progress.behind, PARTITIONS)
        if not progress.flipped:
            time.sleep(BEHIND_SECONDS)


def _bring_up(
    model: ReadModel,
    history: ReportHistory,
    live: Mapping[int, LiveHead],
    group: Group,
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
                    Group(tuple(lost), None, group.published),
                    Group(whole, group.base, group.published),
                )
                if part.partitions
            )
        base = Folded(group.base, tables)
    publisher = Publisher(model.store, history, group.partitions, group.published)
    seconds = GATHER_SECONDS if in_parts else math.inf
    folded, build = _fold_and_publish(model, history, publisher, group, base, seconds)
    return _write_and_flip(model, history, live, group, base, folded, build)


def _write_and_flip(
    model: ReadModel,
    history: ReportHistory,
    live: Mapping[int, LiveHead],
    group: Group,
    base: Folded,
    folded: Folded,
    build: Build,
) -> int:
    now = read_identities(model.redis, group.partitions)
    # Where another worker was first, blocks would be written for nothing.
    partitions = [p for p in group.partitions if now[p] == live[p].identity]
    if not partitions:
        return 0
    reusable = unchanged_windows(base, folded, live, partitions)
    generation = new_generation()
    heads = [
        next_head(model, history, p, folded, _generation(live[p], group, generation))
        for p in partitions
    ]
    # Redis takes the pairs while blocks are encoded here: neither waits for the other.
    pairs = model.threads.submit(write_new_pairs, model, base, folded, group.partitions)
    try:
        complete = write_build(model.redis, build, heads, reusable, model.threads)
    finally:
        wait([pairs])
    waiting = {head.partition: head for head in complete}
    try:
        pairs.result()
        for head in complete:
            if flip(model.redis, head, live[head.partition]) is Flip.FLIPPED:
                model.known.learn(waiting.pop(head.partition))
    finally:
        discard(model.redis, waiting.values())
    return len(complete) - len(waiting)


def _generation(live: LiveHead, group: Group, generation: str) -> str:
    return generation if live.head is None or group.base is None else live.head.generation


def _fold_and_publish(
    model: ReadModel,
    history: ReportHistory,
    publisher: Publisher,
    group: Group,
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
