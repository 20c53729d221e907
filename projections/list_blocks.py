"""A list's own block: its first 100 rows, and the previous ranks of a list in one small read.

Layout: length of the first part (u32, little-endian), then two blocks of `blocks`: the rows (units,
minor units), in order, and the first 100 of the list before (dense rank).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from projections.blocks import Block, BlockWriter, decode_block, new_compressor
from projections.errors import BlockCorrupted

_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True)
class ListBlock:
    """A decoded list block."""

    rows: Block
    """Columns: units, minor units."""
    previous_ranks: Mapping[bytes, int]


class ListBlockWriter:
    """Encodes list blocks out of two frames that are sorted by `list`.

    `first_rows` has the lists' rows, `previous` (`list`, `product_id`, `rank`) the ranks before.
    """

    def __init__(self, first_rows: pl.DataFrame, previous: pl.DataFrame) -> None:
        self._rows = BlockWriter(first_rows, ("units", "amount_minor"))
        self._row_lists = first_rows.get_column("list").to_numpy()
        self._previous = BlockWriter(previous, ("rank",))
        self._previous_lists = previous.get_column("list").to_numpy()

    def encode(self, first: int, end: int) -> list[bytes]:
        """Return the blocks of the lists from `first` up to, without, `end`, by their numbers."""
        numbers = np.arange(first, end + 1, dtype=np.uint32)
        row_ends = self._row_lists.searchsorted(numbers).tolist()
        previous_ends = self._previous_lists.searchsorted(numbers).tolist()
        compressor = new_compressor()
        blocks = []
        for n in range(end - first):
            rows = self._rows.encode(row_ends[n], row_ends[n + 1], compressor)
            ranks = self._previous.encode(previous_ends[n], previous_ends[n + 1], compressor)
            blocks.append(_LENGTH.pack(len(rows)) + rows + ranks)
        return blocks


def decode_list_block(data: bytes) -> ListBlock:
    """Return the list block of its bytes; raises `BlockCorrupted`."""
    if len(data) < _LENGTH.size:
        raise BlockCorrupted("a list of the read model can't be decoded: it is cut short")
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    rows = decode_block(data[_LENGTH.size : end])
    previous = decode_block(data[end:])
    ranks = previous.columns[0].tolist()
    return ListBlock(rows, {previous.product_id(row): ranks[row] for row in range(len(previous))})
