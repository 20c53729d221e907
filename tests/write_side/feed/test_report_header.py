import pytest

from write_side.errors import ReportUnreadable
from write_side.feed.physical_lines import PhysicalLines
from write_side.feed.report_header import COLUMNS, ReportHeader, read_header

NAME = "SalesReport-2026112507.csv"
HEADER = b"timestamp,product_id,category_id,customer_id,qty,total_price"


def header_of(content: bytes) -> ReportHeader:
    return read_header(PhysicalLines(content), NAME)


def test_columns_are_found_by_name_in_any_order_letter_case_and_spacing() -> None:
    header = header_of(b" QTY ,note,Total_Price,category_id,CUSTOMER_ID, timestamp,product_id\n")
    assert header.width == 7
    assert [header.positions[column] for column in COLUMNS] == [5, 6, 3, 4, 0, 2]


def test_a_header_may_be_quoted_and_go_over_lines() -> None:
    header = header_of(b'"timestamp","a\n""b""\n",' + HEADER[10:] + b"\r\nrow")
    assert (header.width, header.body) == (7, 3)


def test_blank_lines_before_it_are_skipped() -> None:
    assert header_of(b"\n  \r\n \n" + HEADER).body == 4


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named_with_the_file(column: str) -> None:
    content = HEADER.replace(column.encode(), b"other") + b"\n"
    with pytest.raises(ReportUnreadable, match=rf"no column {column}: SalesReport-2026112507"):
        header_of(content)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_is_there_twice_is_named_with_the_file(column: str) -> None:
    content = HEADER + b", " + column.upper().encode() + b" \n"
    with pytest.raises(ReportUnreadable, match=rf"more than one column {column}: SalesReport"):
        header_of(content)


def test_further_columns_may_be_there_twice_or_have_no_name_or_not_be_utf8() -> None:
    assert header_of(HEADER + b",x,x,,,\xff\n").width == 11


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"  ",
        b"\r\n  \n",
        b"\x1f\x8b\x08\x00",
        HEADER.replace(b",", b";"),
        HEADER.decode().encode("utf-16"),
        HEADER + b',5" wide\n',
        HEADER + b',"open\n1,2,3,4,5,6\n',
        HEADER + b',"open\n' + b"1,2,3,4,5,6\n" * 10_000 + b'"\n',
        HEADER + b"," * 100_000,
        HEADER.replace(b",", b"\r"),
    ],
)
def test_a_file_without_a_usable_header_is_refused_whole(content: bytes) -> None:
    with pytest.raises(ReportUnreadable, match=NAME):
        header_of(content)
