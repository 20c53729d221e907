"""The subgraph's schema, ready to execute and to be exported."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from strawberry import ID, federation
from strawberry.extensions import (
    AddValidationRules,
    ParserCache,
    SchemaExtension,
    ValidationCache,
)
from strawberry.federation.schema import FederationAny
from strawberry.schema.config import StrawberryConfig
from strawberry.types.execution import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType
from strawberry.types.info import Info

from graphql import GraphQLError, NoSchemaIntrospectionCustomRule
from subgraph.arguments import MOST_IDS, id_argument
from subgraph.error_codes import described_error, public_error
from subgraph.errors import INTERNAL_SERVER_ERROR, BadArgument
from subgraph.limits import LimitOperations, OperationLimits
from subgraph.queries import Query
from subgraph.ranking_types import Category, Product
from subgraph.scalars import scalar_definitions

_LOGGER = logging.getLogger("topsellers.subgraph")
_CACHED_DOCUMENTS = 256


class RankingsSchema(federation.Schema):
    """The federated schema, with the entities resolved all at once and errors told apart."""

    def __init__(self, introspection: bool, limits: OperationLimits) -> None:
        """Build the schema; `build_schema` says what the arguments mean."""
        self._suggestions = introspection
        extensions: list[Callable[[], SchemaExtension]] = [
            lambda: ParserCache(maxsize=_CACHED_DOCUMENTS),
            lambda: ValidationCache(maxsize=_CACHED_DOCUMENTS),
            lambda: LimitOperations(limits),
        ]
        if not introspection:
            extensions.insert(0, lambda: AddValidationRules([NoSchemaIntrospectionCustomRule]))
        super().__init__(
            query=Query,
            types=[Category, Product],
            extensions=extensions,
            config=StrawberryConfig(scalar_map=scalar_definitions()),
            federation_version="2.9",
        )

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """Execute an operation; every error of the result has a code and is fit for clients."""
        result = await super().execute(
            query,
            variable_values,
            context_value,
            root_value,
            operation_name,
            allowed_operation_types,
            operation_extensions,
        )
        if result.errors:
            result.errors = [public_error(error, self._suggestions) for error in result.errors]
        return result

    def entities_resolver(
        self, info: Info, representations: list[FederationAny]
    ) -> list[FederationAny]:
        """Return the entity of each representation, or an error in its place."""
        if len(representations) > MOST_IDS:
            raise BadArgument(
                "representations",
                f"{len(representations):,} given, {MOST_IDS:,} at most are answered",
            )
        return [
            FederationAny(_entity(index, representation))
            for index, representation in enumerate(representations)
        ]

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log what nobody expected, with its cause; what clients did wrong is theirs to know."""
        for error in errors:
            if described_error(error).code == INTERNAL_SERVER_ERROR:
                _LOGGER.error(
                    "a GraphQL operation failed at %s: %s",
                    ".".join(map(str, error.path or ())) or "its start",
                    error.message,
                    exc_info=error.original_error,
                )


def build_schema(
    introspection: bool = True, limits: OperationLimits | None = None
) -> RankingsSchema:
    """Build the schema; its context is an `OperationContext`.

    Without `introspection` nobody is told names that he does not know already, neither by
    `__schema` nor by suggestions in errors; a router still gets the SDL by `_service`.
    """
    return RankingsSchema(introspection, limits or OperationLimits())


def exported_sdl(schema: RankingsSchema) -> str:
    """Return the SDL as it stands in `graphql/schema.graphql`."""
    return schema.as_str().rstrip() + "\n"


def _entity(index: int, representation: object) -> Category | Product | BadArgument:
    # An exception in a list is that item's error: the other entities are answered all the same.
    name = f"representations[{index}]"
    if not isinstance(representation, dict):
        return BadArgument(name, "is not an object")
    type_name, key = representation.get("__typename"), representation.get("id")
    if type_name not in ("Category", "Product"):
        return BadArgument(name, "its __typename is no entity of this subgraph")
    if not isinstance(key, (str, int)) or isinstance(key, bool):
        return BadArgument(name, "has no `id` that is a string or a whole number")
    try:
        entity_id = ID(id_argument(name, str(key)))
    except BadArgument as error:
        return error
    return Category(id=entity_id) if type_name == "Category" else Product(id=entity_id)
