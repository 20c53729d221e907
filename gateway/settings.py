"""What the gateway is told by the program's settings, and its own bounds."""

import msgspec


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one gateway process serves."""

    secret_keys: tuple[bytes, ...]
    """The secret keys that sign cursors, the newest first; all of them verify."""
    currency: str = "USD"
    """The feed's one currency."""
    introspection: bool = True
    """Whether clients may ask for the GraphQL schema, and are told names that they misspell."""
    cached_answers: int = 50_000
    """Finished answers kept in memory."""
    cached_bytes: int = 64 * 1024 * 1024
    """Bytes of finished answers and of the requests that they answer."""
    largest_body: int = 1024 * 1024
    """Bytes of a request body."""
    longest_target: int = 8 * 1024
    """Bytes of a path with its query."""
    keep_alive_seconds: float = 15.0
    """Silence after which a stream sends a comment, so that no proxy takes it for dead."""
    most_streams: int = 10_000
    """Streams open at once in one process."""
