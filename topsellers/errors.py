"""What can go wrong in the command line and in what it starts.

    TopsellersError
    └── EmbeddedRedisUnavailable  the embedded Redis cannot be started, reached or kept

Every message is one line: what happened, where, what to do. `code` is stable.
"""


class TopsellersError(Exception):
    """Base of all errors of this package."""

    code = "TOPSELLERS_ERROR"


class EmbeddedRedisUnavailable(TopsellersError):
    """The embedded Redis has no server program, no folder to write in, or does not start."""

    code = "EMBEDDED_REDIS_UNAVAILABLE"
