"""A partition's blocks as `verify` reads them: all bytes first, then each table, strictly.

The bytes are taken out of Redis right after the head is pinned, while they are surely kept; they
are decoded table by table afterwards. Blocks are found by the readers' own formula, and a table is
only one where every block has exactly its rows.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from projections.blocks import BLOCK_ROWS, decode_rows
from projections.errors import BlockCorrupted, BlockMissing, ReadModelUnavailable
from projections.head import SEGMENT_BLOCKS, Head, Segment, StoredTable
from projections.ranking_lists import LISTS_PER_CATEGORY
from projections.read_model_tables import TOTALS_COLUMNS
from projections.redis_connection import REDIS_FAILURES, RedisClient

_SEGMENTS_AT_ONCE: Final = 64
"""Of half a megabyte at most each."""
_ROWS: Final = struct.Struct("<xxH")
"""Where a block says how many rows it has; see `blocks`."""
_LENGTH: Final = struct.Struct("<I")
"""How long the first part of a list block is; see `list_blocks`."""

_ROWS_SCHEMA: Final[dict[str, pl.DataType]] = {
    "category": pl.UInt32(),
    "product_id": pl.String(),
    "units": pl.Int64(),
    "amount_minor": pl.Int64(),
}

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StoredPartition:
    """A pinned head, with the bytes of all that it names."""

    head: Head
    segments: Mapping[str, Mapping[bytes, bytes]]
    """Fields by key; empty for a key that is not there."""

    @property
    def is_whole(self) -> bool:
        """Whether as many blocks are there as the head names."""
        return all(
            len(self.segments[segment.key]) >= segment.blocks for segment in self.head.segments()
        )

    def block(self, segments: Sequence[Segment], number: int) -> bytes:
        """Return a block by its number in a table; raises `BlockMissing`."""
        key = segments[number // SEGMENT_BLOCKS].key
        data = self.segments[key].get(str(number).encode())
        if data is None:
            raise BlockMissing(f"block {number} of {key} is missing")
        return data


@dataclass(frozen=True)
class Directory:
    """What a head says of a table, decoded."""

    starts: IntArray
    first_ids: tuple[bytes, ...]
    first_totals: IntArray
    first_ranks: IntArray

    @property
    def rows(self) -> int:
        """How many rows the table has."""
        return int(self.starts[-1])


@dataclass(frozen=True)
class StoredLists:
    """The list blocks of a partition; `list` is the number of the block."""

    rows: pl.DataFrame
    """`list`, `product_id`, `units`, `amount_minor`, in the stored order."""
    previous: pl.DataFrame
    """`list`, `product_id`, `rank`, in the stored order."""
    unreadable: Mapping[int, str]
    """Why the block of a list can't be read, in one line."""


def fetch_partition(redis: RedisClient, head: Head) -> StoredPartition:
    """Return the bytes of all that a head names; raises `ReadModelUnavailable`."""
    keys = list(dict.fromkeys(segment.key for segment in head.segments()))
    segments: dict[str, Mapping[bytes, bytes]] = {}
    for start in range(0, len(keys), _SEGMENTS_AT_ONCE):
        some = keys[start : start + _SEGMENTS_AT_ONCE]
        try:
            pipeline = redis.pipeline(transaction=False)
            for key in some:
                pipeline.hgetall(key)
            answers = pipeline.execute()
        except REDIS_FAILURES as error:
            raise ReadModelUnavailable(f"blocks can't be read: {error}") from error
        segments.update(zip(some, answers, strict=True))
    return StoredPartition(head, segments)


