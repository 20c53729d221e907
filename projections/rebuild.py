"""Rebuild: the read model made anew beside the live one, verified, and swapped in by one flip.

Readers never see a gap: until its flip a rebuild is a build like any other, of a new generation.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from projections.errors import RebuildFailed
from projections.flips import Flip, discard, flip, renew
from projections.folded_tables import next_head
from projections.folding import Folded, Publisher, advance, unfolded
from projections.head import Head, new_generation
from projections.partition_groups import groups_anew
from projections.product_pairs import write_new_pairs
from projections.read_model import ReadModel
from projections.read_model_tables import read_live_heads
from projections.read_model_writer import write_build
from projections.retired import without_room
from projections.totals import TotalsSource, totals_reader
from projections.verify import VerificationProgress, verify
from projections.worker import project_fully
from write_side.report_history import ReportHistory, catch_up

TRIES: Final = 5
"""How often a rebuild follows a live version that moves on while it works."""
RENEW_SECONDS: Final = 60.0
"""How often a build that is being verified gets its whole time to live again."""
_ROOM_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild did."""

    version: int
    """-1 where there is no report, and so nothing to rebuild."""
    partitions: int
    rows_verified: int


def rebuild(
    model: ReadModel,
    history: ReportHistory,
    partitions: Sequence[int],
    source: TotalsSource,
    told: Callable[[int, int], None] = lambda done, of: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Rebuilt:
    """Make partitions anew from `source`, verify them against the events, and swap them in.

    Blocks for as long as it takes; safe while workers project and readers read. Where replaced
    versions still hold too much it waits until they are gone, by `sleep`, and logs that. `told`
    hears how many partitions are done. Raises `RebuildFailed` where the new build does not agree
    with the events, and nothing is swapped in then; `ReadModelUnavailable`,
    `EventStoreUnavailable`.
    """
    project_fully(model, history)
    if history.version < 0:
        return Rebuilt(-1, 0, 0)
    done, rows = 0, 0
    for group in groups_anew(history, partitions):
        rows += _rebuild_group(model, history, group, source, sleep)
        done += len(group)
        told(done, len(partitions))
    return Rebuilt(history.version, done, rows)


def _rebuild_group(
    model: ReadModel,
    history: ReportHistory,
    partitions: Sequence[int],
    source: TotalsSource,
    sleep: Callable[[float], None],
) -> int:
    remaining = list(partitions)
    rows = 0
    flips: dict[int, Flip] = {}
    for _ in range(TRIES):
        _wait_for_room(model, remaining, sleep)
        folded, heads = _build(model, history, remaining, source)
        flips = {}
        try:
            rows += _verify(model, heads)
            write_new_pairs(model, unfolded(), folded, remaining)
            for head in heads:
                flips[head.partition] = _swap_in(model, head)
        finally:
            discard(model.redis, [h for h in heads if flips.get(h.partition) is not Flip.FLIPPED])
        remaining = [head.partition for head in heads if flips[head.partition] is not Flip.FLIPPED]
        if not remaining:
            return rows
        project_fully(model, history)
    raise RebuildFailed(_why_not(flips))


def _why_not(flips: dict[int, Flip]) -> str:
    missing = sorted(partition for partition, one in flips.items() if one is Flip.MISSING)
    if missing:
        return (
            f"the new blocks of partitions {missing} were gone when they were verified; the live "
            "ones stand. See whether Redis fails over or is short of memory, and run `topsellers "
            "rebuild` again"
        )
    moved = sorted(partition for partition, one in flips.items() if one is Flip.MOVED)
    return (
        f"reports came faster than partitions {moved} could be rebuilt; the live ones stand. "
        "Run `topsellers rebuild` again"
    )


def _wait_for_room(
    model: ReadModel, partitions: Sequence[int], sleep: Callable[[float], None]
) -> None:
    said = False
    while full := without_room(model, partitions):
        if not said:
            _log.warning(
                "Waiting until the replaced versions of %d partitions are gone: some minutes",
                len(full),
            )
            said = True
        sleep(_ROOM_SECONDS)


def _verify(model: ReadModel, heads: Sequence[Head]) -> int:
    """Return how many rows agree; raises `RebuildFailed` where some don't."""
    renewed = time.monotonic()

    def keep(progress: VerificationProgress) -> None:
        nonlocal renewed
        now = time.monotonic()
        if now - renewed >= RENEW_SECONDS:
            renew(model.redis, heads)
            renewed = now

    verification = verify(
        model.store,
        model.redis,
        model.store_id,
        heads={head.partition: head for head in heads},
        on_progress=keep,
    )
    if not verification.agrees:
        raise RebuildFailed(
            f"the rebuilt partitions don't agree with the events, in "
            f"{verification.difference_count} places; nothing was swapped in. First: "
            f"{verification.differences[0]}"
        )
    return verification.rows


def _build(
    model: ReadModel,
    history: ReportHistory,
    partitions: Sequence[int],
    source: TotalsSource,
) -> tuple[Folded, list[Head]]:
    catch_up(history, model.store)
    live = read_live_heads(model.redis, partitions)
    shown = [head.version for one in live.values() if (head := one.head) is not None]
    version = min(max(shown, default=history.version), history.version)
    totals_of = totals_reader(model.store, history, partitions, source)
    folded = advance(unfolded(), history, version, totals_of)
    build = Publisher(model.store, history, partitions, version).prepare(folded)
    generation = new_generation()
    heads = [next_head(model, history, p, folded, generation) for p in partitions]
    return folded, write_build(model.redis, build, heads, {}, model.threads)


def _swap_in(model: ReadModel, head: Head) -> Flip:
    live = read_live_heads(model.redis, [head.partition])[head.partition]
    if live.head is not None and live.head.version != head.version:
        return Flip.MOVED
    return flip(model.redis, head, live)
