"""From the texts that feeds write for an instant to microseconds since 1970 UTC."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EARLIEST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LATEST: Final = (datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_SECOND: Final = 1_000_000
_MAX_SECONDS_DIGITS: Final = 12

_DATE: Final = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_USUAL: Final = f"^{_DATE}T{_TIME}Z?$"
_FULL: Final = rf"^{_DATE}[T ]{_TIME}(?:\.[0-9]+)?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?$"
_UNIX: Final = r"^-?[0-9]+(?:\.[0-9]+)?$"
# What `datetime.fromisoformat` is asked at all: releases of Python differ in what else they take.
_ISO: Final = re.compile(
    r"[0-9]{4}(?:-?[0-9]{2}-?[0-9]{2}|-?W[0-9]{2}(?:-?[1-7])?)"
    r"(?:[T ](?:[01][0-9]|2[0-3])(?::?[0-5][0-9](?::?[0-5][0-9](?:[.,][0-9]{1,32})?)?)?"
    r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
# The end of a day and a leap second, which `datetime` has no values for.
_MIDNIGHT: Final = re.compile(r"([T ])24(?=(?::?00(?::?00(?:[.,]0+)?)?)?(?:Z|[+-]|$))")
_LEAP_SECOND: Final = re.compile(r"([T ][0-9]{2}:?[0-9]{2}:?)60(?=[.,Z+-]|$)")


def instants(texts: pl.Series) -> pl.Series:
    """Return microseconds since 1970 UTC as Int64, null where a text is no instant.

    Texts are ISO 8601 (calendar or week dates; 24:00 and leap seconds too; UTC where no zone is
    given) or Unix seconds, of the years 1 to 9999; finer than a microsecond is cut off.
    """
    values = _usual(texts)
    for read in (_with_fraction_or_zone, _unix_seconds, _others):
        missing = values.is_null().arg_true()
        if missing.is_empty():
            break
        values = values.scatter(missing, read(texts.gather(missing)))
    in_range = values.is_between(_EARLIEST, _LATEST)
    return values if in_range.all(ignore_nulls=False) else values.set(~in_range, None)


def _usual(texts: pl.Series) -> pl.Series:
    return _where(texts, _USUAL, _clock_time(pl.col("text").str.slice(0, 19)))


def _with_fraction_or_zone(texts: pl.Series) -> pl.Series:
    text = pl.col("text")
    clock_time = _clock_time(text.str.slice(0, 10) + "T" + text.str.slice(11, 8))
    zone = text.str.extract(r"([+-][0-9]{2}:[0-9]{2})$")
    minutes = _integer(zone.str.slice(1, 2)) * 60 + _integer(zone.str.slice(4, 2))
    east = pl.when(zone.str.starts_with("-")).then(-minutes).otherwise(minutes)
    value = clock_time + _fraction(text) - (east * 60 * _SECOND).fill_null(0)
    return _where(texts, _FULL, value)


def _unix_seconds(texts: pl.Series) -> pl.Series:
    text = pl.col("text")
    digits = text.str.extract(r"^-?0*([0-9]+)")
    seconds = _integer(pl.when(digits.str.len_bytes() <= _MAX_SECONDS_DIGITS).then(digits))
    size = seconds * _SECOND + _fraction(text)
    return _where(texts, _UNIX, pl.when(text.str.starts_with("-")).then(-size).otherwise(size))


def _others(texts: pl.Series) -> pl.Series:
    """Read the rarer shapes of ISO 8601, each text once."""
    distinct = texts.unique().to_list()
    values = pl.Series(map(_iso_instant, distinct), dtype=pl.Int64)
    return texts.replace_strict(distinct, values, return_dtype=pl.Int64)


def _iso_instant(text: str) -> int | None:
    text, midnights = _MIDNIGHT.subn(r"\g<1>00", text.upper())
    text, leap_seconds = _LEAP_SECOND.subn(r"\g<1>59", text)
    if not _ISO.fullmatch(text):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Not by way of UTC, which has no date for the first and last hours of the calendar.
    offset = instant.utcoffset() or timedelta()
    later = timedelta(days=midnights, seconds=leap_seconds)
    return (instant.replace(tzinfo=UTC) - _EPOCH - offset + later) // _MICROSECOND


def _where(texts: pl.Series, pattern: str, value: pl.Expr) -> pl.Series:
    """Return a value for each text that matches, null for the others."""
    return (
        texts.alias("text")
        .to_frame()
        .select(pl.when(pl.col("text").str.contains(pattern)).then(value).alias("instant"))
        .to_series()
    )


def _clock_time(text: pl.Expr) -> pl.Expr:
    parsed = text.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    return parsed.cast(pl.Int64)


def _fraction(text: pl.Expr) -> pl.Expr:
    """Return the microseconds after the point, 0 where there is none."""
    digits = text.str.extract(r"\.([0-9]{1,6})")
    return _integer(digits.str.pad_end(6, "0")).fill_null(0)


def _integer(digits: pl.Expr) -> pl.Expr:
    return digits.cast(pl.Int64, strict=False)
