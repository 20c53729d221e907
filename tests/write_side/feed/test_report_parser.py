import csv
import io
import time
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from write_side.errors import ReportTooLarge, ReportUnreadable
from write_side.feed import record_splitter, report_parser
from write_side.feed.record_splitter import REJECTED_SCHEMA
from write_side.feed.report_header import COLUMNS
from write_side.feed.report_parser import ParsedReport, parse_report
from write_side.sale_frames import SALES_SCHEMA

NAME = "SalesReport-2026112507.csv"
KEY = bytes(range(32))
HEADER = ",".join(COLUMNS)
GOOD = "2026-11-25T07:00:00Z,P1,C1,U1,2,19.98"


def parse(*lines: str | bytes, header: str = HEADER, end: str = "\n") -> ParsedReport:
    encoded = [line if isinstance(line, bytes) else line.encode() for line in (header, *lines)]
    report = parse_report(b"".join(line + end.encode() for line in encoded), NAME, KEY)
    assert report.sales.schema == pl.Schema(SALES_SCHEMA)
    assert report.rejected.schema == pl.Schema(REJECTED_SCHEMA)
    assert report.sales["line"].is_sorted()
    assert report.rejected["line"].is_sorted()
    return report


def row(**fields: str) -> str:
    """Return a good row but for the given fields."""
    good = dict(zip(COLUMNS, GOOD.split(","), strict=True))
    return ",".join((good | fields).values())


def only_reason(line: str | bytes, header: str = HEADER) -> str:
    """Return why a row is rejected that stands between two good ones, which have to count."""
    note = "" if header == HEADER else ",note"
    report = parse(GOOD + note, line, GOOD + note, header=header)
    assert report.sales["line"].to_list() == [2, 4]
    assert report.rejected["line"].to_list() == [3]
    return report.rejected["reason"].item()


# What a good row becomes.


def test_a_row_becomes_a_sale_in_exact_units() -> None:
    sale = parse(GOOD).sales.row(0, named=True)
    assert sale.pop("customer") > 0
    assert sale == {
        "line": 2,
        "timestamp": 1_795_590_000_000_000,
        "product_id": "P1",
        "category_id": "C1",
        "quantity": 2,
        "amount_minor": 1998,
    }


def test_columns_are_found_by_name_and_further_ones_ignored() -> None:
    header = "note, QTY ,Total_Price,category_id,customer_id,x,timestamp,product_id,x"
    line = "hello,2,19.98,C1,U1,,2026-11-25T07:00:00Z,P1,\t"
    assert parse(line, header=header).sales.equals(parse(GOOD).sales)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_both_line_ends_are_taken_and_the_last_may_be_missing(end: str) -> None:
    content = end.join([HEADER, GOOD, GOOD]).encode()
    report = parse_report(content, NAME, KEY)
    assert report.sales.equals(parse(GOOD, GOOD, end=end).sales)
    assert report.sales.height == 2


def test_a_byte_order_mark_is_no_part_of_the_header() -> None:
    content = b"\xef\xbb\xbf" + f"{HEADER}\n{GOOD}\n".encode()
    assert parse_report(content, NAME, KEY).sales.equals(parse(GOOD).sales)


def test_a_byte_order_mark_elsewhere_is_text() -> None:
    header = "product_id,timestamp,category_id,customer_id,qty,total_price"
    line = "\ufeffP1,2026-11-25T07:00:00Z,C1,U1,2,19.98"
    assert parse(line, header=header).sales["product_id"].to_list() == ["\ufeffP1"]
    assert parse('"', line, header=header).sales["product_id"].to_list() == ["\ufeffP1"]


def test_blank_lines_are_skipped_and_counted() -> None:
    report = parse("", GOOD, "   ", "\r", GOOD, "")
    assert report.sales["line"].to_list() == [3, 6]
    assert report.rejected.is_empty()


def test_a_header_after_blank_lines_keeps_physical_line_numbers() -> None:
    content = f"\n\n{HEADER}\n{GOOD}\nx\n".encode()
    report = parse_report(content, NAME, KEY)
    assert (report.sales["line"].item(), report.rejected["line"].item()) == (4, 5)


