"""Rebuild: the read model made anew beside the live one, verified, and swapped in by one flip.

Readers never see a gap: until its flip a rebuild is a build like any other, of a new generation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from projections.errors import RebuildFailed
from projections.folding import Folded, Publisher, advance, unfolded
from projections.head import Head, new_generation
from projections.read_model_tables import read_live_heads
from projections.read_model_writer import Flip, flip, write_build
from projections.totals import TotalsSource, totals_reader
from projections.verify import verify
from projections.worker import ReadModel, groups_anew, next_head, project_fully, write_new_pairs
from write_side.report_history import ReportHistory, catch_up

TRIES: Final = 5
"""How often a rebuild follows a live version that moves on while it works."""


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
) -> Rebuilt:
    """Make partitions anew from `source`, verify them against the events, and swap them in.

    Blocks for as long as it takes; safe while workers project and readers read. `told` hears how
    many partitions are done. Raises `RebuildFailed` where the new build does not agree with the
    events, and nothing is swapped in then; `ReadModelUnavailable`, `EventStoreUnavailable`.
    """
    project_fully(model, history)
    if history.version < 0:
        return Rebuilt(-1, 0, 0)
    done, rows = 0, 0
    for group in groups_anew(history, partitions):
        rows += _rebuild_group(model, history, group, source)
        done += len(group)
        told(done, len(partitions))
    return Rebuilt(history.version, done, rows)


def _rebuild_group(
    model: ReadModel, history: ReportHistory, partitions: Sequence[int], source: TotalsSource
) -> int:
    remaining = list(partitions)
    rows = 0
    for _ in range(TRIES):
        folded, heads = _build(model, history, remaining, source)
        verification = verify(
            model.store,
            model.redis,
            model.store_id,
            partitions=remaining,
            heads={head.partition: head for head in heads},
        )
        if not verification.agrees:
            raise RebuildFailed(
                f"the rebuilt partitions don't agree with the events, in "
                f"{verification.difference_count} places; nothing was swapped in. First: "
                f"{verification.differences[0]}"
            )
        rows += verification.rows
        write_new_pairs(model, unfolded(), folded, remaining)
        remaining = [head.partition for head in heads if not _swap_in(model, head)]
        if not remaining:
            return rows
        project_fully(model, history)
    raise RebuildFailed(
        f"reports came faster than partitions {remaining} could be rebuilt; the live ones stand. "
        "Run `topsellers rebuild` again"
    )


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


def _swap_in(model: ReadModel, head: Head) -> bool:
    live = read_live_heads(model.redis, [head.partition])[head.partition]
    if live.head is not None and live.head.version != head.version:
        return False
    return flip(model.redis, head, live.identity, live.head) is Flip.FLIPPED
