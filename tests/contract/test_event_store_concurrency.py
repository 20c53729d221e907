"""Several writers and readers at once, in threads and in processes."""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Barrier, Timer

import pytest

from write_side.errors import EventStoreUnavailable, WrongExpectedVersion
from write_side.event_store import NO_STREAM, EventStore
from write_side.events import SalesReportWithdrawn
from write_side.open_event_store import open_event_store

ANOTHER_PROCESS = Path(__file__).with_name("event_store_process.py")


def note(number: int, writer: str = "one") -> SalesReportWithdrawn:
    return SalesReportWithdrawn(number, 1, writer, 0)


@contextmanager
def processes(
    url: str, stream: str, writers: list[str], count: int
) -> Iterator[Callable[[], None]]:
    """Start processes that write once the function that is lent is called."""
    command = [sys.executable, str(ANOTHER_PROCESS), url, stream]
    started = [
        subprocess.Popen(
            [*command, writer, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for writer in writers
    ]

    def go() -> None:
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield go
        for process in started:
            assert process.wait(60) == 0
    finally:
        for process in started:
            process.kill()
            process.communicate()


def assert_nothing_lost(store: EventStore, stream: str, writers: list[str], count: int) -> None:
    numbers = defaultdict(list)
    for version, recorded in enumerate(store.read(stream)):
        assert recorded.version == version
        assert isinstance(recorded.event, SalesReportWithdrawn)
        numbers[recorded.event.reason].append(recorded.event.hour)
    assert numbers == {writer: list(range(count)) for writer in writers}


def test_of_threads_that_race_for_a_version_exactly_one_wins(
    store: EventStore, stream: str
) -> None:
    writers, rounds = ["a", "b", "c"], 20
    barrier = Barrier(len(writers))

    met = []

    def race(writer: str) -> list[int]:
        won = []
        for version in range(rounds):
            barrier.wait(20)
            try:
                won.append(store.append(stream, [note(version, writer)], version - 1))
            except WrongExpectedVersion as lost:
                met.append((lost.expected, lost.actual))
            barrier.wait(20)
        return won

    with ThreadPoolExecutor(len(writers)) as threads:
        wins = dict(zip(writers, threads.map(race, writers), strict=True))
    assert sorted(version for won in wins.values() for version in won) == list(range(rounds))
    told = [(version - 1, version) for version in range(rounds) for _ in writers[1:]]
    assert sorted(met) == told
    for recorded in store.read(stream):
        assert isinstance(recorded.event, SalesReportWithdrawn)
        assert recorded.version in wins[recorded.event.reason]


def test_of_processes_that_race_nothing_is_lost(shared_url: str, stream: str) -> None:
    writers = ["a", "b"]
    with processes(shared_url, stream, writers, 100) as go:
        go()
    store = open_event_store(shared_url)
    assert_nothing_lost(store, stream, writers, 100)
    store.close()


def test_readers_see_whole_appends_while_others_write(store: EventStore, stream: str) -> None:
    def write() -> None:
        for number in range(0, 400, 4):
            store.append(stream, [note(number + each) for each in range(4)], number - 1)

    def read() -> int:
        seen = 0
        while seen < 400:
            events = list(store.read(stream))
            assert [recorded.version for recorded in events] == list(range(len(events)))
            assert len(events) % 4 == 0
            assert len(events) >= seen
            seen = len(events)
        return seen

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read) for _ in range(2)]
        threads.submit(write).result(30)
        assert [reader.result(30) for reader in readers] == [400, 400]


def test_a_subscription_begins_anywhere_and_goes_on_with_what_comes(
    store: EventStore, stream: str
) -> None:
    store.append(stream, [note(number) for number in range(5)], NO_STREAM)
    subscription = store.subscribe(stream, 3, timeout=20)
    assert [next(subscription).version for _ in range(2)] == [3, 4]
    store.append(stream, [note(5)], 4)
    assert next(subscription).version == 5
    store.append(stream, [note(6), note(7)], 5)
    assert [next(subscription).event for _ in range(2)] == [note(6), note(7)]


def test_a_subscription_waits_for_a_version_that_is_yet_to_come(
    store: EventStore, stream: str
) -> None:
    store.append(stream, [note(0)], NO_STREAM)
    subscription = store.subscribe(stream, 2, timeout=20)
    writing = Timer(0.2, lambda: store.append(stream, [note(1), note(2), note(3)], 0))
    writing.start()
    assert [recorded.version for recorded in islice(subscription, 2)] == [2, 3]
    writing.join()


def test_a_subscription_follows_another_thread(store: EventStore, stream: str) -> None:
    def write() -> None:
        for number in range(60):
            store.append(stream, [note(number)], number - 1)

    with ThreadPoolExecutor(3) as threads:
        following = [
            threads.submit(lambda: list(islice(store.subscribe(stream, timeout=20), 60)))
            for _ in range(2)
        ]
        threads.submit(write).result(30)
        for followed in following:
            events = followed.result(30)
            assert [recorded.event for recorded in events] == [note(each) for each in range(60)]


def test_a_subscription_follows_another_process(shared_url: str, stream: str) -> None:
    store = open_event_store(shared_url)
    with processes(shared_url, stream, ["far"], 40) as go:
        go()
        events = list(islice(store.subscribe(stream, timeout=20), 40))
    assert [recorded.event for recorded in events] == [note(each, "far") for each in range(40)]
    store.close()


def test_a_subscription_sees_no_other_stream(store: EventStore, stream: str) -> None:
    store.append(f"{stream}-other", [note(1)], NO_STREAM)
    assert list(store.subscribe(stream, timeout=0.1)) == []


def test_a_subscription_ends_when_nothing_came_for_its_timeout(
    store: EventStore, stream: str
) -> None:
    store.append(stream, [note(0), note(1)], NO_STREAM)
    started = time.monotonic()
    assert len(list(store.subscribe(stream, timeout=0.3))) == 2
    assert 0.25 < time.monotonic() - started < 5


def test_a_subscription_without_patience_yields_what_is_there(
    store: EventStore, stream: str
) -> None:
    store.append(stream, [note(0), note(1)], NO_STREAM)
    assert [recorded.version for recorded in store.subscribe(stream, 1, timeout=0)] == [1]
    assert list(store.subscribe(stream, 2, timeout=0)) == []


def test_the_timeout_counts_from_the_last_event(store: EventStore, stream: str) -> None:
    def write() -> None:
        for number in range(5):
            time.sleep(0.25)
            store.append(stream, [note(number)], number - 1)

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        assert len(list(store.subscribe(stream, timeout=0.9))) == 5
        writing.result(10)


def test_the_callers_own_time_is_not_counted(store: EventStore, stream: str) -> None:
    store.append(stream, [note(0)], NO_STREAM)
    subscription = store.subscribe(stream, timeout=0.3)
    assert next(subscription).version == 0
    writing = Timer(0.5, lambda: store.append(stream, [note(1)], 0))
    writing.start()
    time.sleep(0.4)
    assert next(subscription).version == 1
    writing.join()


def test_a_subscription_that_waits_is_told_when_the_store_closes(
    store: EventStore, stream: str
) -> None:
    closing = Timer(0.2, store.close)
    closing.start()
    with pytest.raises(EventStoreUnavailable, match="closed"):
        next(store.subscribe(stream))
    closing.join()
