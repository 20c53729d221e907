"""One operation is bounded, however its text is put."""

import time

import pytest

from graphql import get_introspection_query, parse
from subgraph.limits import operation_size
from tests.subgraph.conftest import Ask


def size_of(query: str, **variables: object) -> tuple[int, int, int]:
    size = operation_size(parse(query), None, variables)
    return size.depth, size.aliases, size.objects


def test_lists_multiply_what_is_below_them() -> None:
    query = "{ topProducts(first: 20) { nodes { rank product { id } } } }"
    assert size_of(query) == (4, 0, 20 * (1 + 1 + 1))


def test_page_sizes_come_from_variables_and_their_defaults() -> None:
    query = "query ($n: Int! = 30) { topProducts(first: $n) { version } }"
    assert size_of(query)[2] == 30
    assert size_of(query, n=50)[2] == 50
    assert size_of(query, n=10**9)[2] == 100
    assert size_of(query, n="many")[2] == 10
    assert size_of("{ topProducts { version } }")[2] == 10


def test_each_id_counts() -> None:
    query = "query ($ids: [ID!]!) { salesRanks(productIds: $ids) { rank } }"
    assert size_of(query, ids=["a", "b"])[2] == 10
    assert size_of('{ salesRanks(productIds: ["a", "b", "c"]) { rank } }')[2] == 15


def test_products_whose_ranks_are_asked_count_wherever_they_stand() -> None:
    query = (
        "query ($ids: [ID!]!) { a: salesRanks(productIds: $ids) { rank }"
        " b: salesRanks(productIds: $ids) { rank }"
        " topProducts(first: 20) { nodes { product { salesRanks { rank } } } } }"
    )
    size = operation_size(parse(query), None, {"ids": ["1", "2", "3"]})
    assert size.ranked_products == 3 + 3 + 20


def test_a_history_without_bounds_counts_as_its_longest() -> None:
    assert size_of("{ rankHistory { rank } }")[2] == 720


def test_a_fragment_counts_at_each_of_its_spreads() -> None:
    query = "{ a: topProducts { ...f } b: topProducts { ...f } } fragment f on T { x: version }"
    assert size_of(query) == (2, 4, 20)


def test_fragments_that_double_are_measured_at_once() -> None:
    chain = "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }} " for n in range(60))
    began = time.perf_counter()
    depth, aliases, _ = size_of(f"{{ ...f0 }} {chain} fragment f60 on Query {{ a: __typename }}")
    assert time.perf_counter() - began < 1
    assert (depth, aliases) == (1, 2**60)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query",
    [
        "{ " + " ".join(f"a{n}: __typename" for n in range(201)) + " }",
        "{ " + "__typename " * 5_001 + " }",
        '{ topProducts(categoryId: "b") { category '
        + "{ topProducts { category " * 10
        + "{ id }"
        + " } }" * 10
        + " } }",
        '{ topProducts(categoryId: "b", first: 100) { nodes { product { salesRanks { category'
        " { topProducts(first: 100) { nodes { product { salesRanks { rank } } } } } } } } } }",
        "{ a " * 1_500 + "}" * 1_500,
        "{ "
        + " ".join(
            f'a{n}: topProducts(categoryId: "b", first: 100)'
            " { nodes { product { salesRanks { rank } } } }"
            for n in range(51)
        )
        + " }",
    ],
    ids=["aliases", "tokens", "depth", "objects", "nesting", "ranks"],
)
async def test_what_asks_too_much_is_refused(ask: Ask, query: str) -> None:
    result = await ask(query)
    assert result.data is None
    assert result.errors is not None
    assert {(error.extensions or {}).get("code") for error in result.errors} == {"TOO_COMPLEX"}


@pytest.mark.anyio
async def test_introspection_and_large_pages_are_within_the_bounds(ask: Ask) -> None:
    assert (await ask(get_introspection_query())).errors is None
    page = (
        '{ topProducts(categoryId: "books", first: 100)'
        " { nodes { rank product { id salesRanks { rank category { id } } } } } }"
    )
    assert (await ask(page)).errors is None
