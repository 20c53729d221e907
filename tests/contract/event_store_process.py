"""Another process of the contract tests: writes to a store of a URL when a line on stdin says so.

python event_store_process.py URL STREAM WRITER COUNT
"""

import sys

from write_side.errors import WrongExpectedVersion
from write_side.event_store import EventStore
from write_side.events import SalesReportWithdrawn
from write_side.open_event_store import open_event_store


def write(store: EventStore, stream: str, writer: str, count: int) -> None:
    """Append events one by one, each at the version that the stream has reached."""
    written = 0
    while written < count:
        event = SalesReportWithdrawn(written, 1, writer, 0)
        try:
            store.append(stream, [event], store.last_version(stream))
            written += 1
        except WrongExpectedVersion:
            continue


if __name__ == "__main__":
    _, url, stream, writer, count = sys.argv
    store = open_event_store(url)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    write(store, stream, writer, int(count))
    store.close()
