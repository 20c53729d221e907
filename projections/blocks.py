"""Blocks: about a thousand rows of a table as compressed columns, read alone.

Layout, little-endian: format (u8), number of integer columns (u8), rows (u16), the width of each
column in bytes (u8 each), then one zstd frame with a checksum, over: the length of each product id
(u8), all ids' bytes, and each column in its width. Integers are signed.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import zstandard

from projections.errors import BlockCorrupted

BLOCK_ROWS: Final = 1024
"""Small enough that one look-up decodes little, large enough that compression works."""

_FORMAT: Final = 1
_HEADER: Final = struct.Struct("<BBH")
_WIDTHS: Final = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<i8"}
_LEVEL: Final = 1

IntArray = npt.NDArray[np.int64]


class Block:
    """A decoded block: ids as bytes on demand, integer columns as int64 arrays."""

    def __init__(self, lengths: npt.NDArray[np.uint8], ids: bytes, columns: list[IntArray]) -> None:
        self._ends = np.cumsum(lengths, dtype=np.int64)
        self._lengths = lengths
        self._ids = ids
        self.columns = columns

    def __len__(self) -> int:
        return len(self._lengths)

    def product_id(self, row: int) -> bytes:
        """Return the id in a row."""
        end = int(self._ends[row])
        return self._ids[end - int(self._lengths[row]) : end]

    def find(self, product_id: bytes, first: int, end: int) -> int | None:
        """Return the row of an id among rows sorted by id, from `first` up to, without, `end`."""
        low, high = first, end
        while low < high:
            middle = (low + high) // 2
            if self.product_id(middle) < product_id:
                low = middle + 1
            else:
                high = middle
        return low if low < end and self.product_id(low) == product_id else None


class BlockWriter:
    """Encodes blocks out of one frame, whose columns it takes apart once.

    `frame` has `product_id` and integer columns; `columns` names those to encode, in order.
    """

    def __init__(self, frame: pl.DataFrame, columns: Sequence[str]) -> None:
        self._ids, self._offsets = _id_buffers(frame.get_column("product_id"))
        self._lengths = np.diff(self._offsets).astype(np.uint8)
        self._columns = [frame.get_column(column).cast(pl.Int64).to_numpy() for column in columns]

    def encode(
        self, first: int, end: int, compressor: zstandard.ZstdCompressor | None = None
    ) -> bytes:
        """Return the block of the rows from `first` up to, without, `end`.

        Who encodes many in one thread passes a `new_compressor`.
        """
        parts: list[bytes | memoryview] = [
            self._lengths[first:end].tobytes(),
            self._ids[self._offsets[first] : self._offsets[end]],
        ]
        widths = bytearray()
        for column in self._columns:
            values = column[first:end]
            width = _width_of(values)
            widths.append(width)
            parts.append(values.astype(_WIDTHS[width]).tobytes())
        if compressor is None:
            compressor = new_compressor()
        header = _HEADER.pack(_FORMAT, len(self._columns), end - first)
        return header + bytes(widths) + compressor.compress(b"".join(parts))


def new_compressor() -> zstandard.ZstdCompressor:
    """Return what compresses blocks, one at a time."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)


def decode_block(data: bytes) -> Block:
    """Return the block of its bytes; raises `BlockCorrupted` where they are no whole block."""
    lengths, ids, columns = _take_apart(data)
    return Block(lengths, ids, columns)


def row_count(data: bytes) -> int:
    """Return how many rows a block has; raises `BlockCorrupted`."""
    if len(data) < _HEADER.size:
        raise BlockCorrupted("a block can't be decoded: it is cut short")
    rows: int = _HEADER.unpack_from(data)[2]
    return rows


def decode_rows(blocks: Iterable[bytes], columns: Sequence[str]) -> pl.DataFrame:
    """Return the rows of blocks, one after the other, as a frame of `product_id` and `columns`.

    Raises `BlockCorrupted`.
    """
    lengths: list[npt.NDArray[np.uint8]] = []
    ids: list[bytes] = []
    values: list[list[IntArray]] = [[] for _ in columns]
    for data in blocks:
        block_lengths, block_ids, block_columns = _take_apart(data)
        if len(block_columns) != len(columns):
            raise BlockCorrupted(
                f"a block of the read model has {len(block_columns)} columns, not {len(columns)}"
            )
        lengths.append(block_lengths)
        ids.append(block_ids)
        for column, block_column in zip(values, block_columns, strict=True):
            column.append(block_column)
    if not lengths:
        schema = {"product_id": pl.String, **dict.fromkeys(columns, pl.Int64)}
        return pl.DataFrame(schema=schema)
    offsets = np.zeros(sum(map(len, lengths)) + 1, np.int64)
    np.cumsum(np.concatenate(lengths), dtype=np.int64, out=offsets[1:])
    product_ids = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(b"".join(ids))
    )
    return pl.DataFrame(
        {
            "product_id": pl.Series("product_id", pl.from_arrow(product_ids)),
            **{
                column: np.concatenate(parts) for column, parts in zip(columns, values, strict=True)
            },
        }
    )


def _take_apart(data: bytes) -> tuple[npt.NDArray[np.uint8], bytes, list[IntArray]]:
    try:
        form, columns, rows = _HEADER.unpack_from(data)
        if form != _FORMAT:
            raise ValueError(f"format {form} is unknown")
        widths = data[_HEADER.size : _HEADER.size + columns]
        content = zstandard.ZstdDecompressor().decompress(data[_HEADER.size + columns :])
        lengths = np.frombuffer(content, np.uint8, rows)
        at = rows + int(lengths.sum(dtype=np.int64))
        ids = content[rows:at]
        arrays: list[IntArray] = []
        for width in widths:
            arrays.append(np.frombuffer(content, _WIDTHS[width], rows, at).astype(np.int64))
            at += width * rows
        if at != len(content):
            raise ValueError("its length is wrong")
    except (struct.error, ValueError, KeyError, zstandard.ZstdError) as error:
        raise BlockCorrupted(f"a block of the read model can't be decoded: {error}") from error
    return lengths, ids, arrays


def _id_buffers(product_ids: pl.Series) -> tuple[memoryview, IntArray]:
    array = product_ids.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return memoryview(data) if data is not None else memoryview(b""), ends


def _width_of(values: IntArray) -> int:
    if len(values) == 0:
        return 1
    # As in two's complement: a number below 0 takes the bits of its inverse.
    bits = (
        max((~n if n < 0 else n).bit_length() for n in (int(values.min()), int(values.max()))) + 1
    )
    return next(width for width in _WIDTHS if bits <= width * 8)