@pytest.mark.parametrize("rest", ["", "\n", "\n\n", "\nx\n"])
def test_a_report_without_a_good_row_is_a_report(rest: str) -> None:
    assert parse_report((HEADER + rest).encode(), NAME, KEY).sales.is_empty()


@pytest.mark.parametrize("content", [b"", b"x", GOOD.encode(), HEADER[1:].encode()])
def test_a_file_without_a_usable_header_is_refused(content: bytes) -> None:
    with pytest.raises(ReportUnreadable, match=NAME):
        parse_report(content, NAME, KEY)


# Ids.


def test_ids_stand_as_they_are_but_for_spaces_around_them() -> None:
    line = row(product_id="  007 a ", category_id="Ünï\u00a0", customer_id=" U1 ")
    sale = parse(line).sales.row(0, named=True)
    assert (sale["product_id"], sale["category_id"]) == ("007 a", "Ünï\u00a0")
    assert sale["customer"] == parse(GOOD).sales["customer"].item()


@pytest.mark.parametrize("empty", ["", "   "])
def test_only_the_customer_may_be_empty(empty: str) -> None:
    assert parse(row(customer_id=empty)).sales["customer"].to_list() == [None]
    assert only_reason(row(product_id=empty)) == "product_id is empty"
    assert only_reason(row(category_id=empty)) == "category_id is empty"


@pytest.mark.parametrize("column", ["product_id", "category_id", "customer_id"])
def test_an_id_has_128_bytes_at_most(column: str) -> None:
    assert parse(row(**{column: "é" * 64}), row(**{column: f" {'x' * 128} "})).sales.height == 2
    assert only_reason(row(**{column: "é" * 64 + "x"})) == (
        f'{column} "{"é" * 64}…" has more than 128 bytes'
    )


@pytest.mark.parametrize("column", ["product_id", "category_id", "customer_id"])
@pytest.mark.parametrize("control", [chr(code) for code in (0, 9, 13, 31, 127)])
def test_an_id_has_no_control_characters(column: str, control: str) -> None:
    assert only_reason(row(**{column: f"a{control}b"})) == (
        f'{column} "a\ufffdb" has a control character'
    )


def test_characters_beyond_ascii_controls_are_no_control_characters() -> None:
    assert parse(row(product_id="\x80\x9f\u2028")).sales.height == 1


# Numbers.


@pytest.mark.parametrize(
    ("qty", "quantity"),
    [
        ("1", 1),
        ("-1", -1),
        ("007", 7),
        ("0" * 400 + "5", 5),
        ("1000000", 10**6),
        ("-1000000", -(10**6)),
    ],
)
def test_a_quantity_is_a_whole_number(qty: str, quantity: int) -> None:
    assert parse(row(qty=qty)).sales["quantity"].to_list() == [quantity]


@pytest.mark.parametrize(
    "qty", ["1.5", "+1", "1e3", " 1", "1 ", "1_000", "0x1", "--1", "-", "１", "NaN", "1.0", "\t1"]
)
def test_what_is_no_whole_number_is_rejected(qty: str) -> None:
    shown = qty.replace("\t", "\ufffd")
    assert only_reason(row(qty=qty)) == f'qty "{shown}" is not a whole number'


@pytest.mark.parametrize("qty", ["0", "-0", "000"])
def test_a_quantity_of_zero_is_rejected(qty: str) -> None:
    assert only_reason(row(qty=qty)) == f'qty "{qty}" is zero'


@pytest.mark.parametrize("qty", ["1000001", "-1000001", "9" * 30, "-" + "9" * 19])
def test_a_quantity_of_more_than_a_million_is_rejected(qty: str) -> None:
    assert only_reason(row(qty=qty)) == f'qty "{qty}" is more than 1,000,000 in size'


