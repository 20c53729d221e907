"""What can go wrong on the write side.

    WriteSideError
    ├── ReportRefused            a report that may not be taken as it stands
    │   ├── ReportNameInvalid    its name or stamp is no report's
    │   ├── ReportUnreadable     no usable header, or cut short in its compression
    │   ├── ReportTooLarge       it is over a limit, or memory does not suffice
    │   ├── ReportInFuture       its hour ends more than 5 minutes from now
    │   └── ReportConflicts      another content for an hour already ingested
    ├── ReportChanging           a file that changed while it was read: left for later
    ├── HourNotIngested          a withdrawal of an hour that no report covers
    ├── FeedUnavailable          the drop location cannot be read
    ├── QuarantineUnavailable    the rejected rows cannot be kept, so the report cannot close
    └── EventStoreError
        ├── WrongExpectedVersion another writer was first
        ├── EventStoreCorrupted  a stored batch does not match its checksum
        └── EventStoreUnavailable cannot be opened, read or written; may pass by itself

Every message is one line: what happened, where, what to do. `code` is stable.
"""


class WriteSideError(Exception):
    """Base of all errors of this package."""

    code = "WRITE_SIDE_ERROR"


class ReportRefused(WriteSideError):
    """A report that may not be taken as it stands."""

    code = "REPORT_REFUSED"


class ReportNameInvalid(ReportRefused):
    """A name that is no report's, or a stamp that is no hour."""

    code = "REPORT_NAME_INVALID"


class ReportUnreadable(ReportRefused):
    """A report without a usable header, or cut short in its compression."""

    code = "REPORT_UNREADABLE"


class ReportTooLarge(ReportRefused):
    """A report over a limit of size, lines or bad rows, or that memory does not suffice for."""

    code = "REPORT_TOO_LARGE"


class ReportInFuture(ReportRefused):
    """A report whose hour ends more than 5 minutes from now."""

    code = "REPORT_IN_FUTURE"


class ReportConflicts(ReportRefused):
    """Another content for an hour that is already ingested."""

    code = "REPORT_CONFLICTS"


class ReportChanging(WriteSideError):
    """A file that changed while it was read; it is left for later."""

    code = "REPORT_CHANGING"


class HourNotIngested(WriteSideError):
    """A withdrawal of an hour that no report covers."""

    code = "HOUR_NOT_INGESTED"


class FeedUnavailable(WriteSideError):
    """The drop location cannot be read."""

    code = "FEED_UNAVAILABLE"


class QuarantineUnavailable(WriteSideError):
    """Rejected rows cannot be kept, so the report cannot close."""

    code = "QUARANTINE_UNAVAILABLE"


class EventStoreError(WriteSideError):
    """Base of the event store's errors."""

    code = "EVENT_STORE_ERROR"


class WrongExpectedVersion(EventStoreError):
    """A stream is at another version than the writer expected: another writer was first."""

    code = "WRONG_EXPECTED_VERSION"

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(
            f"{stream} is at version {actual}, not {expected}: another writer was first"
        )
        self.stream = stream
        self.expected = expected
        self.actual = actual


class EventStoreCorrupted(EventStoreError):
    """A stored batch does not match its checksum or cannot be decoded."""

    code = "EVENT_STORE_CORRUPTED"


class EventStoreUnavailable(EventStoreError):
    """The store cannot be opened, read or written; it may pass by itself."""

    code = "EVENT_STORE_UNAVAILABLE"
