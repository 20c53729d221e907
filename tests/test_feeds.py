"""The hostile feed holds what it promises, and the oracle can read all of it."""

from itertools import accumulate
from pathlib import Path

import polars as pl
import pytest

from tests.feeds import hostile_feed
from tests.oracle.operations import Operation, Timeline
from tests.oracle.rankings import Oracle


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> list[Operation]:
    return hostile_feed(tmp_path_factory.mktemp("feed"), rows=40)


def paths(operations: list[Operation]) -> list[Path]:
    return [found.report for found in operations if isinstance(found.report, Path)]


def test_it_has_two_hundred_hours_with_holes_between(operations: list[Operation]) -> None:
    hours = {found.hour for found in operations if found.kind == "ingest"}

    assert len(hours) >= 200
    assert max(hours) - min(hours) + 1 == 250


def test_each_hour_is_ingested_once_and_its_files_all_have_its_name(
    operations: list[Operation],
) -> None:
    ingested = [found.hour for found in operations if found.kind == "ingest"]

    assert len(ingested) == len(set(ingested))
    assert len(set(paths(operations))) == len(paths(operations))
    assert all(path.name.startswith("SalesReport-") for path in paths(operations))


def test_corrections_have_another_content(operations: list[Operation]) -> None:
    contents = [path.read_bytes() for path in paths(operations)]

    assert len(set(contents)) == len(contents)
    assert sum(found.kind == "correct" for found in operations) >= 10


def test_some_reports_come_late_and_out_of_order(operations: list[Operation]) -> None:
    ingested = [found.hour for found in operations if found.kind == "ingest"]
    newest = accumulate(ingested, max)
    late = [hour for hour, most in zip(ingested, newest, strict=True) if hour < most]

    assert len(late) >= 6
    assert late != sorted(late)


def test_the_newest_hour_and_one_in_the_middle_are_withdrawn(operations: list[Operation]) -> None:
    timeline = Timeline()
    withdrawn_newest = []
    for version, found in enumerate(operations):
        if found.kind == "withdraw":
            withdrawn_newest.append(found.hour == timeline.newest(version - 1))
        timeline.record(found)

    assert withdrawn_newest == [True, False]


def test_every_form_of_a_file_is_there(operations: list[Operation]) -> None:
    contents = [path.read_bytes() for path in paths(operations) if path.suffix == ".csv"]

    assert {path.suffix for path in paths(operations)} == {".csv", ".gz", ".zst"}
    assert any(content.startswith(b"\xef\xbb\xbf") for content in contents)
    assert any(b"\r\n" in content for content in contents)
    assert any(b'","' in content for content in contents)
    assert any(not content.endswith(b"\n") for content in contents)
    assert any(b"\xff" in content for content in contents)


def test_the_oracle_counts_its_good_rows_and_no_bad_one(operations: list[Operation]) -> None:
    with Oracle(operations) as oracle:
        last = oracle.last_version
        lists = oracle.at(last)
        known = oracle.categories(last)
        products = oracle.products(last)

    assert 35 <= len(known) <= 45
    assert known["only/returns"] == 1
    assert lists.filter(pl.col("category_id") == "only/returns").is_empty()
    assert not any(product.startswith(("P-BAD", "PX", "P-\x07")) for product in products)
    assert any(len(categories) > 1 for categories in products.values())
    tied = lists.filter(
        pl.col("category_id") == "ties & bytes",
        pl.col("window") == "hour",
        pl.col("metric") == "units",
    )
    assert tied["rank"].n_unique() < tied.height


def test_a_sparse_beginning_lets_the_month_expire(tmp_path: Path) -> None:
    feed = hostile_feed(tmp_path, hours=30, reports=26, sparse_hours=800, rows=40)
    with Oracle(feed) as oracle:
        units = oracle.at(oracle.last_version).filter(pl.col("metric") == "units")
    sums = dict(units.group_by("window").agg(pl.col("units").sum()).iter_rows())

    assert sums["hour"] < sums["day"] < sums["week"] < sums["month"] < sums["all_time"]


def test_the_same_seed_makes_the_same_feed(tmp_path: Path) -> None:
    one, other = (
        hostile_feed(tmp_path / name, hours=26, reports=24, rows=30) for name in ("one", "other")
    )

    assert [(found.kind, found.hour) for found in one] == [
        (found.kind, found.hour) for found in other
    ]
    assert [path.read_bytes() for path in paths(one)] == [
        path.read_bytes() for path in paths(other)
    ]
