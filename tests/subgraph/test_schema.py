"""The schema keeps the contract, resolves entities, and gives every error a code."""

import logging
from pathlib import Path
from typing import Any

import pytest
from strawberry.types.execution import ExecutionResult

from graphql import (
    DocumentNode,
    EnumTypeDefinitionNode,
    GraphQLError,
    Node,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    TypeDefinitionNode,
    ValueNode,
    get_introspection_query,
    parse,
    print_ast,
)
from subgraph.context import OperationContext
from subgraph.cursors import CursorCodec
from subgraph.schema import RankingsSchema, build_schema, exported_sdl
from tests.gateway.rankings_in_memory import RankingsInMemory
from tests.subgraph.conftest import Ask

CONTRACT = Path(__file__).with_name("contract.graphql")
EXPORTED = Path(__file__).parents[2] / "graphql" / "schema.graphql"
FEDERATION = {"_Any", "_Entity", "_Service"}


def codes(result: ExecutionResult) -> list[Any]:
    return [(error.extensions or {}).get("code") for error in result.errors or ()]


def printed(node: Node | None) -> str | None:
    return None if node is None else print_ast(node)


def described(node: Any) -> str | None:
    return None if node.description is None else node.description.value


def meaning(document: DocumentNode) -> dict[str, object]:
    """Return what a document defines, without the order and layout of its text."""
    types: dict[str, object] = {}
    for node in document.definitions:
        if not isinstance(node, TypeDefinitionNode) or node.name.value in FEDERATION:
            continue
        directives = sorted(print_ast(directive) for directive in node.directives or ())
        members: object = None
        if isinstance(node, ObjectTypeDefinitionNode):
            members = {
                field.name.value: (
                    printed(field.type),
                    described(field),
                    {
                        argument.name.value: (
                            printed(argument.type),
                            printed(argument.default_value),
                            described(argument),
                        )
                        for argument in field.arguments or ()
                    },
                )
                for field in node.fields or ()
                if not field.name.value.startswith("_")
            }
        elif isinstance(node, EnumTypeDefinitionNode):
            members = [value.name.value for value in node.values or ()]
        else:
            assert isinstance(node, ScalarTypeDefinitionNode)
        types[node.name.value] = (node.kind, described(node), directives, members)
    return types


def link(document: DocumentNode) -> tuple[str, set[str]]:
    (node,) = (
        one
        for one in document.definitions
        if isinstance(one, (SchemaDefinitionNode, SchemaExtensionNode))
    )
    (directive,) = (one for one in node.directives or () if one.name.value == "link")
    values: dict[str, ValueNode] = {
        argument.name.value: argument.value for argument in directive.arguments or ()
    }
    imported: Any = values["import"]
    return print_ast(values["url"]), {value.value for value in imported.values}


def test_the_exported_sdl_means_what_the_contract_says(schema: RankingsSchema) -> None:
    ours, contract = parse(exported_sdl(schema)), parse(CONTRACT.read_text())
    assert meaning(ours) == meaning(contract)
    assert link(ours) == link(contract)


def test_the_exported_file_is_the_sdl_of_the_code(schema: RankingsSchema) -> None:
    assert EXPORTED.read_text() == exported_sdl(schema)


@pytest.mark.anyio
async def test_a_router_gets_the_sdl(ask: Ask, schema: RankingsSchema) -> None:
    result = await ask("{ _service { sdl } }")
    assert result.data is not None
    assert result.data["_service"]["sdl"].strip() == exported_sdl(schema).strip()


ENTITIES = """
query ($representations: [_Any!]!) {
  _entities(representations: $representations) {
    __typename
    ... on Product { id salesRanks { rank category { id } } }
    ... on Category { id topProducts(first: 1) { nodes { product { id } } } }
  }
}
"""


@pytest.mark.anyio
async def test_a_thousand_entities_cost_one_question(ask: Ask, rankings: RankingsInMemory) -> None:
    products = [{"__typename": "Product", "id": f"b{n:03}"} for n in range(1000)]
    result = await ask(ENTITIES, representations=products)
    assert result.errors is None
    assert result.data is not None
    assert len(result.data["_entities"]) == 1000
    assert [name for name, _ in rankings.calls] == ["product_ranks"]


@pytest.mark.anyio
async def test_equal_lists_of_an_operation_are_read_once(
    ask: Ask, rankings: RankingsInMemory
) -> None:
    books = {"__typename": "Category", "id": "books"}
    result = await ask(ENTITIES, representations=[books] * 5)
    assert result.errors is None
    assert [name for name, _ in rankings.calls] == ["page"]


