"""Heads: which block holds what, for any layout, against a search through all rows."""

import contextlib
from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import head as head_module
from projections.errors import BlockCorrupted
from projections.head import (
    Head,
    Segment,
    StoredTable,
    StoredWindow,
    decode_head,
    decode_segments,
    encode_head,
    encode_segments,
    new_build,
    new_generation,
)
from tests.projections.conftest import SMALL

BLOCK = SMALL["BLOCK_ROWS"]
pytestmark = pytest.mark.usefixtures("small_blocks")
fast = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])

_ids = st.binary(min_size=1, max_size=2)
_layouts = st.lists(st.lists(_ids, max_size=14, unique=True).map(sorted), min_size=1, max_size=6)
_ranked = st.lists(
    st.lists(st.integers(1, 6), max_size=14).map(lambda totals: sorted(totals, reverse=True)),
    min_size=1,
    max_size=6,
)


def int64(values: list[int]) -> bytes:
    return np.array(values, "<i8").tobytes()


def starts_of(sizes: list[int]) -> bytes:
    return int64(np.cumsum([0, *sizes]).tolist())


def table_by_id(layout: list[list[bytes]]) -> StoredTable:
    rows = [product for category in layout for product in category]
    return StoredTable((), starts_of([*map(len, layout)]), tuple(rows[::BLOCK]), b"", b"")


def ranks_of(totals: list[int]) -> list[int]:
    return [len(set(totals[: n + 1])) for n in range(len(totals))]


def table_by_total(layout: list[list[int]]) -> StoredTable:
    totals = [total for category in layout for total in category]
    ranks = [rank for category in layout for rank in ranks_of(category)]
    return StoredTable(
        (), starts_of([*map(len, layout)]), (), int64(totals[::BLOCK]), int64(ranks[::BLOCK])
    )


@fast
@given(_layouts)
def test_the_block_that_can_hold_a_product_is_the_one_that_holds_it(
    layout: list[list[bytes]],
) -> None:
    table = table_by_id(layout)
    first = 0
    for category, products in enumerate(layout):
        assert table.rows_of(category) == (first, first + len(products))
        for place, product in enumerate(products):
            assert table.block_with_id(category, product) == (first + place) // BLOCK
        first += len(products)


@fast
@given(_layouts, _ids)
def test_a_product_that_is_not_there_can_only_be_where_it_would_stand(
    layout: list[list[bytes]], product: bytes
) -> None:
    table = table_by_id(layout)
    first = 0
    for category, products in enumerate(layout):
        block = table.block_with_id(category, product)
        if not products:
            assert block is None
        else:
            before = max(bisect_right(products, product) - 1, 0)
            assert block == (first + before) // BLOCK
        first += len(products)


@fast
@given(_ranked)
def test_a_total_is_found_in_the_last_block_that_begins_with_as_much(
    layout: list[list[int]],
) -> None:
    table = table_by_total(layout)
    first = 0
    for category, totals in enumerate(layout):
        first_block = first // BLOCK
        for total in set(totals):
            block = table.block_with_total(category, total)
            begins = [
                number
                for number in range(first_block + 1, (first + len(totals) - 1) // BLOCK + 1)
                if totals[number * BLOCK - first] >= total
            ]
            assert block == max(begins, default=first_block)
            # From where the category begins in it, its dense rank follows from this block alone.
            begin = max(block * BLOCK - first, 0)
            base = 1 if block == first_block else int(table.first_ranks[block])
            seen = totals[begin : (block + 1) * BLOCK - first]
            assert (
                base + len({each for each in seen if each > total}) - (0 if seen[0] >= total else 1)
                == ranks_of(totals)[totals.index(total)]
            )
        first += len(totals)


def test_blocks_lie_in_segments_in_turn() -> None:
    segments = (Segment("a", 2, 10), Segment("b", 2, 10), Segment("c", 1, 5))
    table = StoredTable(segments, starts_of([20]), (b"",) * 5, b"", b"")
    assert [table.place(block) for block in range(5)] == [
        *(("a", "0"), ("a", "1"), ("b", "2"), ("b", "3"), ("c", "4"))
    ]


def some_head() -> Head:
    table = StoredTable((Segment("{07}:b:x:0", 1, 7),), starts_of([1, 0]), (b"p",), b"", b"")
    ranked = StoredTable((), starts_of([0, 0]), (), int64([5]), int64([1]))
    windows = {"hour": StoredWindow(table, ranked, ranked)}
    lists = (Segment("{07}:b:lists:0", 20, 100),)
    return Head("store", 7, "g", 3, "b", None, 9, ("ä", "c1"), windows, lists)


def test_a_head_comes_back_from_its_bytes() -> None:
    head = some_head()
    assert decode_head(encode_head(head)) == head
    assert [segment.key for segment in head.segments()] == ["{07}:b:lists:0", "{07}:b:x:0"]
    assert (head.size, head.identity) == (107, "g:3:b")
    assert head.category_index == {"ä": 0, "c1": 1}


def test_a_head_of_another_format_is_told() -> None:
    stored = encode_head(some_head())
    with pytest.raises(BlockCorrupted, match="not with format"):
        decode_head(bytes([stored[0] + 1]) + stored[1:])
    with pytest.raises(BlockCorrupted, match="not with format"):
        decode_head(stored[1:])


def test_what_a_head_names_comes_back_from_its_bytes() -> None:
    segments = tuple(some_head().segments())
    assert decode_segments(encode_segments(segments)) == segments
    with pytest.raises(BlockCorrupted, match="segments"):
        decode_segments(b"\x01")


@fast
@given(st.data())
def test_a_damaged_head_is_told_or_is_still_a_head(data: st.DataObject) -> None:
    stored = bytearray(encode_head(some_head()))
    cut = data.draw(st.integers(0, len(stored) - 1))
    with pytest.raises(BlockCorrupted):
        decode_head(bytes(stored[:cut]))
    stored[cut] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(BlockCorrupted):
        assert isinstance(decode_head(bytes(stored)), Head)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_head_are_told(garbage: bytes) -> None:
    with pytest.raises(BlockCorrupted):
        decode_head(garbage)


def test_later_generations_sort_after_earlier_ones_and_builds_never_repeat() -> None:
    generations = [new_generation() for _ in range(50)]
    assert [each[:16] for each in generations] == sorted(each[:16] for each in generations)
    assert len({new_build() for _ in range(500)}) == 500


def test_all_keys_of_a_partition_lie_in_one_slot_of_a_cluster() -> None:
    keys = [
        head_module.head_key(7),
        head_module.retired_head_key(7, "g", 3),
        head_module.retired_key(7),
        head_module.segment_key(7, "b", "lists", 0),
    ]
    assert {key[: key.index("}") + 1] for key in keys} == {"{07}"}
    assert len(set(keys)) == len(keys)
