"""What can go wrong in the command line and in what it starts.

    TopsellersError
    ├── SettingInvalid            a setting that cannot be understood, named
    ├── HomeUnusable              the home folder cannot be made, read or written
    ├── WrongUse                  a command was asked for something that makes no sense
    ├── PortUnavailable           the address to serve at is taken, or not this machine's
    ├── RoleFailed                a part of `up` or `demo` cannot be kept alive
    └── EmbeddedRedisUnavailable  the embedded Redis cannot be started, reached or kept

Every message is one line: what happened, where, what to do. `code` is stable.
"""


class TopsellersError(Exception):
    """Base of all errors of this package."""

    code = "TOPSELLERS_ERROR"


class SettingInvalid(TopsellersError):
    """A setting that cannot be understood; the message names it."""

    code = "SETTING_INVALID"


class HomeUnusable(TopsellersError):
    """The home folder, or a file that must be in it, cannot be made, read or written."""

    code = "HOME_UNUSABLE"


class WrongUse(TopsellersError):
    """A command was asked for something that makes no sense."""

    code = "WRONG_USE"


class PortUnavailable(TopsellersError):
    """The address to serve at is taken, or is none of this machine's."""

    code = "PORT_UNAVAILABLE"


class RoleFailed(TopsellersError):
    """A part of `up` or `demo` does not come up, or does not stay."""

    code = "ROLE_FAILED"


class EmbeddedRedisUnavailable(TopsellersError):
    """The embedded Redis has no server program, no folder to write in, or does not start."""

    code = "EMBEDDED_REDIS_UNAVAILABLE"
