"""Which pairs of product and category a fold adds to those that are known."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from projections.errors import ReadModelUnavailable
from projections.fold import Tables
from projections.folding import Folded
from projections.product_categories import read_marks, write_pairs
from projections.ranking_lists import RankingWindow
from projections.read_model import ReadModel

_TRIES: Final = 3
"""How often all pairs are written where a server loses what it was given."""


def write_new_pairs(
    model: ReadModel, base: Folded, folded: Folded, partitions: Sequence[int]
) -> None:
    """Make the products' categories complete up to the folded version; adds what was lost, too.

    Raises `ReadModelUnavailable`.
    """
    assert folded.version is not None  # noqa: S101  (nothing is written before version 0)
    complete = dict.fromkeys(partitions, folded.version)
    marks = read_marks(model.redis, model.store_id, partitions)
    if base.version is not None and min(marks.values()) >= base.version:
        known = _pairs(base.tables)
        candidates = pl.concat(folded.pairs).unique() if folded.pairs else known.clear()
        pairs = candidates.join(known, on=["category_id", "product_id"], how="anti")
        if write_pairs(model.redis, pairs, model.store_id, complete, built_on=base.version):
            return
    pairs = _pairs(folded.tables)
    for _ in range(_TRIES):
        if write_pairs(model.redis, pairs, model.store_id, complete):
            return
    raise ReadModelUnavailable(
        "the products' categories can't be written: Redis keeps losing them. See its failovers"
    )


def _pairs(tables: Tables) -> pl.DataFrame:
    ids = pl.Series("category_id", tables.categories.ids, dtype=pl.String)
    known = tables.windows[RankingWindow.ALL_TIME]
    return known.select(ids.gather(known.get_column("category")).alias("category_id"), "product_id")
