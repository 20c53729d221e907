"""A realistic sales feed: what `topsellers generate` writes, and what the demo lives on.

Few products sell much and many a little, in few large and many small categories. Some products
trend for hours or days, so that ranks move. About 3 % of the rows are returns, some products sell
in a second category, some customers are unknown, and a few timestamps lie outside their hour.

Hour k of a feed is a function of the seed, the sizes and k alone: asking for more hours, or for
other ones, never changes it. All of it is columnar; a report of 1.39 million rows over 100 million
products takes about a second.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from topsellers.category_names import category_names
from write_side.hours import format_stamp, hour_of, start_of

_MAX_PRODUCTS: Final = 1_000_000_000
_PRODUCT_SKEW: Final = 0.9
"""Exponent of the products' Zipf distribution."""
_CATEGORY_SKEW: Final = 0.7
_TREND_SHARE: Final = 0.15
"""Of the rows, those that go to products that trend."""
_SECOND_CATEGORY_PRODUCTS: Final = 0.15
_SECOND_CATEGORY_ROWS: Final = 0.3
"""Of the rows of a product in two categories, those in its second."""
_RETURNS: Final = 0.03
_DISCOUNTED: Final = 0.08
_UNKNOWN_CUSTOMERS: Final = 0.05
_CUSTOMERS: Final = 3_000_000
_OUTSIDE_HOUR: Final = 0.002
_OUTSIDE_SECONDS: Final = 3 * 3600
"""How far before or after its hour a timestamp may lie."""
_SCATTER: Final = 2_654_435_761
"""A prime above every number of products, so that multiplying by it permutes their numbers."""

_Numbers = NDArray[np.uint64]
_Shares = NDArray[np.float64]


class GeneratedReport(msgspec.Struct, frozen=True):
    """A report that now lies in the feed."""

    hour: int
    path: Path
    rows: int


def first_hour(hours: int, now: datetime) -> int:
    """Return where a feed of `hours` starts so that it ends with the last full hour before now."""
    return hour_of(now) - hours


def generate_feed(
    out: Path,
    hours: int = 24,
    rows: int = 10_000,
    products: int = 20_000,
    categories: int = 40,
    seed: int = 1,
    start: int | None = None,
    *,
    now: datetime | None = None,
) -> Iterator[GeneratedReport]:
    """Write the reports of `hours` hours from `start` on into a folder, one each time it is asked.

    `start` is an hour number; without it the feed ends with the last full hour before `now`, and
    one of the two must be given. The folder is made; each file appears whole, under its own name,
    at once, and replaces one that is there. Raises `ValueError` where a size makes no feed, before
    the first report; `OSError` where the folder cannot be written.
    """
    if hours < 1:
        raise ValueError(f"a feed of {hours} hours is none: ask for 1 or more")
    _check_sizes(rows, products, categories, seed)
    if start is None:
        if now is None:
            raise ValueError("a feed needs its first hour, or the time it is now")
        start = first_hour(hours, now)
    return _write_reports(out, range(start, start + hours), rows, products, categories, seed)


def _write_reports(
    out: Path, hours: range, rows: int, products: int, categories: int, seed: int
) -> Iterator[GeneratedReport]:
    out.mkdir(parents=True, exist_ok=True)
    for hour in hours:
        report = generate_report(hour, rows, products, categories, seed)
        yield GeneratedReport(hour, write_report(out, hour, report), rows)


