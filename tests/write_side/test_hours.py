"""Clock hours: stamps, instants and whole hours since 1970 say the same."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from write_side.hours import end_of, format_stamp, hour_of, parse_stamp, start_of

HOURS = st.integers(0, 70_000_000)


@given(HOURS)
def test_a_stamp_names_its_hour_and_no_other(hour: int) -> None:
    assert parse_stamp(format_stamp(hour)) == hour


@given(
    st.timedeltas(timedelta(days=2), timedelta(days=2_900_000)),
    st.timedeltas(-timedelta(hours=23), timedelta(hours=23)),
)
def test_an_instant_lies_in_its_hour_whatever_its_time_zone(
    since_1970: timedelta, offset: timedelta
) -> None:
    instant = (datetime(1970, 1, 1, tzinfo=UTC) + since_1970).astimezone(timezone(offset))
    hour = hour_of(instant)
    assert start_of(hour) <= instant < end_of(hour)


@given(HOURS)
def test_an_hour_ends_where_the_next_begins(hour: int) -> None:
    assert end_of(hour) == start_of(hour + 1)
    assert hour_of(start_of(hour)) == hour


def test_an_hour_counts_from_1970_in_utc() -> None:
    assert parse_stamp("1970010100") == 0
    assert parse_stamp("2026112507") == 498_775
    assert format_stamp(498_775) == "2026112507"
    assert start_of(498_775) == datetime(2026, 11, 25, 7, tzinfo=UTC)
    east = timezone(timedelta(hours=5, minutes=30))
    assert hour_of(datetime(2026, 11, 25, 12, 45, tzinfo=east)) == 498_775


def test_the_last_microsecond_belongs_to_the_hour_and_the_end_to_the_next() -> None:
    end = end_of(498_775)
    assert hour_of(end - timedelta(microseconds=1)) == 498_775
    assert hour_of(end) == 498_776


@pytest.mark.parametrize(
    "stamp",
    ["", "202611250", "20261125077", "2026112524", "2026022907", "2026130107", "2026110007"],
)
def test_what_is_no_hour_of_the_calendar_is_refused(stamp: str) -> None:
    with pytest.raises(ValueError, match="YYYYMMDDHH"):
        parse_stamp(stamp)


@pytest.mark.parametrize(
    "stamp", ["2026-11-25", " 202611250", "+202611250", "２０２６１１２５０７"]
)
def test_a_stamp_is_ten_plain_digits(stamp: str) -> None:
    with pytest.raises(ValueError, match="is not an hour like"):
        parse_stamp(stamp)


def test_february_29_is_an_hour_in_leap_years_only() -> None:
    assert format_stamp(parse_stamp("2028022923")) == "2028022923"
    assert end_of(parse_stamp("2028022923")) == datetime(2028, 3, 1, tzinfo=UTC)