@pytest.mark.parametrize(
    ("price", "minor"),
    [
        ("0", 0),
        ("0.00", 0),
        ("-0.00", 0),
        ("5", 500),
        ("5.1", 510),
        ("5.01", 501),
        ("005.10", 510),
        ("0" * 400 + "5.29", 529),
        ("999999999.99", 99_999_999_999),
        ("0.29", 29),
        ("1.15", 115),
    ],
)
def test_a_price_is_exact_in_minor_units(price: str, minor: int) -> None:
    assert parse(row(total_price=price)).sales["amount_minor"].to_list() == [minor]


@pytest.mark.parametrize(
    "price",
    ["1.234", ".5", "5.", "+5", "1e3", " 5", "5 ", "$5", "-", "-.5", "1.2.3", "inf", "٥"],
)
def test_what_is_no_decimal_is_rejected(price: str) -> None:
    assert only_reason(row(total_price=price)) == (
        f'total_price "{price}" is not a decimal with two places at most'
    )


@pytest.mark.parametrize("price", ["1000000000", "1000000000.00", "9" * 50, "-1000000000"])
def test_a_price_of_a_billion_or_more_is_rejected(price: str) -> None:
    for qty in ("1", "-1"):
        assert only_reason(row(qty=qty, total_price=price)) == (
            f'total_price "{price}" is not below 1,000,000,000 in size'
        )


@pytest.mark.parametrize("price", ["5.25", "-5.25"])
def test_a_return_always_subtracts_its_price(price: str) -> None:
    sale = parse(row(qty="-3", total_price=price)).sales.row(0, named=True)
    assert (sale["quantity"], sale["amount_minor"]) == (-3, -525)


def test_a_return_of_nothing_is_good() -> None:
    assert parse(row(qty="-1", total_price="0.00")).sales["amount_minor"].to_list() == [0]


def test_a_sale_with_a_negative_price_is_rejected() -> None:
    assert only_reason(row(total_price="-0.01")) == 'total_price "-0.01" is negative on a sale'


@given(st.lists(st.tuples(st.integers(-(10**6), 10**6).filter(bool), st.integers(0, 10**11 - 1))))
def test_amounts_are_exact_over_the_whole_range(sales: list[tuple[int, int]]) -> None:
    lines = [row(qty=str(qty), total_price=f"{m // 100}.{m % 100:02}") for qty, m in sales]
    found = parse(*lines).sales.select("quantity", "amount_minor").rows()
    assert found == [(qty, minor if qty > 0 else -minor) for qty, minor in sales]


@pytest.mark.parametrize("column", ["timestamp", "qty", "total_price"])
def test_an_empty_value_is_named(column: str) -> None:
    assert only_reason(row(**{column: ""})) == f"{column} is empty"


def test_a_row_in_another_hour_is_good_and_an_unreadable_time_is_not() -> None:
    assert parse(row(timestamp="2001-01-01")).sales.height == 1
    assert only_reason(row(timestamp="noon")) == (
        'timestamp "noon" is neither ISO 8601 nor Unix seconds of the years 1 to 9999'
    )


def test_the_first_reason_is_given() -> None:
    assert only_reason(row(product_id="", qty="x", total_price="y")) == "product_id is empty"


# Records.


@pytest.mark.parametrize(("line", "count"), [("x", 1), (",", 2), (GOOD + ",", 7), ("\t", 1)])
def test_a_row_with_more_or_fewer_fields_is_rejected(line: str, count: int) -> None:
    fields = "field" if count == 1 else "fields"
    assert only_reason(line) == f"it has {count} {fields}, the header has 6"


def test_more_fields_on_one_line_and_fewer_on_the_next_do_not_make_up_for_each_other() -> None:
    report = parse(GOOD, GOOD + ",x", GOOD.rpartition(",")[0], GOOD)
    assert report.sales["line"].to_list() == [2, 5]
    assert report.rejected["line"].to_list() == [3, 4]


def test_bytes_that_are_not_utf8_reject_their_line_alone_and_can_be_told_afterwards() -> None:
    assert only_reason(b"\xff" + GOOD.encode()) == "it is not UTF-8"
    report = parse(GOOD, b"caf\xe9 \\xe9, " + "é".encode())
    assert report.rejected["raw"].to_list() == [r"caf\xe9 \\xe9, é"]


