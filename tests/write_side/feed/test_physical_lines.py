import io

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from write_side.feed import physical_lines
from write_side.feed.physical_lines import PhysicalLines

CONTENT = st.lists(
    st.sampled_from([b"a", b",", b'"', b"\n", b"\r", b"\r\n", "é".encode(), b"\xff", b" "]),
    max_size=40,
).map(b"".join)


def split(content: bytes) -> list[bytes]:
    parts = content.split(b"\n")
    return parts if parts[-1] else parts[:-1]


@given(CONTENT, st.integers(1, 7))
def test_lines_are_what_newlines_divide_however_the_content_is_searched(
    content: bytes, chunk: int
) -> None:
    expected = split(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(physical_lines, "_CHUNK", chunk)
        lines = PhysicalLines(content)
        assert len(lines) == len(expected)
        for byte in b',"\r':
            assert lines.counts(byte).tolist() == [line.count(byte) for line in expected]
        assert lines.have_invalid_utf8().tolist() == [b"\xff" in line for line in expected]
        ended = [line.removesuffix(b"\r") for line in expected]
        if not content.endswith(b"\n") and expected:
            ended[-1] = expected[-1]
        assert lines.have_stray_carriage_return().tolist() == [b"\r" in line for line in ended]


@given(CONTENT)
def test_lines_stand_without_their_ends(content: bytes) -> None:
    lines = PhysicalLines(content)
    expected = [line.removesuffix(b"\r") for line in split(content)]
    assert [lines.line(index) for index in range(len(lines))] == expected


@given(CONTENT, st.data())
def test_chosen_lines_keep_their_ends(content: bytes, data: st.DataObject) -> None:
    lines = PhysicalLines(content)
    assume(len(lines) > 0)
    expected = io.BytesIO(content).readlines()
    first = data.draw(st.integers(0, len(lines) - 1))
    chosen = [data.draw(st.booleans()) for _ in range(first, len(lines))]
    kept = [line for line, keep in zip(expected[first:], chosen, strict=True) if keep]
    assert bytes(lines.selected(np.array(chosen), first)) == b"".join(kept)
