"""The SQLite event store against the one in memory, step by step."""

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from polars.testing import assert_frame_equal

from write_side.errors import EventStoreCorrupted, WrongExpectedVersion
from write_side.event_store import EventStore, Metadata, StreamAppend
from write_side.events import Event, SaleRecorded, SalesReportWithdrawn, SalesTotalled
from write_side.memory_event_store import MemoryEventStore
from write_side.sale_frames import SALES_SCHEMA
from write_side.sale_rows import frame_of_sales
from write_side.sqlite_event_store import SqliteEventStore

names = st.sampled_from(["a", "b", "größe"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
sales = st.lists(
    st.builds(
        SaleRecorded,
        line=st.integers(0, 2**32 - 1),
        timestamp=st.integers(-(2**63), 2**63 - 1),
        product_id=texts,
        category_id=texts,
        quantity=st.integers(-(2**31), 2**31 - 1),
        amount_minor=st.integers(-(2**63), 2**63 - 1),
        customer=st.none() | st.integers(0, 2**64 - 1),
    ),
    max_size=9,
)
others = st.lists(
    st.builds(SalesReportWithdrawn, st.integers(0, 99), st.integers(0, 9), texts, st.just(1))
    | st.builds(
        SalesTotalled, st.just(1), st.just(1), st.just(1), st.just(1), st.binary(max_size=400)
    ),
    max_size=4,
)
events = sales | others | st.builds(lambda a, b: [*a, *b], others, sales)
frames = sales.map(frame_of_sales)
errors_of_version = st.sampled_from([0, 0, 0, 0, -1, 1, -5, 7])
metadata = st.builds(Metadata, st.just(1), st.none() | texts)
versions = st.integers(0, 40)


class SqliteAgainstMemory(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = TemporaryDirectory()
        self.model = MemoryEventStore()
        self.store = self.opened()

    def opened(self) -> SqliteEventStore:
        return SqliteEventStore(Path(self.folder.name) / "events.db", sales_in_batch=3)

    def append_to_both(self, appends: list[StreamAppend], metadata: Metadata) -> None:
        outcomes = []
        for store in (self.model, self.store):
            try:
                store.append_many(appends, metadata)
                outcomes.append("appended")
            except WrongExpectedVersion as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]

    @rule(name=names, events=events | frames, off=errors_of_version, metadata=metadata)
    def append(
        self, name: str, events: list[Event] | pl.DataFrame, off: int, metadata: Metadata
    ) -> None:
        expected = self.model.last_version(name) + off
        self.append_to_both([StreamAppend(name, events, expected)], metadata)

    @rule(events=st.dictionaries(names, events | frames), off=errors_of_version, metadata=metadata)
    def append_to_many(
        self, events: dict[str, list[Event] | pl.DataFrame], off: int, metadata: Metadata
    ) -> None:
        appends = [
            StreamAppend(name, each, self.model.last_version(name)) for name, each in events.items()
        ]
        if appends:
            last = appends.pop()
            appends.append(StreamAppend(last.stream, last.events, last.expected_version + off))
        self.append_to_both(appends, metadata)

    @rule(name=names, version=versions, limit=st.none() | versions)
    def read(self, name: str, version: int, limit: int | None) -> None:
        expected = list(self.model.read(name, version, limit))
        assert list(self.store.read(name, version, limit)) == expected

    @rule(name=names, version=versions)
    def subscribe(self, name: str, version: int) -> None:
        expected = list(self.model.read(name, version))
        assert list(self.store.subscribe(name, version, timeout=0)) == expected

    @rule(name=names, version=versions)
    def read_sales(self, name: str, version: int) -> None:
        expected, found = (sales_from(store, name, version) for store in (self.model, self.store))
        assert (expected is None) == (found is None)
        if expected is not None and found is not None:
            assert_frame_equal(found, expected)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.opened()

    @invariant()
    def versions_agree(self) -> None:
        for name in ("a", "b", "größe"):
            assert self.store.last_version(name) == self.model.last_version(name)

    def teardown(self) -> None:
        self.store.close()
        self.model.close()
        self.folder.cleanup()


def sales_from(store: EventStore, name: str, version: int) -> pl.DataFrame | None:
    """Return a stream's sales from a version on; none where it holds something else, too."""
    try:
        return pl.concat([pl.DataFrame(schema=SALES_SCHEMA), *store.read_sales(name, version)])
    except EventStoreCorrupted:
        return None


TestSqliteAgainstMemory = SqliteAgainstMemory.TestCase
TestSqliteAgainstMemory.settings = settings(
    max_examples=30,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
