"""Partitions are part of the stored format: these vectors may never change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from write_side.partitioning import PARTITIONS, partition_of

VECTORS = [
    ("toys", 53),
    ("books", 57),
    ("Toys", 48),
    ("0", 0),
    ("00", 38),
    ("0001", 45),
    ("a/b", 30),
    ("\xe4", 0),
    ("a\u0308", 37),
    ("\ufb01", 3),
    ("\U0001d11e", 63),
    ("ties & bytes", 10),
    ("x" * 128, 21),
    (" ", 32),
]


def test_there_are_64_partitions() -> None:
    assert PARTITIONS == 64


@pytest.mark.parametrize(("category_id", "partition"), VECTORS)
def test_a_category_stays_in_its_partition(category_id: str, partition: int) -> None:
    assert partition_of(category_id) == partition


@given(st.text(max_size=128))
def test_every_category_has_a_partition(category_id: str) -> None:
    assert 0 <= partition_of(category_id) < PARTITIONS
    assert partition_of(category_id) == partition_of(category_id)


def test_categories_spread_over_all_partitions() -> None:
    counts = [0] * PARTITIONS
    for number in range(6_400):
        counts[partition_of(f"category-{number}")] += 1
    assert min(counts) > 50
    assert max(counts) < 160
