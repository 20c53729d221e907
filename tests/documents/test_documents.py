"""What the documents show is run: queries, addresses, commands, and the files that they link."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from projections.worker import project
from tests.oracle.operations import Operation
from tests.projections.read_models import read_model
from tests.projections.recorded import FIRST_HOUR, record, report
from tests.serving import serving_rankings
from topsellers.cli.main import COMMANDS
from write_side.memory_event_store import MemoryEventStore
from write_side.report_history import ReportHistory

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#]+)")
ROWS = [("garden-tools", f"P0000{n}", 100 - n, 1000 * n) for n in range(12)]


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for found, text in BLOCK.findall(page.read_text()):
            if found == language:
                yield page.name, text


@pytest.fixture
def address(redis_url: str) -> Iterator[str]:
    store = MemoryEventStore()
    record(store, Operation("ingest", FIRST_HOUR, report(ROWS)))
    with read_model(store, redis_url) as model:
        project(model, ReportHistory())
        with serving_rankings(model, redis_url) as url:
            yield url


def test_every_query_is_answered(address: str) -> None:
    queries = list(blocks("graphql"))
    assert len(queries) >= 3
    for page, query in queries:
        answer = httpx.post(f"{address}/graphql", json={"query": query}).json()
        assert "errors" not in answer, (page, answer)


def test_the_readmes_first_request_gets_an_answer_of_the_shape_it_shows(address: str) -> None:
    text = (ROOT / "README.md").read_text()
    request = re.search(r"-d '(\{.*?\})'\n", text, re.DOTALL)
    shown = next(text for page, text in blocks("json") if page == "README.md")
    assert request is not None
    query = re.sub(r"\s+", " ", request.group(1))
    answer = httpx.post(
        f"{address}/graphql", content=query, headers={"content-type": "application/json"}
    ).json()
    assert shape(answer["data"]["topProducts"]) == shape(json.loads(shown)["data"]["topProducts"])


def test_every_resource_in_the_tables_is_there(address: str) -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    paths = set(re.findall(r"`(?:GET )?(/(?:v1|health|metrics|docs)[^`?\s]*)", pages))
    assert len(paths) >= 8
    for path in paths:
        filled = path.replace("{id}", "garden-tools" if "categories" in path else "P00001")
        if not filled.endswith("/stream"):
            assert httpx.get(address + filled).status_code == 200, path


def test_every_command_shown_exists() -> None:
    known = {command.name for command in COMMANDS}
    shown = [
        line
        for _, text in blocks("sh")
        for line in text.splitlines()
        if re.match(r"(\.venv/bin/)?topsellers ", line)
    ]
    assert len(shown) >= 4
    for line in shown:
        words = shlex.split(line, comments=True)
        assert words[1] in known, line


def test_every_link_leads_to_a_file() -> None:
    for page in PAGES:
        for target in LINK.findall(page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def shape(value: object) -> object:
    """Return a value with its leaves replaced by the names of their types."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if key != "previousRank"}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__
