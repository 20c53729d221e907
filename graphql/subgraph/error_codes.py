"""Which code and words a client gets for an error. What is unexpected is never described."""

import re
from typing import NamedTuple

from graphql import GraphQLError
from projections.errors import (
    CategoryUnknown,
    NotYetPublished,
    ReadModelUnavailable,
    VersionGone,
)
from subgraph.errors import (
    BAD_USER_INPUT,
    CURSOR_EXPIRED,
    INTERNAL_SERVER_ERROR,
    NOT_FOUND,
    TOO_COMPLEX,
    UNAVAILABLE,
    SubgraphError,
)
from write_side.errors import EventStoreUnavailable

_SUGGESTION = re.compile(r" Did you mean .*\?$", re.DOTALL)
_TOO_LARGE_TO_PARSE = (
    "Syntax Error: Document contains more than",
    "Syntax Error: Document is nested too deeply",
)


class Described(NamedTuple):
    """An error as clients may see it."""

    code: str
    message: str


def describe(error: BaseException) -> Described:
    """Return the code and the words for an exception of a resolver or an endpoint."""
    match error:
        case SubgraphError():
            return Described(error.code, str(error))
        case ReadModelUnavailable():
            return Described(
                UNAVAILABLE, "the rankings can't be read at the moment. Try again in some seconds."
            )
        case EventStoreUnavailable():
            return Described(
                UNAVAILABLE, "the events can't be read at the moment. Try again in some seconds."
            )
        case CategoryUnknown():
            return Described(NOT_FOUND, "no sale was ever recorded in this category. Check its id.")
        case NotYetPublished():
            return Described(NOT_FOUND, "nothing had been published by then. Ask for a later time.")
        case VersionGone():
            return Described(CURSOR_EXPIRED, "this version is not kept any more. Begin again.")
        case RecursionError():
            return Described(TOO_COMPLEX, "the request is nested too deeply. Ask for less at once.")
        case _:
            return Described(
                INTERNAL_SERVER_ERROR, "something went wrong here. Try again; we have logged it."
            )


def described_error(error: GraphQLError) -> Described:
    """Return the code and the words for an error of a GraphQL operation."""
    code = (error.extensions or {}).get("code")
    if isinstance(code, str):
        return Described(code, error.message)
    original = error.original_error
    if error.path is None and isinstance(original, ValueError):
        # Before execution only literals are read; Python refuses to read very long numbers.
        return Described(BAD_USER_INPUT, "a number has too many digits to be read.")
    if original is not None and not isinstance(original, GraphQLError):
        return describe(original)
    if error.message.startswith(_TOO_LARGE_TO_PARSE):
        return Described(TOO_COMPLEX, error.message)
    # What graphql-core refuses is the client's doing, unless it is a value that we returned.
    if error.path is None or error.message.startswith("Argument "):
        return Described(BAD_USER_INPUT, error.message)
    return describe(RuntimeError(error.message))


def public_error(error: GraphQLError, suggestions: bool) -> GraphQLError:
    """Return the error that a client gets: with a code, and without anything internal.

    Without `suggestions` the "Did you mean …?" of validation is cut, which tells a schema's names.
    """
    code, message = described_error(error)
    if not suggestions:
        message = _SUGGESTION.sub("", message)
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={**(error.extensions or {}), "code": code},
    )