def test_quoted_fields_are_read_by_rfc_4180() -> None:
    line = '"2026-11-25T07:00:00Z","P""1, x","C1",U1,"2","19.98","a ""note"", it is"'
    report = parse(line, header=HEADER + ",note")
    assert report.sales["product_id"].to_list() == ['P"1, x']
    assert report.sales["amount_minor"].to_list() == [1998]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_field_may_go_over_lines_in_a_column_that_is_ignored(end: str) -> None:
    lines = [GOOD + ',"one', "two, three", 'four"', GOOD + ",x"]
    report = parse(*lines, header=HEADER + ",note", end=end)
    assert report.sales["line"].to_list() == [2, 5]
    assert report.rejected.is_empty()


def test_a_bad_record_over_several_lines_is_kept_whole() -> None:
    report = parse(row(qty="x") + ',"one', 'two"', GOOD + ",", header=HEADER + ",note")
    assert report.sales["line"].to_list() == [4]
    assert report.rejected.rows() == [
        (2, 'qty "x" is not a whole number', row(qty="x") + ',"one\ntwo"')
    ]


@pytest.mark.parametrize(
    "line",
    [
        GOOD.replace("P1", '5" pipe'),
        GOOD.replace("P1", '"P1" x'),
        GOOD.replace("P1", '"P1'),
        '"' + GOOD,
        GOOD + '"',
        '"',
        '"' * 3,
    ],
)
def test_a_stray_quote_takes_no_neighbour_along(line: str) -> None:
    assert "quote" in only_reason(line)


def test_two_stray_quotes_take_nothing_between_them_along() -> None:
    opened, closed = GOOD.replace("U1", '"U1'), GOOD.replace("U1", 'U1"')
    report = parse(GOOD, opened, GOOD, GOOD, closed, GOOD)
    assert report.sales["line"].to_list() == [2, 4, 5, 7]
    assert report.rejected.select("line", "raw").rows() == [(3, opened), (6, closed)]


def test_an_id_may_not_go_over_lines_whatever_its_quotes_say() -> None:
    report = parse(GOOD.replace("U1,", '"U1'), GOOD, GOOD.replace("U1", '",x'), GOOD)
    assert report.sales["line"].to_list() == [3, 5]


def test_a_record_over_lines_has_64_kib_at_most() -> None:
    header = HEADER + ",note"
    filler = ["x" * 1000] * 70
    report = parse(GOOD + ',"', *filler, '"', GOOD + ",", header=header)
    assert report.sales["line"].to_list() == [74]
    assert report.rejected.height == 72


def test_one_line_may_be_long() -> None:
    header = HEADER + ",note"
    report = parse(GOOD + "," + "x" * 200_000, GOOD + ',"' + "y," * 100_000 + '"', header=header)
    assert report.sales.height == 2


def test_a_carriage_return_alone_is_no_line_end() -> None:
    header = HEADER + ",note"
    report = parse(GOOD + ",a\rb", GOOD + ',"a\rb"', row(qty="2\r") + ",", header=header)
    assert report.sales["line"].to_list() == [2, 3]


# Any content.

TEXT = st.text(st.characters(exclude_characters='\r\n",', exclude_categories=["Cs"]), max_size=8)
VALUES = {
    "timestamp": st.sampled_from(["2026-11-25T07:00:00Z", "1795590000", "", "x", "2026-11-25"]),
    "product_id": st.one_of(st.sampled_from(["P1", " P2 ", ""]), TEXT),
    "category_id": st.one_of(st.sampled_from(["C1", "C2"]), TEXT),
    "customer_id": st.one_of(st.sampled_from(["", "U1"]), TEXT),
    "qty": st.sampled_from(["1", "-2", "0", "x", "", "1.5", "12345678901234567890"]),
    "total_price": st.sampled_from(["1.00", "-1.5", "0", "x", "", "3", "1.234"]),
}
CLEAN_ROW = st.tuples(*(VALUES[column] for column in COLUMNS), TEXT)


