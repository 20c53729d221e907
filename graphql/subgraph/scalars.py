"""The contract's scalars: exact decimals, whole numbers and instants, and how each is written.

`Decimal` and `DateTime` are texts that the resolvers write themselves, so that a list of a hundred
rows costs no serializing; `DateTime` arguments are read in `arguments`, which can name them.
"""

from typing import NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from graphql import GraphQLError
from write_side.hours import end_of, start_of

Decimal = NewType("Decimal", str)
BigInt = NewType("BigInt", int)
DateTime = NewType("DateTime", str)

_LARGEST_EXACT = 2**53


def decimal_of(minor: int) -> Decimal:
    """Write an amount of minor units (hundredths) as a decimal: 123450 is "1234.50"."""
    whole, hundredths = divmod(abs(minor), 100)
    return Decimal(f"{'-' if minor < 0 else ''}{whole}.{hundredths:02d}")


def instant_of(hour: int) -> DateTime:
    """Write the end of an hour as an instant: "2026-11-25T08:00:00Z"."""
    return DateTime(f"{end_of(hour):%Y-%m-%dT%H:%M:%SZ}")


def start_instant_of(hour: int) -> DateTime:
    """Write the start of an hour, the instant that its report's name stamps."""
    return DateTime(f"{start_of(hour):%Y-%m-%dT%H:%M:%SZ}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"Expected a string, found {type(value).__name__}.")
    return value


def _whole_number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= _LARGEST_EXACT:
        raise GraphQLError("Expected a whole number below 2^53 in size.")
    return value


def scalar_definitions() -> dict[object, ScalarDefinition]:
    """Return what each scalar type means in the schema, for Strawberry's `scalar_map`."""
    return {
        Decimal: strawberry.scalar(
            name="Decimal",
            description='An exact decimal number, as a string: "1234.50".',
            parse_value=_text,
        ),
        BigInt: strawberry.scalar(
            name="BigInt",
            description="A whole number below 2^53 in size, as a JSON number.",
            serialize=_whole_number,
            parse_value=_whole_number,
        ),
        DateTime: strawberry.scalar(
            name="DateTime", description="An ISO 8601 instant in UTC.", parse_value=_text
        ),
    }
