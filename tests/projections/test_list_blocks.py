"""A list's own block: its first rows and the ranks before, in one."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.errors import BlockCorrupted
from projections.list_blocks import ListBlockWriter, decode_list_block
from projections.ranking import FIRST_ROWS_SCHEMA

_ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
_numbers = st.integers(1, 2**63 - 1)
_lists = st.lists(st.lists(st.tuples(_ids, _numbers, _numbers), max_size=6), max_size=5)
_previous = st.lists(st.dictionaries(_ids, st.integers(1, 100), max_size=6), max_size=5)
PREVIOUS_SCHEMA = {"list": pl.UInt32, "product_id": pl.String, "rank": pl.Int32}


def writer(
    lists: list[list[tuple[str, int, int]]], previous: list[dict[str, int]]
) -> ListBlockWriter:
    rows = [
        (number, place, place, product, units, amount)
        for number, one in enumerate(lists)
        for place, (product, units, amount) in enumerate(one, 1)
    ]
    ranks = [
        (number, product, rank)
        for number, one in enumerate(previous)
        for product, rank in one.items()
    ]
    return ListBlockWriter(
        pl.DataFrame(rows, schema=FIRST_ROWS_SCHEMA, orient="row"),
        pl.DataFrame(ranks, schema=PREVIOUS_SCHEMA, orient="row"),
    )


@given(_lists, _previous)
def test_each_list_comes_back_with_its_own_rows_and_ranks(
    lists: list[list[tuple[str, int, int]]], previous: list[dict[str, int]]
) -> None:
    made = writer(lists, previous)
    blocks = [*made.encode(0, 4), *made.encode(4, 6)]
    for number in range(6):
        block = decode_list_block(blocks[number])
        rows = lists[number] if number < len(lists) else []
        ranks = previous[number] if number < len(previous) else {}
        assert [
            (block.rows.product_id(n).decode(), *(int(c[n]) for c in block.rows.columns))
            for n in range(len(block.rows))
        ] == rows
        assert block.previous_ranks == {product.encode(): rank for product, rank in ranks.items()}


SOME = writer([[("p1", 5, 500), ("ä", 3, 70_000)]], [{"p1": 2, "gone": 1}]).encode(0, 1)[0]


@given(st.integers(0, len(SOME) - 1))
def test_a_list_that_is_cut_short_is_told(length: int) -> None:
    with pytest.raises(BlockCorrupted):
        decode_list_block(SOME[:length])


@given(st.integers(0, len(SOME) * 8 - 1))
def test_a_flipped_bit_is_told_or_changes_nothing(bit: int) -> None:
    damaged = bytearray(SOME)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        block = decode_list_block(bytes(damaged))
    except BlockCorrupted:
        return
    assert block.previous_ranks == {b"p1": 2, b"gone": 1}
    assert [column.tolist() for column in block.rows.columns] == [[5, 3], [500, 70_000]]


@given(st.binary(max_size=80))
def test_bytes_that_are_no_list_are_told(garbage: bytes) -> None:
    with pytest.raises(BlockCorrupted):
        decode_list_block(garbage)
