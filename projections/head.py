"""A partition's head: the one small record that says which blocks are the live version.

Everything that a head names is immutable. A head is replaced whole, by one flip.
"""

import secrets
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cached_property
from typing import Final

import msgspec
import numpy as np

from projections.blocks import BLOCK_ROWS, IntArray
from projections.errors import BlockCorrupted
from projections.ranking_lists import LISTS_PER_CATEGORY, RankingWindow

SEGMENT_BLOCKS: Final = 64
"""Blocks in a segment (a hash): about half a megabyte, so that no single key grows large."""
FLIPS_CHANNEL: Final = "topsellers:flips"
"""Where each flip is told, with the partition's number as text."""
HEAD_FORMAT: Final = 1
"""First byte of a stored head. Workers of different formats replace each other's heads, so none
of the older may run when those of a new one start."""


class TableOrder(Enum):
    """In which order a stored table has its rows, within each category."""

    BY_ID = "i"
    UNITS = "u"
    REVENUE = "r"


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """A hash of blocks; its fields are the blocks' numbers in the table."""

    key: str
    blocks: int
    size: int
    """Bytes of all blocks."""


class StoredTable(msgspec.Struct, frozen=True, dict=True, array_like=True):
    """Where a window's rows lie in one order: `BLOCK_ROWS` a block, category after category.

    Integer arrays are little-endian int64 in bytes.
    """

    segments: tuple[Segment, ...]
    starts_bytes: bytes
    """Row at which each category begins, and after them the number of rows."""
    first_ids: tuple[bytes, ...]
    """BY_ID: the product id of each block's first row; else empty."""
    first_totals_bytes: bytes
    """Ranked orders: the total of each block's first row; else empty."""
    first_ranks_bytes: bytes
    """Ranked orders: the dense rank of each block's first row in its category; else empty."""

    @cached_property
    def starts(self) -> IntArray:
        """Row at which each category begins, and after them the number of rows."""
        return np.frombuffer(self.starts_bytes, "<i8")

    @cached_property
    def first_totals(self) -> IntArray:
        """The total of each block's first row."""
        return np.frombuffer(self.first_totals_bytes, "<i8")

    @cached_property
    def first_ranks(self) -> IntArray:
        """The dense rank of each block's first row in its category."""
        return np.frombuffer(self.first_ranks_bytes, "<i8")

    def place(self, block: int) -> tuple[str, str]:
        """Return the key and field at which a block lies."""
        return self.segments[block // SEGMENT_BLOCKS].key, str(block)

    def rows_of(self, category: int) -> tuple[int, int]:
        """Return the first row of a category, and the one after its last."""
        return int(self.starts[category]), int(self.starts[category + 1])

    def block_with_id(self, category: int, product_id: bytes) -> int | None:
        """Return the one block in which a product of a category can be."""
        first, end = self.rows_of(category)
        if first == end:
            return None
        first_block, last_block = first // BLOCK_ROWS, (end - 1) // BLOCK_ROWS
        # A block that begins inside the category holds only ids from its first id on.
        return bisect_right(self.first_ids, product_id, lo=first_block + 1, hi=last_block + 1) - 1

    def block_with_total(self, category: int, total: int) -> int:
        """Return the last block of a category that begins with a total of at least `total`.

        Where it begins with `total` itself, its first rank is the rank of `total`.
        """
        first, end = self.rows_of(category)
        first_block, last_block = first // BLOCK_ROWS, (end - 1) // BLOCK_ROWS
        later = self.first_totals[first_block + 1 : last_block + 1]
        return first_block + int(np.searchsorted(-later, -total, side="right"))


class StoredWindow(msgspec.Struct, frozen=True, array_like=True):
    """A window's totals, three times ordered."""

    by_id: StoredTable
    units: StoredTable
    revenue: StoredTable

    def __iter__(self) -> Iterator[StoredTable]:
        return iter((self.by_id, self.units, self.revenue))


class Head(msgspec.Struct, frozen=True, dict=True):
    """One version of one partition."""

    store_id: str
    """The event store that it was folded from."""
    partition: int
    generation: str
    """Which rebuild it comes from; later ones sort after earlier ones."""
    version: int
    build: str
    """Random: no two builds ever write the same key."""
    hour: int | None
    """The newest closed hour; null where none is in force."""
    as_of_hour: int
    categories: tuple[str, ...]
    """All that are known, in the order of their bytes."""
    windows: dict[str, StoredWindow]
    """By `RankingWindow` value."""
    lists: tuple[Segment, ...]
    """The lists' first rows: field n of segment n // 64 is list n, category x 10 + offset."""

    @property
    def identity(self) -> str:
        """What a flip compares: no two heads share it."""
        return f"{self.generation}:{self.version}:{self.build}"

    @cached_property
    def category_index(self) -> dict[str, int]:
        """Each known category's place."""
        return {category_id: index for index, category_id in enumerate(self.categories)}

    def window(self, window: RankingWindow) -> StoredWindow:
        """Return where a window's totals lie."""
        return self.windows[window.value]

    def list_place(self, category: int, offset: int) -> tuple[str, str]:
        """Return the key and field at which a list's first rows lie."""
        number = category * LISTS_PER_CATEGORY + offset
        return self.lists[number // SEGMENT_BLOCKS].key, str(number)

    def segments(self) -> Iterator[Segment]:
        """Yield everything that the head names."""
        yield from self.lists
        for window in self.windows.values():
            for table in window:
                yield from table.segments

    @property
    def size(self) -> int:
        """Bytes of all blocks."""
        return sum(segment.size for segment in self.segments())


def head_key(partition: int) -> str:
    """Return the key of a partition's head; the braces put all its keys in one slot."""
    return f"{{{partition:02d}}}:head"


def retired_head_key(partition: int, generation: str, version: int) -> str:
    """Return the key at which a replaced head stays for a while, for cursors."""
    return f"{{{partition:02d}}}:head:{generation}:{version}"


def retired_key(partition: int) -> str:
    """Return the key of the bytes that replaced versions still hold, by when they go."""
    return f"{{{partition:02d}}}:retired"


def segment_key(partition: int, build: str, part: str, number: int) -> str:
    """Return the key of a segment of a build."""
    return f"{{{partition:02d}}}:{build}:{part}:{number}"


def new_build() -> str:
    """Return a build id that no other build has."""
    return secrets.token_hex(8)


def new_generation() -> str:
    """Return a generation id that sorts after all made before it."""
    return f"{time.time_ns():016x}{secrets.token_hex(4)}"


def encode_head(head: Head) -> bytes:
    """Return a head's stored bytes."""
    return bytes([HEAD_FORMAT]) + msgspec.msgpack.encode(head)


def decode_head(data: bytes) -> Head:
    """Return the head of its stored bytes; raises `BlockCorrupted`."""
    if data[:1] != bytes([HEAD_FORMAT]):
        raise BlockCorrupted(
            f"a head of the read model begins with {data[:1]!r}, not with format {HEAD_FORMAT}. "
            "A worker of this version makes it anew"
        )
    try:
        return msgspec.msgpack.decode(memoryview(data)[1:], type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BlockCorrupted(f"a head of the read model can't be decoded: {error}") from error


def encode_segments(segments: Iterable[Segment]) -> bytes:
    """Return the stored bytes of what a head names; they lie beside it, for when it is damaged."""
    return msgspec.msgpack.encode(tuple(segments))


def decode_segments(data: bytes) -> tuple[Segment, ...]:
    """Return the segments of their stored bytes; raises `BlockCorrupted`."""
    try:
        return msgspec.msgpack.decode(data, type=tuple[Segment, ...])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BlockCorrupted(f"a head's segments can't be decoded: {error}") from error
