"""A system under test: asking it, and telling where its answers differ."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import httpx

from tests.oracle.answers import RankedRow

_AT_ONCE = 16


class AskedSystem:
    """The system's answers as they come, a bounded number of questions at once."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def get(self, path: str, **parameters: str | int) -> tuple[int, Any]:
        async with self._limit:
            response = await self._client.get(path, params=parameters)
        return response.status_code, response.json() if response.content else None

    async def query(self, query: str, variables: dict[str, Any]) -> Any:
        question = {"query": query, "variables": variables}
        async with self._limit:
            response = await self._client.post("/graphql", json=question)
        return response.json()


def unequal_rows(
    where: str, found: Iterable[RankedRow], expected: Iterable[RankedRow]
) -> list[str]:
    there, wanted = list(found), list(expected)
    differences = [
        f"{where} position {place}: {one}, expected {other}"
        for place, (one, other) in enumerate(zip(there, wanted, strict=False), 1)
        if one != other
    ]
    if len(there) != len(wanted):
        differences.append(f"{where}: {len(there)} rows, expected {len(wanted)}")
    return differences


def unequal(where: str, values: dict[str, tuple[Any, Any]]) -> list[str]:
    return [
        f"{where}: {name} is {found}, expected {expected}"
        for name, (found, expected) in values.items()
        if found != expected
    ]


def minor(amount: object) -> int | str:
    """Return minor units, or what is no decimal text of at most two places, as it stands."""
    try:
        value = Decimal(amount) * 100 if isinstance(amount, str) else None
    except InvalidOperation:
        value = None
    return repr(amount) if value is None or value != int(value) else int(value)


def instant(text: object) -> datetime | None:
    """Return the instant of an answer's text."""
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def stamp(moment: datetime) -> str:
    """Return an instant as one asks for it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
