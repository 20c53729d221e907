"""The OpenAPI document of the REST endpoints, made from what the code checks."""

from enum import Enum
from importlib.metadata import version
from typing import Any, Final

import msgspec

from gateway.problems import PROBLEM_JSON, Problem
from gateway.rest_bodies import Categories, SalesRanks, TopProducts
from gateway.rest_parameters import DEFAULT_LIMIT
from gateway.rest_rankings import (
    CATEGORIES_ROUTE,
    DEFAULT_CATEGORIES,
    SALES_RANKS_ROUTE,
    TOP_PRODUCTS_ROUTE,
)
from gateway.stream_endpoint import STREAM_ROUTE
from projections.ranking_lists import RankingMetric, RankingWindow
from subgraph.arguments import LARGEST_ID, LARGEST_PAGE

OPENAPI_ROUTE: Final = "/v1/openapi.json"

Json = dict[str, Any]

_REFUSALS: Final = {
    "400": "A parameter breaks its rule; `parameter` names it. Unknown ones are refused too.",
    "404": "Nothing is known by this id, or was published by then.",
    "410": "The cursor's version was replaced more than 10 minutes ago. Begin again without it.",
    "503": "The rankings can't be read at the moment. Try again after `Retry-After` seconds.",
}


def openapi_document() -> Json:
    """Return the document."""
    _, schemas = msgspec.json.schema_components(
        [TopProducts, SalesRanks, Categories, Problem],
        ref_template="#/components/schemas/{name}",
    )
    listed = [_window(), _metric(), _limit(DEFAULT_LIMIT)]
    category, product = _id("category_id"), _id("product_id")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "topsellers",
            "version": version("topsellers"),
            "description": (
                "Exact best-seller rankings, new every hour. Each answer is of one version of a"
                " category's lists; its `ETag` changes when the answer does."
            ),
        },
        "paths": {
            TOP_PRODUCTS_ROUTE: _get(
                "The best-selling products of a category, best first",
                [category, *listed, _cursor(), _as_of()],
                "TopProducts",
                ("400", "404", "410", "503"),
            ),
            STREAM_ROUTE: {
                "get": {
                    "summary": "The same list as server-sent events",
                    "description": (
                        "`event: ranking` carries the list's body and has its version as `id`: at"
                        " once, and each time that the list changes. While the list can't be read"
                        " comes `event: unavailable` with a problem, once; the list follows by"
                        " itself. Whoever reads slowly skips to the newest list."
                    ),
                    "parameters": [category, *listed],
                    "responses": {
                        "200": {
                            "description": "The stream; it does not end by itself.",
                            "content": {"text/event-stream": {"schema": {"type": "string"}}},
                        },
                        **_problems("400", "404", "503"),
                    },
                }
            },
            SALES_RANKS_ROUTE: _get(
                "A product's rank in each of its categories, however deep",
                [product, _window(), _metric()],
                "SalesRanks",
                ("400", "404", "503"),
            ),
            CATEGORIES_ROUTE: _get(
                "The categories that ever sold, in the order of their ids",
                [_limit(DEFAULT_CATEGORIES), _cursor()],
                "Categories",
                ("400", "503"),
            ),
        },
        "components": {"schemas": schemas},
    }


def _get(summary: str, parameters: list[Json], body: str, refusals: tuple[str, ...]) -> Json:
    return {
        "get": {
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": "The answer, with its `ETag`.",
                    "content": {"application/json": {"schema": _reference(body)}},
                },
                "304": {"description": "`If-None-Match` names the answer's `ETag`."},
                **_problems(*refusals),
            },
        }
    }


def _problems(*statuses: str) -> Json:
    return {
        status: {
            "description": _REFUSALS[status],
            "content": {PROBLEM_JSON: {"schema": _reference("Problem")}},
        }
        for status in statuses
    }


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _id(name: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"1 to {LARGEST_ID} bytes, percent-encoded, `/` too (`%2F`).",
        "schema": {"type": "string"},
    }


def _query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _choice(name: str, description: str, default: Enum) -> Json:
    choices = [member.value for member in type(default)]
    return _query(name, description, {"type": "string", "enum": choices, "default": default.value})


def _window() -> Json:
    return _choice("window", "The span that ends with the newest closed hour.", RankingWindow.DAY)


def _metric() -> Json:
    return _choice("metric", "What counts, net of returns.", RankingMetric.UNITS)


def _limit(default: int) -> Json:
    return _query(
        "limit",
        "Rows of a page.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": default},
    )


def _cursor() -> Json:
    return _query(
        "cursor",
        "`next_cursor` of the page before, with its other parameters left as they were.",
        {"type": "string"},
    )


def _as_of() -> Json:
    return _query(
        "as_of",
        (
            "An ISO 8601 instant with its offset: the list as published while the hour that ended"
            " then was the newest. Its first 100 positions are kept."
        ),
        {"type": "string", "format": "date-time"},
    )
