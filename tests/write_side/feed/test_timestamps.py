from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from write_side.feed.timestamps import instants

SECOND = 1_000_000
SEVEN = 1_795_590_000 * SECOND
"""2026-11-25T07:00:00Z"""


def read(*texts: str) -> list[int | None]:
    result = instants(pl.Series(texts, dtype=pl.String))
    assert result.dtype == pl.Int64
    return result.to_list()


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T07:00:00Z",
        "2026-11-25 07:00:00Z",
        "2026-11-25T07:00:00",
        "2026-11-25 07:00:00",
        "2026-11-25T07:00:00.000Z",
        "2026-11-25T07:00:00,000Z",
        "2026-11-25T08:30:00+01:30",
        "2026-11-25T02:00:00.0-05:00",
        "2026-11-24T07:01:00-23:59",
        "2026-11-25T07:00",
        "2026-11-25 07:00Z",
        "2026-11-25T07",
        "2026-11-25T08+01",
        "2026-11-25T08:00:00+0100",
        "20261125T070000Z",
        "20261125T0700",
        "2026-W48-3T07:00:00Z",
        "2026W483T07Z",
        "1795590000",
        "1795590000.0",
        "0001795590000",
        "000000000000000000000000000001795590000",
    ],
)
def test_the_shapes_of_one_instant(text: str) -> None:
    assert read(text) == [SEVEN]


def test_a_date_alone_is_its_first_instant() -> None:
    assert read("2026-11-25", "1970-01-01") == [SEVEN - 7 * 3600 * SECOND, 0]


def test_fractions_count_to_the_microsecond_and_no_further() -> None:
    assert read(
        "1970-01-01T00:00:01.5Z",
        "1970-01-01T00:00:01.1234567Z",
        "1969-12-31T23:59:59.25",
        "1.5",
        "-1.5",
        "-0",
        "0.0000019",
    ) == [1_500_000, 1_123_456, -750_000, 1_500_000, -1_500_000, 0, 1]


def test_the_calendar_ends_with_the_years_1_and_9999() -> None:
    first, last = -62_135_596_800, 253_402_300_799
    assert read("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", str(first), str(last)) == [
        first * SECOND,
        last * SECOND + 999_999,
        first * SECOND,
        last * SECOND,
    ]
    outside = [
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01",
        "0001-01-01T00:00+01",
        "9999-12-31T23:59:59-00:01",
        "9999-12-31T23:59-01",
        str(first - 1),
        str(last + 1),
        "1795590000000",
        "9" * 400,
        "-" + "9" * 400,
    ]
    assert read(*outside) == [None] * len(outside)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1795590000",
        "+1795590000",
        "1.8e9",
        "1,795,590,000",
        "1795590000.",
        ".5",
        "0x10",
        "nan",
        "inf",
        "yesterday",
        "25/11/2026 07:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-31",
        "2026-11-25T24:00:01Z",
        "2026-11-25T25:00:00Z",
        "2026-11-25T07:60:00Z",
        "2026-11-25T07:00:61Z",
        "2026-11-25T07:00:00+24:00",
        "2026-11-25T07:00:00 UTC",
        "2026-11-25T07:00:00Z ",
        "2026-11-25x07:00:00Z",
        "2026-11-25T07:00:00Z\n",
        "２０２６-11-25T07:00:00Z",
        "٠",
        "2026-W54-1",
        "\0",
    ],
)
def test_anything_else_is_no_instant(text: str) -> None:
    assert read(text) == [None]


@given(
    st.lists(
        st.datetimes(
            datetime.fromisoformat("0001-01-03"),
            datetime.fromisoformat("9999-12-29"),
            timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
        )
    ),
    st.sampled_from("T "),
)
def test_every_instant_that_python_writes_is_read_exactly(
    written: list[datetime], separator: str
) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [(instant - epoch) // timedelta(microseconds=1) for instant in written]
    assert read(*(instant.isoformat(separator) for instant in written)) == expected


@given(st.lists(st.one_of(st.text(max_size=20), st.from_regex(r"\A[0-9TZ:.+ W-]{1,24}\Z"))))
def test_no_text_is_more_than_unreadable(texts: list[str]) -> None:
    assert len(read(*texts)) == len(texts)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-01T24:00:00Z", "2026-01-02T00:00:00Z"),
        ("2026-01-01T24:00+02:00", "2026-01-02T00:00:00+02:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("20161231T235960.25Z", "2017-01-01T00:00:00.25Z"),
        ("2026-01-01t07:00:00z", "2026-01-01T07:00:00Z"),
    ],
)
def test_the_end_of_a_day_leap_seconds_and_small_letters_are_read(text: str, same: str) -> None:
    read = instants(pl.Series([text, same]))
    assert read[0] is not None
    assert read[0] == read[1]
