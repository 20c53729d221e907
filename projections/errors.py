"""What can go wrong on the way to the read model and in it.

    ProjectionError
    ├── RedisUrlInvalid        the Redis URL cannot be understood
    ├── RedisUnsuitable        the Redis server is too old, a replica, or may evict keys
    ├── ReadModelUnavailable   Redis cannot be reached or refuses us; may pass by itself
    │   ├── BlockMissing       a block that a head names is not there: lost, or its time is over
    │   ├── BlockCorrupted     what is stored cannot be decoded or fails its checksum
    │   └── HistoryMissing     a version whose rankings are not published yet
    ├── CategoryUnknown        no sale was ever recorded in the category
    ├── VersionGone            the version that a cursor names is not kept any more
    ├── NotYetPublished        nothing had been published at the instant asked for
    └── RebuildFailed          a rebuilt partition does not agree with the events

Every message is one line: what happened, where, what to do. `code` is stable.
"""


class ProjectionError(Exception):
    """Base of all errors of this package."""

    code = "PROJECTION_ERROR"


class RedisUrlInvalid(ProjectionError):
    """A Redis URL that cannot be understood, or asks for what a cluster does not have."""

    code = "REDIS_URL_INVALID"


class RedisUnsuitable(ProjectionError):
    """A Redis server that is too old, a replica, set to evict keys, or of the other kind."""

    code = "REDIS_UNSUITABLE"


class ReadModelUnavailable(ProjectionError):
    """Redis cannot be reached, or refuses the login; it may pass by itself."""

    code = "READ_MODEL_UNAVAILABLE"


class BlockMissing(ReadModelUnavailable):
    """A block that a head names is not there: it was lost, or the version's time is over."""

    code = "BLOCK_MISSING"


class BlockCorrupted(ReadModelUnavailable):
    """What is stored cannot be decoded, or fails its checksum."""

    code = "BLOCK_CORRUPTED"


class HistoryMissing(ReadModelUnavailable):
    """A version whose rankings are not published yet."""

    code = "HISTORY_MISSING"


class CategoryUnknown(ProjectionError):
    """No sale was ever recorded in the category."""

    code = "CATEGORY_UNKNOWN"


class VersionGone(ProjectionError):
    """The version that a cursor names is not kept any more."""

    code = "VERSION_GONE"


class NotYetPublished(ProjectionError):
    """Nothing had been published at the instant asked for."""

    code = "NOT_YET_PUBLISHED"


class RebuildFailed(ProjectionError):
    """A rebuilt partition does not agree with the events, so it was not swapped in."""

    code = "REBUILD_FAILED"