def told(report: ParsedReport) -> tuple[list[object], list[object]]:
    return report.sales.rows(), report.rejected.select("line", "reason").rows()


@given(
    st.lists(CLEAN_ROW, max_size=8),
    st.permutations([*COLUMNS, "note"]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=200)
def test_plain_and_quoted_writing_of_the_same_rows_give_the_same(
    rows: Sequence[tuple[str, ...]], order: list[str], end: str
) -> None:
    ordered = [
        [dict(zip((*COLUMNS, "note"), values, strict=True))[column] for column in order]
        for values in rows
    ]
    plain = end.join(map(",".join, [order, *ordered]))
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([order, *ordered])
    expected = told(parse_report(plain.encode(), NAME, KEY))
    assert told(parse_report(plain.encode() + end.encode(), NAME, KEY)) == expected
    assert told(parse_report(text.getvalue().encode(), NAME, KEY)) == expected
    assert len(expected[0]) + len(expected[1]) == len(rows)


ANY_TEXT = st.text(st.sampled_from('a",é '), max_size=8)


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=8), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=300)
def test_quotes_and_commas_within_quotes_are_text(rows: list[tuple[str, str]], end: str) -> None:
    lines = [[*GOOD.split(",")[:1], f"P{text}", *GOOD.split(",")[2:], note] for text, note in rows]
    for quoting in (csv.QUOTE_ALL, csv.QUOTE_MINIMAL):
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=quoting, lineterminator=end)
        writer.writerows([[*COLUMNS, "note"], *lines])
        report = parse_report(text.getvalue().encode(), NAME, KEY)
        assert report.rejected.is_empty()
        assert report.sales["product_id"].to_list() == [f"P{text}".strip(" ") for text, _ in rows]


@pytest.mark.parametrize("quoted", [False, True])
def test_a_report_of_many_rows_keeps_every_good_one_in_its_place(quoted: bool) -> None:
    quote = '"' if quoted else ""
    lines, good = [f"{HEADER},note"], []
    for number in range(2, 60_002):
        bad = number % 977 == 0
        qty = "x" if bad else str(number % 50 + 1)
        fields = (str(number), f"P{number}", f"C{number % 9}", "", qty, f"{number}.25")
        lines.append(",".join(fields) + f",{quote}a note{',' if quoted else ''}{quote}")
        if not bad:
            good.append((number, number * 10**6, f"P{number}", number % 50 + 1, number * 100 + 25))
    for number in range(500, 60_000, 4999):
        lines[number - 1] = 'stray " quote'
        good = [sale for sale in good if sale[0] != number]
    report = parse_report("\n".join(lines).encode(), NAME, KEY)
    wanted = ["line", "timestamp", "product_id", "quantity", "amount_minor"]
    assert report.sales.select(wanted).rows() == good
    assert report.sales.height + report.rejected.height == 60_000


BAD_LINE = st.one_of(
    st.sampled_from(
        [
            b"x",
            b'"',
            b'a"b',
            GOOD.encode() + b",x,",
            b"\xff" + GOOD.encode(),
            row(qty="0").encode(),
            GOOD.replace("U1", '"U1').encode(),
            GOOD.replace("U1", 'U1"').encode(),
            GOOD.replace("U1", '"U1"x').encode(),
        ]
    ),
    st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"").replace(b'"', b"")),
    st.text('a,"', max_size=8).map(lambda text: f"{text},x".encode()),
)


@given(st.lists(st.one_of(st.none(), BAD_LINE), max_size=12))
@settings(max_examples=300)
def test_any_mixture_keeps_exactly_the_good_rows(lines: list[bytes | None]) -> None:
    report = parse(*(GOOD if line is None else line for line in lines))
    numbered = list(enumerate(lines, start=2))
    assert report.sales["line"].to_list() == [n for n, line in numbered if line is None]
    blank = {
        n for n, line in numbered if line is not None and not line.removesuffix(b"\r").strip(b" ")
    }
    bad = {n for n, line in numbered if line is not None}
    assert set(report.rejected["line"]) == bad - blank


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=300)
def test_random_bytes_are_never_more_than_unreadable(noise: bytes, with_header: bool) -> None:
    content = f"{HEADER}\n".encode() + noise if with_header else noise
    try:
        report = parse_report(content, NAME, KEY)
    except ReportUnreadable:
        assert not with_header
    else:
        assert report.sales.is_empty()


