"""Verification on a real Valkey node and a cluster: it agrees, and it names what was damaged."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from projections.blocks import BlockWriter, decode_rows
from projections.differences import KEPT_DIFFERENCES, Differences
from projections.errors import ReadModelUnavailable
from projections.head import Head, StoredTable, encode_head, head_key
from projections.list_blocks import ListBlockWriter, decode_list_block
from projections.product_categories import (
    bucket_key,
    marks_field,
    marks_key,
    read_marks,
    slot_of,
)
from projections.ranking_lists import RankingMetric, RankingWindow, list_offset
from projections.read_model_tables import LiveHead, read_live_heads
from projections.verify import Verification, VerificationProgress, verify
from projections.verify_pins import PinnedFrom, Pins
from projections.verify_reports import ReportEvents
from projections.worker import ReadModel, project
from tests.oracle.operations import Operation
from tests.projections.read_models import read_model
from tests.projections.recorded import FIRST_HOUR, as_sales, operations, record, report
from write_side.event_store import NO_STREAM
from write_side.events import (
    REPORTS_STREAM,
    SalesReportIngested,
    SalesTotalled,
    sales_stream,
    totals_stream,
)
from write_side.hours import format_stamp
from write_side.memory_event_store import MemoryEventStore
from write_side.partitioning import PARTITIONS, partition_of
from write_side.report_history import ReportHistory
from write_side.sale_frames import encode_frame, total_sales

TOTALS = ("units", "amount_minor")
TOYS = partition_of("toys")


def toys(products: int, seed: int) -> pl.DataFrame:
    """Ties, several blocks, and two small categories beside."""
    rows = [("toys", f"p{n:05d}", 1 + (n * seed) % 900, (n * 31) % 700) for n in range(products)]
    return report([*rows, ("books", "p00001", 2, 5), ("books", "p00002", -1, -5)])


def told(verification: Verification) -> list[str]:
    assert verification.difference_count == len(verification.differences)
    return [str(difference) for difference in verification.differences]


def run(model: ReadModel, **options: float) -> Verification:
    return verify(model.store, model.redis, model.store_id, threads=2, **options)


@pytest.fixture
def model(redis_url: str) -> Iterator[ReadModel]:
    """A read model of two reports that agrees with its events."""
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as model:
        for hour, frame in enumerate((toys(2500, 7), toys(2100, 11))):
            record(store, Operation("ingest", FIRST_HOUR + hour, frame))
            project(model, history)
        yield model


def head_of(model: ReadModel, partition: int = TOYS) -> Head:
    head = read_live_heads(model.redis, [partition])[partition].head
    assert head is not None
    return head


def change_head(model: ReadModel, **changes: object) -> None:
    head = msgspec.structs.replace(head_of(model), **changes)
    model.redis.hset(head_key(TOYS), "head", encode_head(head))


def change_rows(
    model: ReadModel, table: StoredTable, block: int, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    key, field = table.place(block)
    data = model.redis.hget(key, field)
    rows = change(decode_rows([data], TOTALS))
    model.redis.hset(key, field, BlockWriter(rows, TOTALS).encode(0, rows.height))


def change_list(
    model: ReadModel,
    offset: int,
    rows: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
    previous: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame,
) -> None:
    key, field = head_of(model).list_place(0, offset)
    block = decode_list_block(model.redis.hget(key, field))
    first = pl.DataFrame(
        {
            "list": [0] * len(block.rows),
            "product_id": [block.rows.product_id(n).decode() for n in range(len(block.rows))],
            "units": block.rows.columns[0],
            "amount_minor": block.rows.columns[1],
        }
    )
    before = pl.DataFrame(
        {
            "list": [0] * len(block.previous_ranks),
            "product_id": [product.decode() for product in block.previous_ranks],
            "rank": list(block.previous_ranks.values()),
        }
    )
    model.redis.hset(key, field, ListBlockWriter(rows(first), previous(before)).encode(0, 1)[0])


def swap_first_two(rows: pl.DataFrame) -> pl.DataFrame:
    return rows[[1, 0, *range(2, rows.height)]]


DONE = [
    Operation("ingest", FIRST_HOUR, toys(1500, 3)),
    Operation("ingest", FIRST_HOUR + 1, toys(1100, 5)),
    Operation("ingest", FIRST_HOUR + 26, report([("books", "p00001", 1, 5)])),
    Operation("ingest", FIRST_HOUR + 25, toys(100, 9)),
    Operation("correct", FIRST_HOUR + 1, report([("new", "p1", 1, 1)])),
    Operation("ingest", FIRST_HOUR + 27, report([("toys", "p00001", -3, -9)])),
    Operation("withdraw", FIRST_HOUR + 26),
    Operation("withdraw", FIRST_HOUR + 27),
]


def test_it_agrees_after_reports_on_time_late_corrected_and_withdrawn(redis_url: str) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as model:
        for version, operation in enumerate(DONE):
            record(store, operation)
            project(model, history)
            verification = run(model)
            assert told(verification) == []
            assert verification.agrees
            assert verification.versions == dict.fromkeys(range(PARTITIONS), version)
        assert verification.store_version == len(DONE) - 1
        assert verification.sales == 1502 + 1102 + 1 + 102 + 1 + 1
        assert verification.rows > 10_000


def test_it_agrees_on_a_cluster_too(cluster_url: str) -> None:
    store = MemoryEventStore()
    with read_model(store, cluster_url) as model:
        for operation in DONE:
            record(store, operation)
        project(model, ReportHistory())
        assert told(run(model)) == []
        key, field = head_of(model).window(RankingWindow.ALL_TIME).revenue.place(0)
        model.redis.hdel(key, field)
        assert len(told(run(model))) == 1


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(operations(max_size=10))
def test_it_agrees_after_any_order_of_reports(redis_url: str, done: list[Operation]) -> None:
    store = MemoryEventStore()
    with read_model(store, redis_url) as model:
        for operation in done:
            record(store, operation)
        project(model, ReportHistory())
        assert told(run(model)) == []


def test_an_empty_store_agrees_with_an_empty_read_model(redis_url: str) -> None:
    with read_model(MemoryEventStore(), redis_url) as model:
        verification = run(model)
    assert told(verification) == []
    assert (verification.versions, verification.store_version) == ({}, -1)


def test_a_report_that_nobody_projected_is_pending(redis_url: str) -> None:
    store = MemoryEventStore()
    record(store, DONE[0])
    with read_model(store, redis_url) as model:
        lines = told(run(model))
    assert len(lines) == PARTITIONS
    head = "partition 00: the head: expected version 0, found nothing: not projected yet"
    assert lines[0] == head


def test_a_changed_total_is_named(model: ReadModel) -> None:
    table = head_of(model).window(RankingWindow.WEEK).by_id
    change_rows(
        model,
        table,
        1,
        lambda rows: rows.with_columns(pl.col("units") + (pl.int_range(pl.len()) == 5)),
    )
    (line,) = told(run(model))
    assert line.startswith(
        f"partition {TOYS:02d}, category toys, window week, by product: product p01029: expected"
    )
    units = [int(word.split(",")[0]) for word in line.split("units ")[1:]]
    assert units[1] == units[0] + 1


def test_a_swapped_order_is_named(model: ReadModel) -> None:
    change_rows(model, head_of(model).window(RankingWindow.DAY).revenue, 0, swap_first_two)
    (line,) = told(run(model))
    assert "category toys, window day, by revenue: position 1: expected p" in line


def test_a_missing_block_is_named(model: ReadModel) -> None:
    key, field = head_of(model).window(RankingWindow.MONTH).units.place(2)
    model.redis.hdel(key, field)
    (line,) = told(run(model))
    assert line.startswith(f"partition {TOYS:02d}, window month, by units: the table: expected ")
    assert line.endswith(f"found block 2 of {key} is missing")


@pytest.mark.parametrize("damage", [b"nothing", b"", b"\x01\x02\x00\x04"])
def test_a_corrupt_block_is_named(model: ReadModel, damage: bytes) -> None:
    key, field = head_of(model).window(RankingWindow.HOUR).by_id.place(1)
    model.redis.hset(key, field, damage)
    (line,) = told(run(model))
    assert line.endswith(f"found block 1 of {key} is corrupt")


def test_rows_that_moved_to_the_block_beside_are_named(model: ReadModel) -> None:
    table = head_of(model).window(RankingWindow.ALL_TIME).by_id
    change_rows(model, table, 0, lambda rows: rows.head(1000))
    (line,) = told(run(model))
    assert "has 1000 rows instead of 1024" in line


def test_a_missing_list_block_is_named_and_the_others_are_compared(model: ReadModel) -> None:
    missing = list_offset(RankingWindow.HOUR, RankingMetric.UNITS)
    changed = list_offset(RankingWindow.HOUR, RankingMetric.REVENUE)
    change_list(model, changed, rows=swap_first_two)
    model.redis.hdel(*head_of(model).list_place(0, missing))
    gone, moved = told(run(model))
    assert "category toys, window hour, by units: the list's block" in gone
    assert "category toys, window hour, by revenue: the first 100, position 1" in moved


def test_a_corrupt_list_block_is_named(model: ReadModel) -> None:
    place = head_of(model).list_place(0, 3)
    model.redis.hset(*place, b"no list")
    (line,) = told(run(model))
    assert "category toys, window day, by revenue: the list's block" in line
    assert "is corrupt" in line


def test_a_wrong_previous_rank_is_named(model: ReadModel) -> None:
    offset = list_offset(RankingWindow.DAY, RankingMetric.UNITS)
    change_list(model, offset, previous=lambda rows: rows.with_columns(pl.col("rank") + 1).head(99))
    lines = told(run(model))
    assert len(lines) == 100
    assert "category toys, window day, by units: previous ranks, product p" in lines[0]
    assert sum(line.endswith("found nothing") for line in lines) == 1


def test_a_wrong_category_list_is_named(model: ReadModel) -> None:
    change_head(model, categories=("robots",))
    where = f"partition {TOYS:02d}, category"
    assert set(told(run(model))) == {
        f"{where} toys: the category: expected known, found nothing",
        f"{where} robots: the category: expected nothing, found known",
    }


def test_a_wrong_directory_is_named(model: ReadModel) -> None:
    head = head_of(model)
    window = head.window(RankingWindow.DAY)
    ranks = window.units.first_ranks.copy()
    ranks[1] += 1
    table = msgspec.structs.replace(window.units, first_ranks_bytes=ranks.tobytes())
    changed = msgspec.structs.replace(window, units=table)
    change_head(model, windows={**head.windows, "day": changed})
    (line,) = told(run(model))
    assert "window day, by units: the directory's first ranks, at 1: expected" in line


def test_a_wrong_newest_hour_is_named(model: ReadModel) -> None:
    change_head(model, hour=FIRST_HOUR + 2, as_of_hour=FIRST_HOUR + 2)
    assert [line.split(": ", 1)[1] for line in told(run(model))] == [
        f"the newest closed hour: expected {FIRST_HOUR + 1}, found {FIRST_HOUR + 2}",
        f"the hour of as_of: expected {FIRST_HOUR + 1}, found {FIRST_HOUR + 2}",
    ]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"store_id": "other"}, "found one of other"),
        ({"partition": TOYS + 1}, f"found that of partition {TOYS + 1:02d}"),
        ({"build": "other"}, "expected identity"),
    ],
)
def test_a_head_that_is_not_its_own_is_named(
    model: ReadModel, changes: dict[str, object], what: str
) -> None:
    change_head(model, **changes)
    (line,) = told(run(model))
    assert f"partition {TOYS:02d}: the head: " in line
    assert what in line


def test_a_head_that_is_lost_or_beyond_the_store_is_named(model: ReadModel) -> None:
    generation, _, build = head_of(model).identity.split(":")
    change_head(model, version=9)
    model.redis.hset(head_key(TOYS), "identity", f"{generation}:9:{build}")
    model.redis.hset(head_key(partition_of("books")), "head", b"no head")
    model.redis.delete(head_key(63))
    lines = told(run(model))
    assert len(lines) == 3
    assert f"partition {TOYS:02d}: the head: expected a version up to 1, found 9" in lines
    assert lines[-1].endswith("expected version 1, found nothing: not projected yet")
    assert sum("can't be decoded" in line for line in lines) == 1


def test_a_stale_head_is_named(redis_url: str) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as model:
        record(store, DONE[0])
        project(model, history)
        older = model.redis.hgetall(head_key(TOYS))
        record(store, DONE[1])
        project(model, history)
        model.redis.hset(head_key(TOYS), mapping=older)
        verification = run(model, stale_seconds=0.2)
    (line,) = told(verification)
    assert line.startswith(f"partition {TOYS:02d}: the head is stale: expected version 1")
    assert line.endswith("found version 0")


def test_blocks_of_another_version_under_a_head_are_named(redis_url: str) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as model:
        record(store, DONE[0])
        project(model, history)
        older = head_of(model)
        record(store, DONE[1])
        project(model, history)
        change_head(model, windows=older.windows, lists=older.lists)
        verification = run(model)
    assert verification.difference_count > KEPT_DIFFERENCES
    assert len(verification.differences) == KEPT_DIFFERENCES
    windows = {difference.window for difference in verification.differences}
    assert "hour" in windows


def test_a_missing_pair_is_named(model: ReadModel) -> None:
    key = bucket_key(b"p00002")
    assert model.redis.hdel(key, b"p00002\x00books")
    (line,) = told(run(model))
    assert line == (
        f"partition {partition_of('books'):02d}, category books: product p00002 among the "
        f"products' categories: expected the pair in {key}, found nothing"
    )


def test_a_lowered_mark_is_named(model: ReadModel) -> None:
    field = marks_field(model.store_id, TOYS)
    model.redis.hset(marks_key(slot_of(b"p00002")), field, 0)
    assert read_marks(model.redis, model.store_id, [TOYS]) == {TOYS: 0}
    (line,) = told(run(model))
    assert line.endswith("products' categories are complete: expected 1 at least, found 0")


def test_totals_that_are_not_those_of_the_sales_are_found(redis_url: str) -> None:
    store = MemoryEventStore()
    sales = as_sales(report([("toys", "p1", 3, 900), ("toys", "p1", -1, -300)]))
    stamp = format_stamp(FIRST_HOUR)
    wrong = total_sales(sales).with_columns(pl.col("units") + 1)
    store.append_sales(sales_stream(stamp, 1, TOYS), sales, NO_STREAM)
    totals = SalesTotalled(FIRST_HOUR, 1, TOYS, 1, encode_frame(wrong))
    store.append(totals_stream(stamp, 1, TOYS), [totals], NO_STREAM)
    closing = SalesReportIngested(FIRST_HOUR, 1, 1, "x", 2, 0, [TOYS], 0)
    store.append(REPORTS_STREAM, [closing], NO_STREAM)
    with read_model(store, redis_url) as model:
        project(model, ReportHistory())
        lines = told(run(model))
    assert len(lines) == 5 * (3 + 1 + 2)  # tables, a directory, lists
    values = "expected units 2, amount_minor 600, found units 3, amount_minor 600"
    assert (
        f"partition {TOYS:02d}, category toys, window hour, by product: product p1: {values}"
    ) in lines


def test_no_false_alarm_while_a_worker_projects(redis_url: str) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    record(store, Operation("ingest", FIRST_HOUR, toys(300, 3)))
    with read_model(store, redis_url) as model:
        project(model, history)
        done = threading.Event()

        def work() -> None:
            try:
                for hour in range(1, 9):
                    record(store, Operation("ingest", FIRST_HOUR + hour, toys(300, 3 + hour)))
                    project(model, history)
            finally:
                done.set()

        worker = threading.Thread(target=work)
        worker.start()
        verified: list[Verification] = []
        while not done.is_set():
            verified.append(run(model))
        worker.join()
        verified.append(run(model))
    assert [line for verification in verified for line in told(verification)] == []
    assert set(verified[-1].versions.values()) == {8}
    assert len(verified) > 2


class HeadsReadTooEarly(PinnedFrom):
    """What it gives for several partitions at first is not live any more."""

    early: ClassVar[list[dict[int, LiveHead]]] = []

    def read(self, partitions: Sequence[int]) -> dict[int, LiveHead]:
        if len(partitions) > 1 and self.early:
            return self.early.pop()
        return super().read(partitions)


@pytest.mark.parametrize("times", [1, 4, 5])
def test_blocks_whose_time_is_over_are_read_anew_and_no_difference(
    redis_url: str, times: int
) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as model, closing(ReportEvents()) as events:
        record(store, DONE[0])
        project(model, history)
        partitions = sorted([TOYS, partition_of("books")])
        early = read_live_heads(model.redis, partitions)
        record(store, DONE[1])
        project(model, history)
        for one in early.values():
            assert one.head is not None
            for segment in one.head.segments():
                model.redis.delete(segment.key)
        differences = Differences()
        heads = HeadsReadTooEarly(model.redis, None)
        HeadsReadTooEarly.early = [early] * times
        pins = Pins(store, model.store_id, partitions, heads, events, differences)
        if times == 5:
            with pytest.raises(ReadModelUnavailable, match="was replaced 5 times"):
                pins.next_group()
        else:
            assert [one.head.version for one in pins.next_group()] == [1, 1]
        assert differences.count == 0


def test_a_build_that_is_not_live_is_verified_by_its_heads(redis_url: str) -> None:
    store, history = MemoryEventStore(), ReportHistory()
    with read_model(store, redis_url) as model:
        record(store, DONE[0])
        project(model, history)
        heads = {TOYS: head_of(model)}
        record(store, DONE[1])
        project(model, history)
        verification = verify(store, model.redis, model.store_id, heads=heads)
        assert told(verification) == []
        assert verification.versions == {TOYS: 0}
        model.redis.delete(heads[TOYS].lists[0].key)
        lines = told(verify(store, model.redis, model.store_id, heads=heads))
    assert len(lines) == 10
    assert all("the list's block" in line for line in lines)


def test_some_partitions_alone_are_verified(model: ReadModel) -> None:
    model.redis.delete(head_key(partition_of("books")))
    verification = verify(model.store, model.redis, model.store_id, [TOYS])
    assert told(verification) == []
    assert verification.versions == {TOYS: 1}


def test_it_tells_how_far_it_came_and_leaves_no_files(model: ReadModel, tmp_path: Path) -> None:
    steps: list[VerificationProgress] = []
    verification = verify(
        model.store,
        model.redis,
        model.store_id,
        memory="200MB",
        folder=tmp_path,
        on_progress=steps.append,
    )
    last = steps[-1]
    assert (last.partitions, last.of_partitions) == (PARTITIONS, PARTITIONS)
    assert (last.sales, last.of_sales) == (4604, 4604)
    assert last.rows == verification.rows
    assert list(tmp_path.iterdir()) == []


def test_categories_in_another_order_are_named(redis_url: str) -> None:
    store = MemoryEventStore()
    ids = sorted((f"c{n}" for n in range(300) if partition_of(f"c{n}") == TOYS), key=str.encode)
    record(store, Operation("ingest", FIRST_HOUR, report([(i, "p1", 1, 1) for i in ids])))
    with read_model(store, redis_url) as model:
        project(model, ReportHistory())
        change_head(model, categories=(ids[1], ids[0], *ids[2:]))
        (line,) = told(run(model))
    where = f"partition {TOYS:02d}: the categories' order, at 0"
    assert line == f"{where}: expected {ids[0]}, found {ids[1]}"
