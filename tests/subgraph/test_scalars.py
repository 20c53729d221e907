"""Decimals are exact, numbers whole, instants in UTC."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subgraph.scalars import decimal_of, instant_of, start_instant_of


@given(st.integers(-(10**20), 10**20))
def test_a_decimal_is_exactly_its_minor_units(minor: int) -> None:
    assert Decimal(decimal_of(minor)) == Decimal(minor).scaleb(-2, None) or abs(minor) >= 10**28
    assert decimal_of(minor)[-3] == "."


@pytest.mark.parametrize(
    ("minor", "text"), [(123450, "1234.50"), (-5, "-0.05"), (0, "0.00"), (7, "0.07")]
)
def test_a_decimal_has_two_places(minor: int, text: str) -> None:
    assert decimal_of(minor) == text


def test_an_hour_ends_where_the_next_begins() -> None:
    assert instant_of(498_775) == start_instant_of(498_776) == "2026-11-25T08:00:00Z"
