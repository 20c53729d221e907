import polars as pl
import polars_hash as plh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from write_side.feed.pseudonyms import pseudonyms

KEY = bytes(range(32))


def numbers(ids: list[str], key: bytes = KEY) -> list[int | None]:
    frame = pl.DataFrame({"id": ids}, schema={"id": pl.String})
    result = frame.select(pseudonyms(pl.col("id"), key).alias("n"))["n"]
    assert result.dtype == pl.UInt64
    return result.to_list()


def test_pseudonyms_are_the_same_in_every_release() -> None:
    assert numbers(["C1", "0001", "été", ""]) == [
        7212228529111160899,
        8322140431456837807,
        9570688545665774781,
        None,
    ]


def test_the_hash_behind_them_is_blake3() -> None:
    frame = pl.DataFrame({"text": ["abc"]}).select(plh.col("text").chash.blake3())
    assert frame.item() == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"


def test_an_empty_id_has_none() -> None:
    assert numbers(["", "a"])[0] is None
    assert numbers([]) == []


def test_another_key_makes_other_pseudonyms() -> None:
    assert numbers(["C1"]) != numbers(["C1"], key=bytes(32))


@given(st.lists(st.text(min_size=1), unique=True, max_size=50))
def test_different_customers_have_different_pseudonyms(ids: list[str]) -> None:
    assert len(set(numbers(ids))) == len(ids)


def test_a_short_key_is_no_key() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        numbers(["C1"], key=b"short")
