"""The rules that arguments keep, the same for GraphQL and REST. Each check names the argument."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from subgraph.errors import BadArgument

LARGEST_ID: Final = 128
"""Bytes of UTF-8 that an id may have, as in the feed."""
LARGEST_PAGE: Final = 100
"""Rows of a page."""
MOST_IDS: Final = 1_000
"""Ids of one list, and representations of one `_entities`."""
LONGEST_HISTORY: Final = timedelta(hours=720)
"""From the first to the last instant of a rank history."""


def id_argument(name: str, value: str) -> str:
    """Return an id of 1 to 128 bytes; raises `BadArgument`."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise BadArgument(name, "the id is not valid Unicode") from None
    if not 1 <= size <= LARGEST_ID:
        raise BadArgument(name, f"an id has 1 to {LARGEST_ID} bytes, this one has {size}")
    return value


def ids_argument(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """Return up to 1,000 ids, in their order; raises `BadArgument`."""
    if len(values) > MOST_IDS:
        raise BadArgument(name, f"{len(values):,} ids given, {MOST_IDS:,} at most are answered")
    return tuple(id_argument(name, value) for value in values)


def page_size_argument(name: str, value: int) -> int:
    """Return a page size of 1 to 100; raises `BadArgument`."""
    if not 1 <= value <= LARGEST_PAGE:
        raise BadArgument(name, f"must be 1 to {LARGEST_PAGE}, not {value}")
    return value


def instant_argument(name: str, text: str) -> datetime:
    """Return an ISO 8601 instant with its offset from UTC; raises `BadArgument`."""
    example = "write it like 2026-11-25T08:00:00Z"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise BadArgument(name, f"not an ISO 8601 instant; {example}") from None
    if instant.tzinfo is None:
        raise BadArgument(name, f"has no offset from UTC; {example}")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise BadArgument(name, f"not an instant of the calendar; {example}") from None


def history_arguments(first: str, last: str) -> tuple[datetime, datetime]:
    """Return the bounds of a rank history, 720 hours apart at most; raises `BadArgument`."""
    begin, end = instant_argument("from", first), instant_argument("to", last)
    if begin > end:
        raise BadArgument("from", "is later than `to`")
    if end - begin > LONGEST_HISTORY:
        raise BadArgument("from", "is more than 720 hours before `to`; ask for a shorter span")
    return begin, end
