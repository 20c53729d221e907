"""Records with quotes, read strictly by RFC 4180.

A field is either plain, without any quote, or whole in quotes, with each quote inside doubled.
Everything else is an error, so that a stray quote is noticed instead of guessed at.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

MAX_RECORD_BYTES: Final = 64 << 10
"""Of a record that goes over several lines, and of a header."""

# Possessive throughout: what does not match fails at once, and never tries again.
_FIELD: Final = r'(?:"[^"]*+(?:""[^"]*+)*+"|[^",\n]*+)'
_FIELD_PATTERN: Final = re.compile(_FIELD)


def record_pattern(width: int, captured: Sequence[int]) -> re.Pattern[str]:
    """Return what matches a whole record of `width` fields, with a group for each captured one.

    `captured` are the indexes of fields, ascending and one at least; a group holds the field as it
    stands, quotes included.
    """
    parts = [_skipped(captured[0], "{field},"), f"({_FIELD})"]
    for before, index in pairwise(captured):
        parts += [",", _skipped(index - before - 1, "{field},"), f"({_FIELD})"]
    parts.append(_skipped(width - captured[-1] - 1, ",{field}"))
    return re.compile("".join(parts))


def unquoted(field: str) -> str:
    """Return the value of a well-formed field."""
    return field[1:-1].replace('""', '"') if field.startswith('"') else field


def fields_of(record: str) -> list[str] | None:
    """Return the values of a record's fields, None where its quotes do not match."""
    fields: list[str] = []
    position = 0
    while True:
        match = _FIELD_PATTERN.match(record, position)
        if match is None:
            return None
        fields.append(unquoted(match[0]))
        position = match.end()
        if position == len(record):
            return fields
        if record[position] != ",":
            return None
        position += 1


def flaw_of(record: str, width: int) -> str:
    """Say in plain words why a text is no record of `width` fields."""
    position = count = 0
    while match := _FIELD_PATTERN.match(record, position):
        count += 1
        position = match.end()
        if position == len(record):
            break
        if record[position] == '"':
            if match[0]:
                return f"field {count} has a quote but is not in quotes as a whole"
            return f"the quote that opens field {count} is not closed"
        if record[position] != ",":
            return f"field {count} has text after its closing quote"
        position += 1
    return wrong_width(count, width)


def wrong_width(count: int, width: int) -> str:
    """Say that a record has more or fewer fields than the header."""
    return f"it has {count} {'field' if count == 1 else 'fields'}, the header has {width}"


def _skipped(count: int, shape: str) -> str:
    return f"(?:{shape.replace('{field}', _FIELD)}){{{count}}}+" if count else ""
