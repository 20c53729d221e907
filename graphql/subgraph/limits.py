"""Bounds on what one operation may ask, far above what a page or a router needs.

The measure is taken once a document is valid, with its variables, and each fragment is measured
once: the limiters that expand a fragment at every spread can be made to run for hours by a short
document of fragments that each spread the next one twice.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from strawberry.extensions import SchemaExtension

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)
from subgraph.arguments import LARGEST_PAGE, MOST_IDS
from subgraph.errors import BAD_USER_INPUT, TOO_COMPLEX


class OperationLimits(msgspec.Struct, frozen=True):
    """What one operation may ask at most."""

    tokens: int = 5_000
    """Tokens of the document."""
    depth: int = 20
    """Fields below one another, introspection included."""
    aliases: int = 200
    """Fields under another name: each asks the same field again."""
    objects: int = 100_000
    """Objects that the answer could hold, as estimated from the sizes of its lists."""
    ranked_products: int = 5_000
    """Products whose ranks are asked, in all fields together: each reads a block a category."""


class OperationSize(msgspec.Struct, frozen=True):
    """What an operation asks."""

    depth: int = 0
    aliases: int = 0
    objects: int = 0
    ranked_products: int = 0


_LIST_SIZES: Final = {"topProducts": 10, "rankedCategories": 50, "rankHistory": 720}
"""Objects under a list field where its arguments don't say."""
_CATEGORIES_OF_A_PRODUCT: Final = 5
"""A product's categories, on average: an estimate for the ranks of a product."""
_COUNTED_LISTS: Final = ("productIds", "representations")
"""Arguments that name what is answered one by one."""


def operation_size(
    document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any]
) -> OperationSize:
    """Measure an operation of a valid document."""
    operations = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    operation = next(
        (node for node in operations if node.name and node.name.value == operation_name),
        operations[0],
    )
    return _Measure(document, operation, variables).of(operation.selection_set)


class _Measure:
    """One walk over an operation, remembering its fragments."""

    def __init__(
        self,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._defaults = {
            node.variable.name.value: node.default_value
            for node in operation.variable_definitions or ()
        }
        self._variables = variables
        self._measured: dict[str, OperationSize] = {}

    def of(self, selections: SelectionSetNode | None) -> OperationSize:
        depth = aliases = objects = ranked = 0
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                size = self._of_field(node)
            elif isinstance(node, FragmentSpreadNode):
                size = self._of_fragment(node.name.value)
            else:
                size = self.of(getattr(node, "selection_set", None))
            depth = max(depth, size.depth)
            aliases += size.aliases
            objects += size.objects
            ranked += size.ranked_products
        return OperationSize(depth, aliases, objects, ranked)

    def _of_field(self, node: FieldNode) -> OperationSize:
        aliased = 1 if node.alias else 0
        if node.selection_set is None:
            return OperationSize(1, aliased, 0)
        inner = self.of(node.selection_set)
        size = self._list_size(node)
        ranked = size * inner.ranked_products
        if node.name.value == "salesRanks":
            ranked += size // _CATEGORIES_OF_A_PRODUCT
        return OperationSize(
            1 + inner.depth, aliased + inner.aliases, size * (1 + inner.objects), ranked
        )

    def _of_fragment(self, name: str) -> OperationSize:
        if name not in self._measured:
            self._measured[name] = self.of(self._fragments[name].selection_set)
        return self._measured[name]

    def _list_size(self, node: FieldNode) -> int:
        arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
        size = 1
        for name in _COUNTED_LISTS:
            if name in arguments:
                size *= min(self._length(arguments[name]), MOST_IDS)
        if node.name.value == "salesRanks":
            size *= _CATEGORIES_OF_A_PRODUCT
        elif node.name.value in _LIST_SIZES:
            size *= self._page_size(arguments.get("first"), _LIST_SIZES[node.name.value])
        return size

    def _length(self, node: ValueNode) -> int:
        if isinstance(node, VariableNode):
            name = node.name.value
            if name in self._variables:
                value = self._variables[name]
                return len(value) if isinstance(value, list) else 1
            default = self._defaults.get(name)
            return 1 if default is None else self._length(default)
        return len(node.values) if isinstance(node, ListValueNode) else 1

    def _page_size(self, node: ValueNode | None, otherwise: int) -> int:
        value: object = None
        if isinstance(node, VariableNode):
            name = node.name.value
            if name not in self._variables:
                return self._page_size(self._defaults.get(name), otherwise)
            value = self._variables[name]
        elif isinstance(node, IntValueNode):
            value = int(node.value)
        # What is no page size is refused by its resolver, so it costs nothing.
        return max(1, min(value, LARGEST_PAGE)) if isinstance(value, int) else otherwise


class LimitOperations(SchemaExtension):
    """Refuses an operation that asks more than the limits, before it is executed.

    Stands after the cache of validation among the extensions: it measures what is valid.
    """

    def __init__(self, limits: OperationLimits) -> None:
        self._limits = limits

    def on_operation(self) -> Iterator[None]:
        """Bound the document that the parser takes."""
        self.execution_context.parse_options["max_tokens"] = self._limits.tokens
        yield

    def on_validate(self) -> Iterator[None]:
        """Refuse a valid document that is too large."""
        execution = self.execution_context
        if self._is_ambiguous():
            execution.pre_execution_errors = [
                GraphQLError(
                    "the document has several operations: name one in `operationName`",
                    extensions={"code": BAD_USER_INPUT},
                )
            ]
        if execution.graphql_document is not None and not execution.pre_execution_errors:
            size = operation_size(
                execution.graphql_document, execution.operation_name, execution.variables or {}
            )
            execution.pre_execution_errors = [
                GraphQLError(
                    f"the operation asks too much: {wanted:,} {what}, {limit:,} at most."
                    " Ask for less at once.",
                    extensions={"code": TOO_COMPLEX},
                )
                for what, wanted, limit in (
                    ("levels of fields", size.depth, self._limits.depth),
                    ("aliases", size.aliases, self._limits.aliases),
                    ("objects", size.objects, self._limits.objects),
                    (
                        "products to rank",
                        size.ranked_products,
                        self._limits.ranked_products,
                    ),
                )
                if wanted > limit
            ]
        yield

    def _is_ambiguous(self) -> bool:
        execution = self.execution_context
        # Its public `operation_name` falls back to the first operation, which nobody asked for.
        if execution.graphql_document is None or execution._provided_operation_name is not None:
            return False
        definitions = execution.graphql_document.definitions
        return sum(isinstance(node, OperationDefinitionNode) for node in definitions) > 1
