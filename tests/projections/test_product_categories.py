"""Where a product was ever sold: pairs that are only added, and marks that are only raised."""

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections import product_categories
from projections.errors import ReadModelUnavailable
from projections.product_categories import (
    SLOTS,
    bucket_key,
    categories_in,
    marks_field,
    marks_key,
    read_marks,
    slot_of,
    write_pairs,
)
from projections.redis_connection import RedisClient, open_redis
from write_side.partitioning import PARTITIONS

_odd = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
ODD_IDS = ["p", "p1", "p\u00a0", "ä", "𝄞", "{c01}", "complete", "a/b", 'q"1', "x" * 128, "p:1", "*"]


def pairs_of(made: list[tuple[str, str]]) -> pl.DataFrame:
    schema = {"category_id": pl.String, "product_id": pl.String}
    return pl.DataFrame(
        [(category, product) for product, category in made], schema=schema, orient="row"
    )


def categories(redis: RedisClient, product: str) -> list[str]:
    name = product.encode()
    fields = redis.hkeys(bucket_key(name))
    return categories_in((field for field in fields if isinstance(field, bytes)), name)


def test_each_product_has_its_own_categories_whatever_their_names(any_redis_url: str) -> None:
    made = [
        (product, category) for product in ODD_IDS for category in ODD_IDS if product <= category
    ]
    with open_redis(any_redis_url) as redis:
        write_pairs(redis, pairs_of(made[::2]), "store", {3: 1})
        write_pairs(redis, pairs_of(made), "store", {3: 2})
        for product in ODD_IDS:
            expected = [category for category in ODD_IDS if product <= category]
            assert categories(redis, product) == sorted(expected, key=str.encode)
        assert categories(redis, "unknown") == []


@given(st.lists(st.tuples(_odd, _odd), max_size=20), _odd)
def test_the_fields_of_a_hash_tell_products_apart(
    made: list[tuple[str, str]], product: str
) -> None:
    made += [(product, "x"), (product + "x", "y"), (product[:-1] or "z", "w")]
    fields = {one.encode() + b"\0" + other.encode() for one, other in made}
    expected = sorted({c.encode() for p, c in made if p == product})
    assert categories_in(fields, product.encode()) == [each.decode() for each in expected]


@pytest.fixture
def redis(redis_url: str) -> RedisClient:
    return open_redis(redis_url)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.integers(0, 3), st.integers(0, 9), max_size=4), max_size=5))
def test_marks_are_raised_only(redis: RedisClient, writes: list[dict[int, int]]) -> None:
    redis.flushall()
    highest = dict.fromkeys(range(4), -1)
    for complete in writes:
        write_pairs(redis, pairs_of([]), "store", complete)
        for partition, version in complete.items():
            highest[partition] = max(highest[partition], version)
        assert read_marks(redis, "store", range(4)) == highest


def test_a_slot_that_was_set_back_raises_no_mark_over_what_it_lost(redis: RedisClient) -> None:
    everything = dict.fromkeys(range(3), 7)
    write_pairs(redis, pairs_of([("p1", "c1")]), "store", everything)
    slot = slot_of(b"p1")
    redis.delete(bucket_key(b"p1"))
    redis.hset(marks_key(slot), marks_field("store", 1), "6")
    newer = dict.fromkeys(range(3), 8)
    assert not write_pairs(redis, pairs_of([("p2", "c1")]), "store", newer, built_on=7)
    assert read_marks(redis, "store", range(3))[1] == 6
    assert redis.hget(marks_key(slot), marks_field("store", 0)) == b"7"
    assert write_pairs(redis, pairs_of([("p1", "c1"), ("p2", "c1")]), "store", newer)
    assert read_marks(redis, "store", range(3)) == newer
    assert categories(redis, "p1") == ["c1"]


def test_a_slot_that_forgets_a_part_while_it_is_written_raises_no_mark(
    redis: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_categories, "_PAIRS_AT_ONCE", 1)
    slot = slot_of(b"p1")
    pairs = pairs_of([("p1", f"c{n}") for n in range(4)])
    evaluate = redis.eval

    def forgetful(script: str, count: int, *arguments: str | bytes | int) -> object:
        if arguments[0] == marks_key(slot) and "last" in arguments:
            for key in redis.scan_iter(f"{{c{slot:02d}}}:*"):
                redis.delete(key)
        return evaluate(script, count, *arguments)

    with monkeypatch.context() as failing:
        failing.setattr(redis, "eval", forgetful)
        assert not write_pairs(redis, pairs, "store", {0: 1})
    assert read_marks(redis, "store", [0]) == {0: -1}
    assert write_pairs(redis, pairs, "store", {0: 1})
    assert read_marks(redis, "store", [0]) == {0: 1}
    assert categories(redis, "p1") == [f"c{n}" for n in range(4)]
    assert not list(redis.scan_iter("*:writing:*"))


def test_the_marks_of_another_store_do_not_count(redis: RedisClient) -> None:
    write_pairs(redis, pairs_of([]), "another", {0: 7})
    assert read_marks(redis, "store", [0]) == {0: -1}
    assert read_marks(redis, "another", [0]) == {0: 7}


def test_a_slot_that_lost_its_mark_counts_for_its_partition(any_redis_url: str) -> None:
    with open_redis(any_redis_url) as redis:
        everything = dict.fromkeys(range(PARTITIONS), 7)
        write_pairs(redis, pairs_of([]), "store", everything)
        assert read_marks(redis, "store", range(PARTITIONS)) == everything
        redis.hset(marks_key(9), marks_field("store", 5), "4")
        redis.hdel(marks_key(10), marks_field("store", 6))
        assert read_marks(redis, "store", range(PARTITIONS)) == {**everything, 5: 4, 6: -1}


@given(st.binary(min_size=1, max_size=20))
def test_a_products_pairs_lie_in_the_slot_of_its_mark(product: bytes) -> None:
    slot = slot_of(product)
    assert 0 <= slot < SLOTS
    tag = f"{{c{slot:02d}}}:"
    assert bucket_key(product).startswith(tag)
    assert marks_key(slot).startswith(tag)


def test_where_a_product_lies_stays_what_it_is() -> None:
    assert bucket_key(b"p1") == "{c28}:10488"


def test_a_redis_that_is_away_is_told(redis: RedisClient) -> None:
    away = open_redis("redis://127.0.0.1:1?retry_on_timeout=false")
    with pytest.raises(ReadModelUnavailable):
        read_marks(away, "store", [0])
    with pytest.raises(ReadModelUnavailable):
        write_pairs(away, pairs_of([("p", "c")]), "store", {0: 1})
