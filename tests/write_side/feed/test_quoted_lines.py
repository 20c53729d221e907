import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from write_side.feed import quoted_lines
from write_side.feed.physical_lines import PhysicalLines
from write_side.feed.quoted_lines import COMMA, QUOTE, check_quotes
from write_side.feed.quoted_records import fields_of


@given(st.lists(st.text('a",', max_size=10), max_size=12), st.integers(1, 4), st.booleans())
@settings(max_examples=300)
def test_quotes_are_in_order_exactly_where_the_strict_reading_of_the_line_says_so(
    texts: list[str], at_once: int, returns: bool
) -> None:
    end = "\r\n" if returns else "\n"
    lines = PhysicalLines("".join(text + end for text in texts).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quoted_lines, "_LINES_AT_ONCE", at_once)
        in_order, within = check_quotes(lines, lines.counts(QUOTE))
    fields = [fields_of(text) for text in texts]
    assert in_order.tolist() == [found is not None for found in fields]
    outside = (lines.counts(COMMA) - within).tolist()
    for found, commas in zip(fields, outside, strict=True):
        assert found is None or commas == len(found) - 1