def write_report(out: Path, hour: int, report: pl.DataFrame) -> Path:
    """Write a report under its hour's name and return where; it appears whole or not at all."""
    path = out / f"SalesReport-{format_stamp(hour)}.csv"
    unfinished = path.with_name(f"{path.name}.tmp")
    try:
        report.write_csv(unfinished, float_precision=2)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def generate_report(
    hour: int, rows: int, products: int, categories: int, seed: int
) -> pl.DataFrame:
    """Return one hour's report: the feed's six columns, in the order of the timestamps.

    `qty` is below 0 for a return, and so is its `total_price`, in major units to two places.
    Raises `ValueError` where a size makes no feed.
    """
    _check_sizes(rows, products, categories, seed)
    random = np.random.default_rng((seed, hour))
    product = _sold_products(random, hour, rows, products, seed)
    category = _categories_of(random, product, categories, seed)
    quantity = np.minimum(random.geometric(0.75, rows), 12)
    returned = random.random(rows) < _RETURNS
    quantity = np.where(returned, -1, quantity)
    cents = _unit_prices(product, seed)
    cents = np.where(random.random(rows) < _DISCOUNTED, cents * 9 // 10, cents)
    return pl.DataFrame(
        {
            "timestamp": _timestamps(random, hour, rows),
            "product_id": _numbered_ids("P", _scattered(product, products)),
            "category_id": pl.Series(category_names(categories)).gather(category),
            "customer_id": _customers(random, rows),
            "qty": quantity,
            "total_price": quantity * cents / 100,
        }
    )


def _check_sizes(rows: int, products: int, categories: int, seed: int) -> None:
    if rows < 0:
        raise ValueError(f"a report cannot have {rows} rows: ask for 0 or more")
    if not 1 <= products <= _MAX_PRODUCTS:
        raise ValueError(f"{products} products are out of range: ask for 1 to {_MAX_PRODUCTS:,}")
    if categories < 1:
        raise ValueError(f"{categories} categories are out of range: ask for 1 or more")
    if seed < 0:
        raise ValueError(f"{seed} is no seed: give 0 or more")


def _sold_products(
    random: np.random.Generator, hour: int, rows: int, products: int, seed: int
) -> _Numbers:
    """Return each row's product as its place in the order of popularity, 0 the first."""
    product = _zipf_places(random.random(rows), products, _PRODUCT_SKEW)
    trending, weight = _trends(hour, products, seed)
    rows_of_trends = np.flatnonzero(random.random(rows) < _TREND_SHARE)
    drawn = random.random(len(rows_of_trends)) * weight[-1]
    product[rows_of_trends] = trending[np.searchsorted(weight, drawn, side="right")]
    return product


def _trends(hour: int, products: int, seed: int) -> tuple[_Numbers, _Shares]:
    """Return the products that trend in an hour, and their weights, summed up.

    Every slot holds one product for its own number of hours, rising and falling, then the next.
    """
    count = min(max(products // 50, 8), 2_000)
    slot = np.arange(count, dtype=np.uint64)
    length = 6 + (_uniform(slot, seed, 1) * 67).astype(np.int64)
    moved = hour + (_uniform(slot, seed, 2) * 1_000).astype(np.int64)
    cycle = (moved // length).astype(np.uint64)
    chosen = _uniform(slot + cycle * np.uint64(count), seed, 3)
    weight = np.sin(np.pi * (moved % length + 0.5) / length) ** 2
    return _zipf_places(chosen, products, 1.0), np.cumsum(weight)


def _categories_of(
    random: np.random.Generator, product: _Numbers, categories: int, seed: int
) -> _Numbers:
    first = _zipf_places(_uniform(product, seed, 4), categories, _CATEGORY_SKEW)
    second = _zipf_places(_uniform(product, seed, 5), categories, _CATEGORY_SKEW)
    in_two = _uniform(product, seed, 6) < _SECOND_CATEGORY_PRODUCTS
    chosen = in_two & (random.random(len(product)) < _SECOND_CATEGORY_ROWS)
    return np.where(chosen, second, first)


def _unit_prices(product: _Numbers, seed: int) -> NDArray[np.int64]:
    """Return prices in minor units, from about 2 to 300 major units, most of them low, all .99."""
    major = 10 ** (0.3 + 2.2 * _uniform(product, seed, 7) ** 1.5)
    return major.astype(np.int64) * 100 + 99


def _timestamps(random: np.random.Generator, hour: int, rows: int) -> pl.Series:
    second = random.integers(0, 3600, rows)
    outside = np.flatnonzero(random.random(rows) < _OUTSIDE_HOUR)
    second[outside] = random.integers(-_OUTSIDE_SECONDS, 3600 + _OUTSIDE_SECONDS, len(outside))
    second.sort()
    # Formatting each second once, and not each row, is most of what makes this fast.
    first = int(start_of(hour).timestamp()) - _OUTSIDE_SECONDS
    seconds = pl.Series(np.arange(first, first + 3600 + 2 * _OUTSIDE_SECONDS))
    text = pl.from_epoch(seconds, time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return text.gather(second + _OUTSIDE_SECONDS)


def _customers(random: np.random.Generator, rows: int) -> pl.Series:
    number = (_CUSTOMERS * random.random(rows) ** 2).astype(np.uint64)
    unknown = pl.Series(random.random(rows) < _UNKNOWN_CUSTOMERS)
    return _numbered_ids("C", number).zip_with(~unknown, pl.Series([None], dtype=pl.String))


def _numbered_ids(prefix: str, number: _Numbers) -> pl.Series:
    digits = pl.lit(pl.Series("number", number)).cast(pl.String).str.zfill(8)
    return pl.select(pl.concat_str(pl.lit(prefix), digits)).to_series()


def _zipf_places(share: _Shares, count: int, skew: float) -> _Numbers:
    """Return places below `count`, place k about as often as 1 / (k + 1) ** skew.

    The inverse of the continuous distribution: no table, however many places there are.
    """
    if skew == 1.0:
        place = (count + 1.0) ** share
    else:
        power = 1.0 - skew
        place = (1.0 + share * ((count + 1.0) ** power - 1.0)) ** (1.0 / power)
    found: _Numbers = np.minimum(place.astype(np.uint64) - np.uint64(1), np.uint64(count - 1))
    return found


def _scattered(product: _Numbers, products: int) -> _Numbers:
    """Return the numbers in product ids: popularity must not be readable from them."""
    return (product + np.uint64(1)) * np.uint64(_SCATTER) % np.uint64(products)


def _uniform(number: _Numbers, seed: int, purpose: int) -> _Shares:
    """Return a share from 0 to below 1 for each number, always the same: SplitMix64's mixing."""
    salt = np.random.SeedSequence((seed, purpose)).generate_state(1, np.uint64)
    mixed = number * np.uint64(0x9E3779B97F4A7C15) + salt
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
