"""Which records are good rows, and why the others are not: checks on whole columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from write_side.feed.pseudonyms import pseudonyms
from write_side.feed.timestamps import instants
from write_side.sale_frames import SALES_SCHEMA

MAX_QUANTITY: Final = 1_000_000
PRICE_LIMIT: Final = 10**9
MAX_ID_BYTES: Final = 128

_IDS: Final = ("product_id", "category_id", "customer_id")
_CONTROL: Final = r"[\x00-\x1f\x7f]"
_INTEGER: Final = r"^-?[0-9]+$"
_DECIMAL: Final = r"^-?[0-9]+(?:\.[0-9]{1,2})?$"
_SHOWN: Final = 64
"""Characters of a wrong value that a reason repeats."""


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """Records told apart, both kinds in the order in which they came."""

    sales: pl.DataFrame
    """`SALES_SCHEMA`."""
    rejected: pl.DataFrame
    """`line` (UInt32) and `reason`: the first one, in the order of the contract's columns."""


def check_rows(fields: pl.DataFrame, pseudonym_key: bytes) -> CheckedRows:
    """Check records, given as `line` and the text of each of `report_header.COLUMNS`."""
    rows = (
        fields.lazy()
        .with_columns(
            pl.col(*_IDS).str.strip_chars(" "),
            instants(fields["timestamp"]).alias("instant"),
            _number("qty", _INTEGER).alias("quantity"),
            _number("total_price", _DECIMAL).alias("price"),
        )
        .with_columns(pl.any_horizontal(*(is_bad for is_bad, _ in _rules())).alias("bad"))
        .collect()
    )
    if not rows["bad"].any():
        return CheckedRows(_sales(rows, pseudonym_key), rows.clear().select(*_rejected()))
    return CheckedRows(
        _sales(rows.filter(~pl.col("bad")), pseudonym_key), rows.filter("bad").select(*_rejected())
    )


def _number(column: str, pattern: str) -> pl.Expr:
    """Return a column's numbers, null where a text is none by the letter of the contract.

    Float64 is exact here: a price below 10^9 in hundredths needs 37 of its 53 bits, and what has
    more digits is too large anyhow.
    """
    text = pl.col(column)
    return pl.when(text.str.contains(pattern)).then(text.cast(pl.Float64, strict=False))


def _rules() -> Iterator[tuple[pl.Expr, pl.Expr]]:
    """Yield what makes a row bad, and how that is said; never null."""
    yield pl.col("timestamp") == "", pl.lit("timestamp is empty")
    yield (
        pl.col("instant").is_null(),
        _saying("timestamp", "is neither ISO 8601 nor Unix seconds of the years 1 to 9999"),
    )
    for column in _IDS:
        text = pl.col(column)
        if column != "customer_id":
            yield text == "", pl.lit(f"{column} is empty")
        yield (
            text.str.len_bytes() > MAX_ID_BYTES,
            _saying(column, f"has more than {MAX_ID_BYTES} bytes"),
        )
        yield text.str.contains(_CONTROL), _saying(column, "has a control character")
    quantity, price = pl.col("quantity"), pl.col("price")
    yield pl.col("qty") == "", pl.lit("qty is empty")
    yield quantity.is_null(), _saying("qty", "is not a whole number")
    yield (quantity == 0).fill_null(False), _saying("qty", "is zero")
    yield (
        (quantity.abs() > MAX_QUANTITY).fill_null(False),
        _saying("qty", f"is more than {MAX_QUANTITY:,} in size"),
    )
    yield pl.col("total_price") == "", pl.lit("total_price is empty")
    yield (
        price.is_null(),
        _saying("total_price", "is not a decimal with two places at most"),
    )
    yield (
        (price.abs() >= PRICE_LIMIT).fill_null(False),
        _saying("total_price", f"is not below {PRICE_LIMIT:,} in size"),
    )
    yield (
        ((price < 0) & (quantity > 0)).fill_null(False),
        _saying("total_price", "is negative on a sale"),
    )


def _saying(column: str, what: str) -> pl.Expr:
    """Return a reason that names the column and shows its value's beginning."""
    text = pl.col(column)
    shown = text.str.slice(0, _SHOWN).str.replace_all(_CONTROL, "\N{REPLACEMENT CHARACTER}")
    more = pl.when(text.str.len_chars() > _SHOWN).then(pl.lit("…")).otherwise(pl.lit(""))
    return pl.format(f'{column} "{{}}{{}}" {what}', shown, more)


def _rejected() -> tuple[pl.Expr, pl.Expr]:
    reasons = (pl.when(is_bad).then(reason) for is_bad, reason in _rules())
    return pl.col("line"), pl.coalesce(*reasons).alias("reason")


def _sales(rows: pl.DataFrame, pseudonym_key: bytes) -> pl.DataFrame:
    quantity, price = pl.col("quantity"), pl.col("price")
    # Some feeds write a return's price positive, some negative.
    amount = pl.when(quantity < 0).then(-price.abs()).otherwise(price)
    columns = {
        "line": pl.col("line"),
        "timestamp": pl.col("instant"),
        "product_id": pl.col("product_id"),
        "category_id": pl.col("category_id"),
        "quantity": quantity,
        "amount_minor": (amount * 100).round(),
        "customer": pseudonyms(pl.col("customer_id"), pseudonym_key),
    }
    return rows.select(
        columns[name].cast(dtype).alias(name) for name, dtype in SALES_SCHEMA.items()
    )
