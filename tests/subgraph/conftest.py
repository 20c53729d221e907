"""A schema over rankings in memory, asked as the gateway asks it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from strawberry.types.execution import ExecutionResult

from subgraph.context import OperationContext
from subgraph.cursors import CursorCodec
from subgraph.schema import RankingsSchema, build_schema
from tests.gateway.rankings_in_memory import RankingsInMemory

HOUR = 498_776
"""2026-11-25 07:00, so that rankings are as of 08:00."""

Ask = Callable[..., Awaitable[ExecutionResult]]


@pytest.fixture
def rankings() -> RankingsInMemory:
    """Two categories: 250 books, the first two equal in units, and three toys, one returned."""
    rankings = RankingsInMemory()
    rankings.publish(
        HOUR,
        {
            "books": {f"b{n:03}": (1000 - n // 2, 12_345 + n) for n in range(250)},
            "toys": {"b000": (5, 100), "t1": (7, 50), "t2": (-1, -10)},
        },
    )
    return rankings


@pytest.fixture(scope="session")
def schema() -> RankingsSchema:
    return build_schema()


@pytest.fixture
def ask(rankings: RankingsInMemory, schema: RankingsSchema) -> Ask:
    cursors = CursorCodec([b"secret"])

    async def ask(query: str, **variables: Any) -> ExecutionResult:
        return await schema.execute(
            query,
            variable_values=variables,
            context_value=OperationContext(rankings, "USD", cursors),
        )

    return ask
