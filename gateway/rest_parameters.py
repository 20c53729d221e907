"""Reading what a REST request asks for. Each rule that is broken names its parameter.

A parameter that is not known, or given twice, is refused: a misspelt one would else be answered
with something that nobody asked for.
"""

import re
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

from projections.ranking_lists import RankingMetric, RankingWindow
from subgraph.arguments import LARGEST_PAGE, id_argument
from subgraph.errors import BadArgument

DEFAULT_LIMIT: Final = 10

_HALF_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN_NUMBER: Final = re.compile(r"[0-9]{1,4}", re.ASCII)
_Choice = TypeVar("_Choice", bound=Enum)


def path_id(name: str, encoded: str) -> str:
    """Return the id in a percent-encoded path segment; raises `BadArgument`."""
    if _HALF_ESCAPE.search(encoded):
        raise BadArgument(name, "a % in a path begins an escape like %20; write % itself as %25")
    try:
        value = unquote_to_bytes(encoded.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise BadArgument(name, "its bytes are not UTF-8") from None
    return id_argument(name, value)


def query_parameters(query: bytes, known: Collection[str]) -> dict[str, str]:
    """Return a query's parameters by name; raises `BadArgument` for unknown and repeated ones."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise BadArgument("query", "its bytes are not percent-encoded UTF-8") from None
    parameters: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise BadArgument(name, f"no such parameter; there are {', '.join(sorted(known))}")
        if name in parameters:
            raise BadArgument(name, "given more than once")
        parameters[name] = value
    return parameters


def window_parameter(parameters: Mapping[str, str]) -> RankingWindow:
    """Return the window, `day` where none is given; raises `BadArgument`."""
    return _choice("window", parameters.get("window"), RankingWindow.DAY)


def metric_parameter(parameters: Mapping[str, str]) -> RankingMetric:
    """Return the metric, `units` where none is given; raises `BadArgument`."""
    return _choice("metric", parameters.get("metric"), RankingMetric.UNITS)


def limit_parameter(parameters: Mapping[str, str], default: int = DEFAULT_LIMIT) -> int:
    """Return the limit, 1 to 100; raises `BadArgument`."""
    text = parameters.get("limit")
    if text is None:
        return default
    if not _PLAIN_NUMBER.fullmatch(text) or not 1 <= int(text) <= LARGEST_PAGE:
        raise BadArgument("limit", f"must be a number from 1 to {LARGEST_PAGE}")
    return int(text)


def _choice(name: str, text: str | None, default: _Choice) -> _Choice:
    if text is None:
        return default
    choices = {member.value: member for member in type(default)}
    if text not in choices:
        raise BadArgument(name, f"must be one of {', '.join(choices)}")
    return choices[text]
