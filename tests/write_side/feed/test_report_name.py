from datetime import UTC, datetime

import pytest

from write_side.errors import ReportNameInvalid
from write_side.feed.report_name import is_unfinished, parse_report_name
from write_side.hours import hour_of


@pytest.mark.parametrize(("suffix", "compression"), [("", ""), (".gz", "gz"), (".zst", "zst")])
def test_a_report_is_named_after_the_hour_that_it_covers(suffix: str, compression: str) -> None:
    report = parse_report_name(f"SalesReport-2026112507.csv{suffix}")
    assert report is not None
    assert report.hour == hour_of(datetime(2026, 11, 25, 7, tzinfo=UTC))
    assert report.compression == compression
    assert report.stamp == "2026112507"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "readme.txt",
        "SalesReport-2026112507.CSV",
        "salesreport-2026112507.csv",
        "SalesReport-2026112507.csv.bz2",
        "SalesReport-2026112507.csv.gz.zst",
        "SalesReport-202611250.csv",
        "SalesReport-20261125070.csv",
        "SalesReport-2026112507.csv\n",
        "SalesReport-٢٠٢٦١١٢٥٠٧.csv",
        "SalesReport-2026112507.csv.done",
        ".SalesReport-2026112507.csv",
        "SalesReport-2026112507.csv.tmp",
        "SalesReport-2026112507.csv.part",
        "SalesReport-2026112507.csv.filepart",
    ],
)
def test_any_other_name_is_no_report(name: str) -> None:
    assert parse_report_name(name) is None


@pytest.mark.parametrize("stamp", ["2026023000", "2026112524", "2026130100", "0000010100"])
def test_a_stamp_that_is_no_hour_of_the_calendar_is_refused(stamp: str) -> None:
    with pytest.raises(ReportNameInvalid, match=stamp):
        parse_report_name(f"SalesReport-{stamp}.csv")


def test_the_last_hour_of_the_calendar_has_no_end_so_it_is_refused() -> None:
    with pytest.raises(ReportNameInvalid):
        parse_report_name("SalesReport-9999123123.csv")


def test_names_of_files_under_way_are_known() -> None:
    names = [".x.csv", "x.csv.tmp", "x.csv.part", "x.csv.filepart", "x.csv", "x.tmp.csv"]
    assert [is_unfinished(name) for name in names] == [True] * 4 + [False] * 2
