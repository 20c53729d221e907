"""What the subgraph and the REST endpoints refuse, in words for the client.

    SubgraphError
    ├── BadArgument     BAD_USER_INPUT   an argument or parameter, named, that breaks its rule
    ├── NotFound        NOT_FOUND        nothing is known by this id
    └── CursorExpired   CURSOR_EXPIRED   the version that a cursor reads is not kept any more

Every message is one line that may be shown to anyone. `code` is what `extensions.code` carries.
"""

from typing import ClassVar

BAD_USER_INPUT = "BAD_USER_INPUT"
NOT_FOUND = "NOT_FOUND"
CURSOR_EXPIRED = "CURSOR_EXPIRED"
TOO_COMPLEX = "TOO_COMPLEX"
UNAVAILABLE = "UNAVAILABLE"
INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


class SubgraphError(Exception):
    """Base of all errors of this package."""

    code: ClassVar[str] = INTERNAL_SERVER_ERROR


class BadArgument(SubgraphError):
    """An argument that breaks its rule; `argument` is its name as the client wrote it."""

    code = BAD_USER_INPUT

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(f"{argument}: {reason}")
        self.argument = argument


class NotFound(SubgraphError):
    """Nothing is known by this id."""

    code = NOT_FOUND


class CursorExpired(SubgraphError):
    """The version that a cursor reads was replaced too long ago."""

    code = CURSOR_EXPIRED
