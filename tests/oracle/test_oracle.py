"""The oracle against answers worked out by hand."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
import zstandard

from tests.oracle.operations import Operation, files_in_order, hour_end
from tests.oracle.rankings import METRICS, WINDOWS, Oracle
from tests.oracle.report_files import good_rows

HOUR = 490_000


def sold(*rows: tuple[str, str, int, int]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={
            "category_id": pl.String,
            "product_id": pl.String,
            "quantity": pl.Int64,
            "amount_minor": pl.Int64,
        },
        orient="row",
    )


def ingest(hour: int, *rows: tuple[str, str, int, int]) -> Operation:
    return Operation("ingest", HOUR + hour, sold(*rows))


def correct(hour: int, *rows: tuple[str, str, int, int]) -> Operation:
    return Operation("correct", HOUR + hour, sold(*rows))


def withdraw(hour: int) -> Operation:
    return Operation("withdraw", HOUR + hour)


def ranks(
    lists: pl.DataFrame, window: str = "hour", metric: str = "units", category: str = "toys"
) -> list[tuple[str, int, int | None]]:
    """(product, rank, previous rank) in the order of a list."""
    chosen = lists.filter(
        pl.col("category_id") == category, pl.col("window") == window, pl.col("metric") == metric
    )
    assert chosen["position"].to_list() == list(range(1, chosen.height + 1))
    return list(chosen.select("product_id", "rank", "previous_rank").iter_rows())


def totals(lists: pl.DataFrame, window: str, product: str = "ball") -> list[tuple[int, int]]:
    chosen = lists.filter(
        pl.col("window") == window, pl.col("product_id") == product, pl.col("metric") == "units"
    )
    return list(chosen.select("units", "amount_minor").iter_rows())


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        yield opened


def test_equal_totals_share_a_rank_and_stand_in_the_order_of_their_bytes() -> None:
    report = ingest(
        0,
        ("toys", "é", 2, 10),
        ("toys", "z", 2, 20),
        ("toys", "Z", 2, 30),
        ("toys", "𝄞", 2, 40),
        ("toys", "\ufb01", 2, 50),
        ("toys", "top", 3, 5),
        ("toys", "last", 1, 60),
    )
    with Oracle([report]) as oracle:
        lists = oracle.at(0)

    assert ranks(lists) == [
        ("top", 1, None),
        ("Z", 2, None),
        ("z", 2, None),
        ("é", 2, None),
        ("\ufb01", 2, None),
        ("𝄞", 2, None),
        ("last", 3, None),
    ]
    assert [product for product, _, _ in ranks(lists, metric="revenue")] == [
        "last",
        "\ufb01",
        "𝄞",
        "Z",
        "z",
        "é",
        "top",
    ]
    assert lists["total_count"].unique().to_list() == [7]


def test_a_list_holds_only_what_its_own_metric_ranks() -> None:
    report = ingest(
        0,
        ("toys", "ball", 3, 300),
        ("toys", "ball", -1, -100),
        ("toys", "free", 1, 0),
        ("toys", "back", -1, -50),
        ("toys", "even", 1, 50),
        ("toys", "even", -1, -50),
        ("toys", "dear", 1, 40),
        ("toys", "dear", -2, -10),
        ("books", "back", -1, -50),
    )
    with Oracle([report]) as oracle:
        lists = oracle.at(0)

        assert ranks(lists) == [("ball", 1, None), ("free", 2, None)]
        assert ranks(lists, metric="revenue") == [("ball", 1, None), ("dear", 2, None)]
        assert totals(lists, "hour") == [(2, 200)]
        assert oracle.categories(0) == {"books": 1, "toys": 5}
        assert oracle.products(0)["back"] == {"books", "toys"}


def test_windows_are_clock_hours_whether_each_had_a_report_or_not() -> None:
    reports = [ingest(0, ("toys", "ball", 1, 10))]
    reports += [ingest(later, ("toys", "car", 1, 10)) for later in (1, 23, 24, 167, 168, 719, 720)]
    with Oracle(reports) as oracle:
        counted = {
            version: {window for window in WINDOWS if totals(oracle.at(version), window)}
            for version in range(len(reports))
        }

    every = set(WINDOWS)
    assert counted == {
        0: every,
        1: every - {"hour"},
        2: every - {"hour"},
        3: {"week", "month", "all_time"},
        4: {"week", "month", "all_time"},
        5: {"month", "all_time"},
        6: {"month", "all_time"},
        7: {"all_time"},
    }


def test_the_previous_rank_is_that_of_the_newest_hour_before() -> None:
    reports = [
        ingest(0, ("toys", "ball", 3, 30), ("toys", "car", 2, 20)),
        ingest(5, ("toys", "car", 5, 50), ("toys", "doll", 1, 10)),
    ]
    with Oracle(reports) as oracle:
        lists = oracle.at(1)

    assert ranks(lists, "hour") == [("car", 1, 2), ("doll", 2, None)]
    assert ranks(lists, "day") == [("car", 1, 2), ("ball", 2, 1), ("doll", 3, None)]


def test_a_late_report_counts_but_is_never_what_ranks_compare_with() -> None:
    operations = [
        ingest(0, ("toys", "ball", 3, 30), ("toys", "car", 1, 10)),
        ingest(2, ("toys", "car", 1, 10)),
        ingest(1, ("toys", "car", 9, 90)),
        ingest(3, ("toys", "doll", 1, 10)),
    ]
    with Oracle(operations) as oracle:
        after_late, after_next = oracle.at(2), oracle.at(3)
        as_of = [oracle.as_of(version) for version in range(4)]

    assert ranks(after_late, "day") == [("car", 1, 2), ("ball", 2, 1)]
    assert ranks(after_late, "hour") == [("car", 1, 2)]
    assert ranks(after_next, "day") == [("car", 1, 1), ("ball", 2, 2), ("doll", 3, None)]
    assert as_of == [hour_end(HOUR + hour) for hour in (0, 2, 2, 3)]


def test_previous_ranks_are_frozen_whatever_comes_late() -> None:
    operations = [
        ingest(0, ("toys", "ball", 2, 20), ("toys", "car", 1, 10)),
        ingest(1, ("toys", "ball", 1, 10), ("toys", "car", 1, 10)),
        correct(0, ("toys", "ball", 1, 10), ("toys", "car", 9, 90)),
    ]
    with Oracle(operations) as oracle:
        before, after = oracle.at(1), oracle.at(2)

    assert ranks(before, "day") == [("ball", 1, 1), ("car", 2, 2)]
    assert ranks(after, "day") == [("car", 1, 2), ("ball", 2, 1)]


def test_a_correction_of_the_newest_hour_compares_with_the_same_list() -> None:
    operations = [
        ingest(0, ("toys", "ball", 2, 20), ("toys", "car", 1, 10)),
        ingest(1, ("toys", "car", 5, 50)),
        correct(1, ("toys", "doll", 5, 50)),
        ingest(2, ("toys", "doll", 1, 10)),
    ]
    with Oracle(operations) as oracle:
        corrected, following = oracle.at(2), oracle.at(3)
        known = oracle.categories(3)

    assert ranks(corrected, "hour") == [("doll", 1, None)]
    assert ranks(corrected, "day") == [("doll", 1, None), ("ball", 2, 1), ("car", 3, 2)]
    assert ranks(following, "day") == [("doll", 1, 1), ("ball", 2, 2), ("car", 3, 3)]
    assert known == {"toys": 3}


def test_withdrawing_the_newest_hour_brings_back_the_one_before() -> None:
    operations = [
        ingest(0, ("toys", "ball", 2, 20), ("toys", "car", 1, 10)),
        ingest(1, ("toys", "car", 5, 50)),
        ingest(2, ("toys", "doll", 7, 70)),
        withdraw(2),
    ]
    with Oracle(operations) as oracle:
        assert oracle.at(3).equals(oracle.at(1))
        assert oracle.newest(3) == HOUR + 1
        assert oracle.as_of(3) == hour_end(HOUR + 1)
        assert oracle.categories(3) == {"toys": 3}
        assert oracle.newest_hours(3) == [HOUR, HOUR + 1, HOUR + 2]


def test_a_withdrawn_hour_in_the_middle_is_compared_with_no_more() -> None:
    operations = [
        ingest(0, ("toys", "ball", 2, 20), ("toys", "car", 1, 10)),
        ingest(1, ("toys", "car", 5, 50)),
        ingest(2, ("toys", "ball", 1, 10)),
        withdraw(1),
    ]
    with Oracle(operations) as oracle:
        before, after = oracle.at(2), oracle.at(3)

    assert ranks(before, "day") == [("car", 1, 1), ("ball", 2, 2)]
    assert ranks(after, "day") == [("ball", 1, 1), ("car", 2, 2)]


def test_an_hour_that_becomes_newest_by_a_withdrawal_is_compared_with_afterwards() -> None:
    operations = [
        ingest(0, ("toys", "ball", 2, 20), ("toys", "car", 1, 10)),
        ingest(2, ("toys", "car", 1, 10)),
        ingest(1, ("toys", "car", 9, 90)),
        withdraw(2),
        ingest(3, ("toys", "ball", 1, 10)),
    ]
    with Oracle(operations) as oracle:
        late_is_newest, following = oracle.at(3), oracle.at(4)

    assert ranks(late_is_newest, "day") == [("car", 1, 2), ("ball", 2, 1)]
    assert ranks(following, "day") == [("car", 1, 1), ("ball", 2, 2)]


def test_without_any_hour_lists_are_empty_and_as_of_stays() -> None:
    operations = [
        ingest(0, ("toys", "ball", 2, 20)),
        ingest(1, ("toys", "car", 1, 10)),
        withdraw(0),
        withdraw(1),
        ingest(1, ("toys", "doll", 1, 10)),
    ]
    with Oracle(operations) as oracle:
        assert oracle.at(3).is_empty()
        assert oracle.newest(3) is None
        assert oracle.as_of(3) == hour_end(HOUR + 1)
        assert oracle.categories(3) == {"toys": 2}
        assert ranks(oracle.at(4), "all_time") == [("doll", 1, None)]


def test_only_the_first_hundred_have_previous_ranks() -> None:
    many = [("toys", f"p{place:03}", 200 - place, 10) for place in range(1, 121)]
    with Oracle([ingest(0, *many), ingest(1, *many)]) as oracle:
        listed = ranks(oracle.at(1), "day")

    assert listed[99] == ("p100", 100, 100)
    assert listed[100] == ("p101", 101, None)
    assert len(listed) == 120


def test_a_tie_across_position_hundred_is_cut_by_position() -> None:
    many = [("toys", f"p{place:03}", 1, 10) for place in range(1, 103)]
    with Oracle([ingest(0, *many), ingest(1, *many)]) as oracle:
        listed = ranks(oracle.at(1), "hour")

    assert listed[99:] == [("p100", 1, 1), ("p101", 1, None), ("p102", 1, None)]


def test_history_is_as_it_was_last_published() -> None:
    operations = [
        ingest(0, ("toys", "ball", 2, 20)),
        correct(0, ("toys", "car", 3, 30)),
        ingest(2, ("toys", "doll", 9, 90)),
        correct(0, ("toys", "late", 4, 40)),
        ingest(3, ("toys", "doll", 1, 10)),
        withdraw(3),
        correct(2, ("toys", "robot", 1, 10)),
    ]
    last = len(operations) - 1
    end = [hour_end(HOUR + hour) for hour in range(5)]
    with Oracle(operations) as oracle:
        assert oracle.as_of_version(end[0] - timedelta(seconds=1), last) is None
        assert oracle.as_of_lists(end[0] - timedelta(seconds=1), last).is_empty()
        assert [oracle.as_of_version(instant, last) for instant in end] == [1, 1, 6, 4, 4]
        assert oracle.as_of_version(end[2], 4) == 3
        assert ranks(oracle.as_of_lists(end[1], last)) == [("car", 1, None)]
        assert ranks(oracle.as_of_lists(end[3], last), "day") == [
            ("doll", 1, 1),
            ("late", 2, 2),
        ]


def test_history_holds_the_first_hundred_and_the_full_count() -> None:
    many = [("toys", f"p{place:03}", 200 - place, 10) for place in range(1, 121)]
    with Oracle([ingest(0, *many), ingest(1)]) as oracle:
        lists = oracle.as_of_lists(hour_end(HOUR), 1)

    assert len(ranks(lists)) == 100
    assert lists["total_count"].unique().to_list() == [120]


def test_rank_history_has_a_point_for_each_hour_that_was_the_newest() -> None:
    operations = [
        ingest(0, ("toys", "ball", 2, 20), ("toys", "car", 3, 30)),
        ingest(2, ("toys", "ball", 2, 25)),
        ingest(1, ("toys", "ball", 9, 90)),
        ingest(3, ("toys", "car", 1, 10)),
    ]
    end = [hour_end(HOUR + hour) for hour in range(4)]
    with Oracle(operations) as oracle:
        hourly = oracle.rank_history("ball", "toys", "hour", "units", end[0], end[3], 3)
        daily = oracle.rank_history("ball", "toys", "day", "revenue", end[2], end[3], 3)

    assert hourly == [(end[0], 2, 2, 20), (end[2], 1, 2, 25)]
    assert daily == [(end[2], 1, 13, 135), (end[3], 1, 13, 135)]


def test_one_category_alone_has_the_same_lists() -> None:
    rows = [("toys", "ball", 2, 20), ("books", "novel", 1, 10)]
    with Oracle([ingest(0, *rows), ingest(1, *rows)]) as oracle:
        everything = oracle.at(1)

        assert oracle.at(1, "toys").equals(everything.filter(pl.col("category_id") == "toys"))
    assert everything.height == 2 * len(WINDOWS) * len(METRICS)
    assert everything.columns == [
        "category_id",
        "window",
        "metric",
        "position",
        "rank",
        "product_id",
        "units",
        "amount_minor",
        "previous_rank",
        "total_count",
    ]


def test_operations_that_no_system_accepts_are_refused() -> None:
    with Oracle([ingest(0, ("toys", "ball", 1, 1))]) as oracle:
        with pytest.raises(ValueError, match="correct it"):
            oracle.record(ingest(0, ("toys", "ball", 2, 2)))
        with pytest.raises(ValueError, match="not in force"):
            oracle.record(withdraw(1))
        assert oracle.last_version == 0


HEADER = b"timestamp,product_id,category_id,customer_id,qty,total_price\n"


@pytest.mark.parametrize(
    "line",
    [
        b"1772359200,p,c,k,1,1.00",
        b"-5,p,c,,1000000,999999999.99",
        b"2026-03-01T10:00:00Z,p,c,,-1,-1.5",
        b"2026-03-01 10:00:00.250+01:00,p,c,,-1000000,1",
        b"2026-03-01,p,c,,1,0",
        b'"1"," p ","c","","2","3.40"',
        b"1,p,c,," + b"0001,1.00",
        "1,é/ü,c,,1,1.00".encode(),
        b"1," + b"p" * 128 + b",c,,1,1.00",
    ],
)
def test_a_good_row_counts(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, line: bytes
) -> None:
    (path := tmp_path / "report.csv").write_bytes(HEADER + line + b"\n")

    assert len(good_rows(connection, path).fetchall()) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"1,p,c,,0,1.00",
        b"1,p,c,,+1,1.00",
        b"1,p,c,,1.0,1.00",
        b"1,p,c,,1e3,1.00",
        b"1,p,c,,1000001,1.00",
        b"1,p,c,,1,-1.00",
        b"1,p,c,,1,1.001",
        b"1,p,c,,1,1.",
        b"1,p,c,,1,1000000000",
        b'1,p,c,,1,"1,00"',
        b"1,p,c,,1,",
        b"1,,c,,1,1.00",
        b"1,p,,,1,1.00",
        b",p,c,,1,1.00",
        b"yesterday,p,c,,1,1.00",
        b"2026-02-30T10:00:00Z,p,c,,1,1.00",
        b"2026-03-01T24:30:00Z,p,c,,1,1.00",
        b"1,p,c,,1",
        b"1,p,c,,1,1.00,more",
        b'1,p,c,,1,"1.00',
        b"1,\xff,c,,1,1.00",
        b"1,p\x01,c,,1,1.00",
        b"1,p,c,k\x7f,1,1.00",
        b"1," + b"p" * 129 + b",c,,1,1.00",
    ],
)
def test_a_bad_row_goes_and_its_neighbours_stay(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, line: bytes
) -> None:
    good = b"1,before,c,,1,1.00\n%s\n1,after,c,,1,1.00\n" % line
    (path := tmp_path / "report.csv").write_bytes(HEADER + good)

    assert {row[1] for row in good_rows(connection, path).fetchall()} == {"before", "after"}


def test_fields_are_read_as_the_contract_says(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    (path := tmp_path / "report.csv").write_bytes(
        b"\xef\xbb\xbfnote, QTY ,Product_ID,total_price,customer_id,timestamp,category_id\r\n"
        b'\r\n"a, b",-2, 007 ,5.5,,1,"say ""hi"""\r\n'
        b",1,q,12,,1,plain"
    )

    assert sorted(good_rows(connection, path).fetchall()) == [
        ("plain", "q", 1, 1200),
        ('say "hi"', "007", -2, -550),
    ]


