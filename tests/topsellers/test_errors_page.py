"""`docs/errors.md` has a paragraph for each code."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import gateway.errors
import projections.errors
import subgraph.errors
import topsellers.errors
import write_side.errors
from gateway.problems import STATUS_OF_CODE
from subgraph.errors import INTERNAL_SERVER_ERROR
from topsellers.cli import failures

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def codes_of(module: ModuleType) -> Iterator[str]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Exception):
            code = getattr(value, "code", None)
            if isinstance(code, str):
                yield code


def all_codes() -> set[str]:
    modules = (
        gateway.errors,
        projections.errors,
        subgraph.errors,
        topsellers.errors,
        write_side.errors,
    )
    codes = {code for module in modules for code in codes_of(module)}
    codes |= {failures.WRONG_USE, failures.SYSTEM_ERROR, failures.INTERNAL_ERROR}
    return codes | set(STATUS_OF_CODE) | {INTERNAL_SERVER_ERROR}


def paragraphs() -> dict[str, str]:
    sections = re.split(r"^### (\w+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True))


@pytest.mark.parametrize("code", sorted(all_codes()))
def test_each_code_has_a_paragraph(code: str) -> None:
    assert len(paragraphs()[code].strip()) > 40


def test_no_paragraph_is_of_a_code_that_does_not_exist() -> None:
    assert set(paragraphs()) == all_codes()