@given(st.text('a,"\n\r 1', max_size=60))
@settings(max_examples=300)
def test_every_line_that_is_not_blank_is_told_of_once(body: str) -> None:
    report = parse_report(f"{HEADER},note\n{body}".encode(), NAME, KEY)
    lines = body.split("\n")
    reported = []
    for number, raw in report.rejected.select("line", "raw").rows():
        reported += range(number, number + raw.count("\n") + 1)
    filled = [n for n, line in enumerate(lines, start=2) if line.removesuffix("\r").strip(" ")]
    assert sorted(set(reported)) == reported
    assert set(filled) <= set(reported)


@pytest.mark.parametrize(
    "line",
    [
        GOOD.replace("U1", '"U1') + "\n",
        '"\n',
        '"",\n',
        GOOD + ',"\n',
        f'"\n{GOOD},""\n',
        '","' * 7 + "\n",
    ],
)
def test_the_time_for_stray_quotes_grows_with_the_file_and_not_with_its_square(line: str) -> None:
    def seconds(count: int) -> float:
        content = f"{HEADER},note\n{line * count}".encode()
        begin = time.process_time()
        parse_report(content, NAME, KEY)
        return time.process_time() - begin

    seconds(10)
    assert seconds(32_000) < 30 * (seconds(4_000) + 0.02)


# Floods: little in a file, much in memory.


def cpu_seconds_of(content: bytes) -> tuple[ParsedReport, float]:
    began = time.process_time()
    report = parse_report(content, NAME, KEY)
    return report, time.process_time() - began


@pytest.mark.parametrize("line", [b"", b"\r", b"  ", b"a", b"1,2", "é,ä".encode()])
def test_a_flood_of_lines_that_are_no_rows_goes_by_columns(line: bytes) -> None:
    lines = 500_000
    flood = HEADER.encode() + b"\n" + (line + b"\n") * lines + GOOD.encode()
    report, seconds = cpu_seconds_of(flood)
    assert report.sales["line"].to_list() == [lines + 2]
    assert report.rejected.height == (lines if line.strip() else 0)
    if line.strip():
        width = line.count(b",") + 1
        reason = f"it has {width} {'field' if width == 1 else 'fields'}, the header has 6"
        assert report.rejected.row(-1) == (lines + 1, reason, line.decode())
    # One by one they take more than two seconds.
    assert seconds < 1.5


def test_lines_of_another_width_within_an_open_record_belong_to_it() -> None:
    header = f"{HEADER},note"
    report = parse("a,b", f'{GOOD},"one', "two", "", 'three"', "c", header=header)
    assert report.sales["line"].to_list() == [3]
    assert report.rejected["line"].to_list() == [2, 7]
    assert report.rejected["raw"].to_list() == ["a,b", "c"]


def test_more_lines_to_look_at_one_by_one_than_the_bound_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record_splitter, "MAX_ODD_LINES", 3)
    assert parse(*['"a'] * 3).rejected.height == 3
    with pytest.raises(ReportTooLarge, match=rf"more than 3 of its lines have .*: {NAME}\. Check"):
        parse(*['"a'] * 4)


@pytest.mark.parametrize("bad", ["a", row(qty="0")])
def test_more_rejected_rows_than_the_bound_are_refused(
    monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    monkeypatch.setattr(report_parser, "MAX_REJECTED_ROWS", 3)
    assert parse(GOOD, *[bad] * 3).rejected.height == 3
    with pytest.raises(ReportTooLarge, match=rf"more than 3 of its rows are no sales: {NAME}\."):
        parse(GOOD, *[bad] * 4)