@pytest.mark.parametrize(
    ("name", "compress"),
    [("r.csv.gz", gzip.compress), ("r.csv.zst", zstandard.compress), ("r.csv", bytes)],
)
def test_compressed_files_read_the_same(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection, name: str, compress: type[bytes]
) -> None:
    (path := tmp_path / name).write_bytes(compress(HEADER + b"1,p,c,,1,1.00\n"))

    assert good_rows(connection, path).fetchall() == [("c", "p", 1, 100)]


def test_a_file_without_a_usable_header_is_refused(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    for content in (b"", HEADER.replace(b"qty", b"amount"), HEADER.replace(b"qty", b"product_id")):
        (path := tmp_path / "report.csv").write_bytes(content)
        with pytest.raises(ValueError, match="no usable header"):
            good_rows(connection, path)


def test_files_come_in_the_order_of_their_hours_without_the_future(tmp_path: Path) -> None:
    for name in (
        "SalesReport-2026030112.csv.gz",
        "SalesReport-2026030109.csv",
        "SalesReport-2026030110.csv.zst",
        "SalesReport-2026030111.csv.tmp",
        "SalesReport-20260301.csv",
        "SalesReport-2026030114.csv",
        ".SalesReport-2026030108.csv",
    ):
        (tmp_path / name).touch()

    found = files_in_order(tmp_path, datetime(2026, 3, 1, 13, tzinfo=UTC))

    names = [operation.report.name for operation in found if isinstance(operation.report, Path)]
    assert names == [
        "SalesReport-2026030109.csv",
        "SalesReport-2026030110.csv.zst",
        "SalesReport-2026030112.csv.gz",
    ]