@pytest.mark.anyio
async def test_entities_resolve_for_any_id(ask: Ask) -> None:
    result = await ask(
        ENTITIES,
        representations=[
            {"__typename": "Category", "id": "never sold"},
            {"__typename": "Product", "id": "never sold", "name": "from another subgraph"},
        ],
    )
    assert result.errors is None
    assert result.data == {
        "_entities": [
            {"__typename": "Category", "id": "never sold", "topProducts": None},
            {"__typename": "Product", "id": "never sold", "salesRanks": []},
        ]
    }


@pytest.mark.anyio
@pytest.mark.parametrize(
    "wrong",
    [
        {"__typename": "Seller", "id": "1"},
        {"__typename": "Query"},
        {"__typename": ["Product"], "id": "1"},
        {"id": "1"},
        {"__typename": "Product"},
        {"__typename": "Product", "id": None},
        {"__typename": "Product", "id": True},
        {"__typename": "Product", "id": ""},
        {"__typename": "Product", "id": "x" * 129},
        "Product",
    ],
)
async def test_a_wrong_representation_leaves_its_neighbours_alone(ask: Ask, wrong: object) -> None:
    result = await ask(
        "query ($r: [_Any!]!) { _entities(representations: $r) { ... on Product { id } } }",
        r=[wrong, {"__typename": "Product", "id": "b1"}],
    )
    assert result.data == {"_entities": [None, {"id": "b1"}]}
    assert codes(result) == ["BAD_USER_INPUT"]
    assert result.errors is not None
    assert "representations[0]" in result.errors[0].message


@pytest.mark.anyio
async def test_more_than_a_thousand_representations_are_refused(ask: Ask) -> None:
    result = await ask(
        "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }",
        r=[{"__typename": "Product", "id": "b1"}] * 1001,
    )
    assert codes(result) == ["BAD_USER_INPUT"]
    assert result.errors is not None
    assert "representations" in result.errors[0].message


@pytest.mark.anyio
async def test_a_fault_of_ours_is_logged_once_and_never_described(
    ask: Ask, rankings: RankingsInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    rankings.failure = ZeroDivisionError("secret words")
    with caplog.at_level(logging.ERROR):
        result = await ask('{ topProducts(categoryId: "books") { version } }')
    assert codes(result) == ["INTERNAL_SERVER_ERROR"]
    assert result.errors is not None
    assert "secret" not in str(result.errors[0].formatted)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


@pytest.mark.anyio
async def test_what_a_client_does_wrong_is_not_logged(
    ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    for query in ("{", "{ nope }", '{ topProducts(categoryId: "") { version } }'):
        result = await ask(query)
        assert codes(result) == ["BAD_USER_INPUT"]
    assert not caplog.records


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query ($first: Int!) { rankedCategories(first: $first) { totalCount } }", {}),
        (
            "query ($first: Int!) { rankedCategories(first: $first) { totalCount } }",
            {"first": "many"},
        ),
        ('{ topProducts(categoryId: "books", window: YEAR) { version } }', {}),
        ('{ topProducts(categoryId: "books", after: 5) { version } }', {}),
        ('{ topProducts(categoryId: "books", asOf: 5) { version } }', {}),
        ("{ ...nothing }", {}),
        ("fragment f on Query { ...f } { ...f }", {}),
    ],
)
async def test_what_does_not_fit_the_schema_is_bad_input(
    ask: Ask, query: str, variables: dict[str, object]
) -> None:
    assert set(codes(await ask(query, **variables))) == {"BAD_USER_INPUT"}


async def executed(schema: RankingsSchema, query: str) -> ExecutionResult:
    context = OperationContext(RankingsInMemory(), "USD", CursorCodec([b"secret"]))
    return await schema.execute(query, context_value=context)


@pytest.mark.anyio
async def test_introspection_answers_unless_it_is_switched_off() -> None:
    query = get_introspection_query()
    assert (await executed(build_schema(), query)).errors is None
    assert codes(await executed(build_schema(introspection=False), query))[0] == "BAD_USER_INPUT"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "query",
    [
        "{ topProduct }",
        '{ topProducts(categoryld: "b") { version } }',
        '{ topProducts(categoryId: "b", window: DAYS) { version } }',
        "{ rankingStatus { pendingReport } }",
    ],
)
async def test_without_introspection_no_name_is_suggested(query: str) -> None:
    def messages(result: ExecutionResult) -> str:
        return " ".join(map(GraphQLError.__str__, result.errors or ()))

    assert "Did you mean" in messages(await executed(build_schema(), query))
    silent = build_schema(introspection=False)
    assert "Did you mean" not in messages(await executed(silent, query))
