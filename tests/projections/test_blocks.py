"""Blocks: what was written comes back, and what was damaged is told."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from projections.blocks import BLOCK_ROWS, BlockWriter, decode_block, decode_rows
from projections.errors import BlockCorrupted

COLUMNS = ("units", "amount_minor")
_ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128).filter(
    lambda text: len(text.encode()) <= 128
)
_numbers = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [edge for bits in (7, 15, 31, 63) for edge in (2**bits - 1, -(2**bits))]
    + [edge for bits in (7, 15, 31) for edge in (2**bits, -(2**bits) - 1)]
)
_narrow = st.integers(-3, 300)
Rows = list[tuple[str, int, int]]
rows: st.SearchStrategy[Rows] = st.lists(
    st.tuples(_ids, _numbers, _numbers) | st.tuples(_ids, _narrow, _narrow), max_size=12
)


def frame_of(made: Rows) -> pl.DataFrame:
    schema = {"product_id": pl.String, "units": pl.Int64, "amount_minor": pl.Int64}
    return pl.DataFrame(made, schema=schema, orient="row")


def encoded(made: Rows) -> bytes:
    return BlockWriter(frame_of(made), COLUMNS).encode(0, len(made))


@given(rows, st.data())
def test_any_rows_of_a_frame_come_back(made: Rows, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(made)))
    end = data.draw(st.integers(first, len(made)))
    stored = BlockWriter(frame_of(made), COLUMNS).encode(first, end)
    block = decode_block(stored)
    assert len(block) == end - first
    assert [
        (block.product_id(row).decode(), *(int(column[row]) for column in block.columns))
        for row in range(len(block))
    ] == made[first:end]
    assert_frame_equal(decode_rows([stored], COLUMNS), frame_of(made[first:end]))


@given(rows, st.integers(1, 9))
def test_blocks_one_after_the_other_are_the_whole_frame(made: Rows, size: int) -> None:
    # A slice of a larger frame has its texts in the middle of a buffer.
    frame = pl.concat([frame_of([("before", 1, 1)]), frame_of(made)]).slice(1)
    writer = BlockWriter(frame, COLUMNS)
    blocks = [writer.encode(n, min(n + size, len(made))) for n in range(0, len(made), size)]
    assert_frame_equal(decode_rows(blocks, COLUMNS), frame_of(made))


@given(rows, _ids, st.data())
def test_an_id_is_found_where_it_stands_among_sorted_rows(
    made: Rows, unknown: str, data: st.DataObject
) -> None:
    names = sorted({product.encode() for product, _, _ in made})
    block = decode_block(encoded([(name.decode(), 1, 1) for name in names]))
    first = data.draw(st.integers(0, len(names)))
    end = data.draw(st.integers(first, len(names)))
    for name in {*names, unknown.encode(), b"", b"\xff"}:
        among = names[first:end]
        expected = first + among.index(name) if name in among else None
        assert block.find(name, first, end) == expected


def test_a_full_block_of_the_longest_ids_comes_back() -> None:
    made = [(f"{n:0128}", n, -n) for n in range(BLOCK_ROWS)]
    block = decode_block(encoded(made))
    assert block.product_id(BLOCK_ROWS - 1).decode() == made[-1][0]
    assert int(block.columns[1][-1]) == 1 - BLOCK_ROWS


def test_small_numbers_take_a_byte_each() -> None:
    wide = encoded([(f"p{n}", n * 2**40, n) for n in range(100)])
    assert encoded([(f"p{n}", n, n) for n in range(100)])[4:6] == b"\x01\x01"
    assert wide[4:6] == b"\x08\x01"


@given(rows, st.data())
def test_a_flipped_bit_is_told_or_changes_nothing(made: Rows, data: st.DataObject) -> None:
    stored = bytearray(encoded(made))
    bit = data.draw(st.integers(0, len(stored) * 8 - 1))
    stored[bit // 8] ^= 1 << bit % 8
    try:
        decoded = decode_rows([bytes(stored)], COLUMNS)
    except BlockCorrupted:
        return
    assert_frame_equal(decoded, frame_of(made))


@given(rows.filter(bool), st.data())
def test_a_block_that_is_cut_short_is_told(made: Rows, data: st.DataObject) -> None:
    stored = encoded(made)
    cut = stored[: data.draw(st.integers(0, len(stored) - 1))]
    for decode in (decode_block, lambda block: decode_rows([block], COLUMNS)):
        with pytest.raises(BlockCorrupted):
            decode(cut)


@settings(max_examples=300)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"\x01\x02\x05\0" + tail))
def test_bytes_that_are_no_block_are_told(garbage: bytes) -> None:
    with pytest.raises(BlockCorrupted):
        decode_block(garbage)


def test_a_block_of_other_columns_is_told() -> None:
    stored = BlockWriter(frame_of([("p", 1, 2)]), ("units",)).encode(0, 1)
    with pytest.raises(BlockCorrupted):
        decode_rows([stored], COLUMNS)


def test_no_blocks_are_no_rows() -> None:
    assert_frame_equal(decode_rows([], COLUMNS), frame_of([]))