def read_directory(head: Head, table: StoredTable) -> Directory:
    """Return a table's directory; raises `BlockCorrupted` where it can be none."""
    try:
        directory = Directory(table.starts, table.first_ids, table.first_totals, table.first_ranks)
    except ValueError as error:
        raise BlockCorrupted(f"the directory can't be decoded: {error}") from error
    starts = directory.starts
    if len(starts) != len(head.categories) + 1 or starts[0] != 0 or (np.diff(starts) < 0).any():
        raise BlockCorrupted(
            f"the directory's starts are not those of {len(head.categories)} categories"
        )
    blocks = -(-directory.rows // BLOCK_ROWS)
    _check_segments(table.segments, blocks)
    return directory


def read_rows(stored: StoredPartition, table: StoredTable, directory: Directory) -> pl.DataFrame:
    """Return a table's `category` (its place in the head), `product_id`, `units`, `amount_minor`.

    Raises `BlockMissing`, `BlockCorrupted`.
    """
    blocks = -(-directory.rows // BLOCK_ROWS)
    if not blocks:
        return pl.DataFrame(schema=_ROWS_SCHEMA)
    data = [stored.block(table.segments, number) for number in range(blocks)]
    wanted = np.full(blocks, BLOCK_ROWS)
    wanted[-1] = directory.rows - (blocks - 1) * BLOCK_ROWS
    rows = _decoded(data, TOTALS_COLUMNS)
    if rows is None or not np.array_equal(_row_counts(data), wanted):
        raise BlockCorrupted(_first_unreadable(data, wanted, table.segments))
    counts = np.diff(directory.starts)
    categories = np.repeat(np.arange(len(counts), dtype=np.uint32), counts)
    return rows.select(
        pl.Series("category", categories, dtype=pl.UInt32), "product_id", *TOTALS_COLUMNS
    )


def read_lists(stored: StoredPartition) -> StoredLists:
    """Return the list blocks; raises `BlockMissing` where the head does not name them all."""
    head = stored.head
    _check_segments(head.lists, len(head.categories) * LISTS_PER_CATEGORY)
    first, second, numbers = [], [], []
    unreadable: dict[int, str] = {}
    for number in range(len(head.categories) * LISTS_PER_CATEGORY):
        try:
            data = stored.block(head.lists, number)
        except BlockMissing as error:
            unreadable[number] = str(error)
            continue
        end = _LENGTH.size + (_LENGTH.unpack_from(data)[0] if len(data) >= _LENGTH.size else 0)
        first.append(data[_LENGTH.size : end])
        second.append(data[end:])
        numbers.append(number)
    if _decoded(first, TOTALS_COLUMNS) is None or _decoded(second, ("rank",)) is None:
        for place in reversed(range(len(numbers))):
            parts = (([first[place]], TOTALS_COLUMNS), ([second[place]], ("rank",)))
            if any(_decoded(data, columns) is None for data, columns in parts):
                number = numbers[place]
                key = head.lists[number // SEGMENT_BLOCKS].key
                unreadable[number] = f"block {number} of {key} is corrupt"
                del first[place], second[place], numbers[place]
    return StoredLists(
        _numbered(first, TOTALS_COLUMNS, numbers), _numbered(second, ("rank",), numbers), unreadable
    )


def _check_segments(segments: Sequence[Segment], blocks: int) -> None:
    counts = [segment.blocks for segment in segments]
    full, rest = divmod(blocks, SEGMENT_BLOCKS)
    if counts != [SEGMENT_BLOCKS] * full + [rest] * (rest > 0):
        raise BlockMissing(
            f"the head names segments of {counts} blocks where {blocks} blocks must lie"
        )


def _decoded(data: Iterable[bytes], columns: Sequence[str]) -> pl.DataFrame | None:
    try:
        return decode_rows(data, columns)
    except (BlockCorrupted, ValueError):
        return None


def _row_counts(data: Iterable[bytes]) -> IntArray:
    return np.array([_ROWS.unpack_from(block)[0] for block in data], np.int64)


def _first_unreadable(data: Sequence[bytes], wanted: IntArray, segments: Sequence[Segment]) -> str:
    for number, block in enumerate(data):
        key = segments[number // SEGMENT_BLOCKS].key
        rows = _decoded([block], TOTALS_COLUMNS)
        if rows is None:
            return f"block {number} of {key} is corrupt"
        if rows.height != wanted[number]:
            return f"block {number} of {key} has {rows.height} rows instead of {wanted[number]}"
    return "its blocks can't be decoded together"


def _numbered(
    data: Sequence[bytes], columns: Sequence[str], numbers: Sequence[int]
) -> pl.DataFrame:
    lists = np.repeat(np.array(numbers, np.int64), _row_counts(data))
    return decode_rows(data, columns).select(
        pl.Series("list", lists, dtype=pl.UInt32), "product_id", *columns
    )
