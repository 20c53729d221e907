import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from write_side.feed.quoted_records import fields_of, flaw_of, record_pattern, unquoted

FIELDS = st.lists(st.text('ab",\r\n é', max_size=6), min_size=2, max_size=5)


def written(fields: list[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(fields)
    return text.getvalue().removesuffix("\r\n")


@given(FIELDS, st.data())
def test_what_a_csv_writer_wrote_is_read_back(fields: list[str], data: st.DataObject) -> None:
    record = written(fields)
    captured = data.draw(st.sets(st.sampled_from(range(len(fields))), min_size=1).map(sorted))
    match = record_pattern(len(fields), captured).fullmatch(record)
    assert match is not None
    assert [unquoted(field) for field in match.groups()] == [fields[index] for index in captured]
    assert fields_of(record) == fields


@given(st.text('a",\n', max_size=12), st.integers(1, 4))
def test_pattern_and_field_by_field_reading_agree(text: str, width: int) -> None:
    match = record_pattern(width, [0]).fullmatch(text)
    fields = fields_of(text)
    assert (match is not None) == (fields is not None and len(fields) == width)


@pytest.mark.parametrize(
    ("record", "flaw"),
    [
        ('a,5" pipe,c', "field 2 has a quote but is not in quotes as a whole"),
        ('a,"b"c,d', "field 2 has text after its closing quote"),
        ('a,b,"c', "the quote that opens field 3 is not closed"),
        ('"a","b"', "it has 2 fields, the header has 3"),
        ('"a,b"', "it has 1 field, the header has 3"),
    ],
)
def test_what_is_wrong_with_a_record_is_said_plainly(record: str, flaw: str) -> None:
    assert flaw_of(record, 3) == flaw
