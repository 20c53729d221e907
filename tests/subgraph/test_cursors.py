"""Cursors say where a page ended, to whoever signed them, for their list only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.ranking_lists import ListVersion, RankingList, RankingMetric, RankingWindow
from subgraph.cursors import CursorCodec, ListPosition
from subgraph.errors import BadArgument

CODEC = CursorCodec([b"secret"])

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=32)
lists = st.builds(RankingList, ids, st.sampled_from(RankingWindow), st.sampled_from(RankingMetric))
positions = st.builds(
    ListPosition,
    st.builds(
        ListVersion, st.text(st.characters(codec="ascii"), max_size=40), st.integers(0, 2**40)
    ),
    st.integers(0, 10**8),
)
hours = st.none() | st.integers(0, 10**6)


@given(lists, positions, hours)
def test_a_position_is_read_as_it_was_written(
    ranking: RankingList, position: ListPosition, hour: int | None
) -> None:
    text = CODEC.of_position(ranking, position, hour)
    assert CODEC.position("after", text, ranking, hour) == position
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()


@given(lists, lists, positions, hours, hours)
def test_a_cursor_is_of_one_list(
    ranking: RankingList,
    other: RankingList,
    position: ListPosition,
    hour: int | None,
    other_hour: int | None,
) -> None:
    text = CODEC.of_position(ranking, position, hour)
    if (ranking, hour) != (other, other_hour):
        with pytest.raises(BadArgument, match=r"^after: "):
            CODEC.position("after", text, other, other_hour)


@given(ids)
def test_a_category_is_read_as_it_was_written(category_id: str) -> None:
    text = CODEC.of_category(category_id)
    assert CODEC.category("after", text) == category_id


@given(lists, positions, ids)
def test_the_kinds_do_not_mix(
    ranking: RankingList, position: ListPosition, category_id: str
) -> None:
    with pytest.raises(BadArgument):
        CODEC.category("after", CODEC.of_position(ranking, position))
    with pytest.raises(BadArgument):
        CODEC.position("after", CODEC.of_category(category_id), ranking)


@given(lists, positions, st.data())
def test_any_other_text_is_refused(
    ranking: RankingList, position: ListPosition, data: st.DataObject
) -> None:
    text = CODEC.of_position(ranking, position)
    place = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.characters())
    changed = data.draw(
        st.sampled_from(
            [
                text[:place] + character + text[place + 1 :],
                text[:place] + text[place + 1 :],
                text + character,
                text + "=",
                text + "\n",
            ]
        )
    )
    if changed != text:
        with pytest.raises(BadArgument):
            CODEC.position("after", changed, ranking)


@given(st.text(max_size=500))
def test_nothing_that_we_did_not_write_is_a_cursor(text: str) -> None:
    with pytest.raises(BadArgument):
        CODEC.category("after", text)


def test_keys_are_rotated_without_a_cursor_lost() -> None:
    old, both, new = (
        CursorCodec([b"old"]),
        CursorCodec([b"new", b"old"]),
        CursorCodec([b"new"]),
    )
    assert both.category("after", old.of_category("c")) == "c"
    assert new.category("after", both.of_category("c")) == "c"
    with pytest.raises(BadArgument):
        new.category("after", old.of_category("c"))


def test_a_codec_needs_a_key() -> None:
    with pytest.raises(ValueError, match="secret key"):
        CursorCodec([])
