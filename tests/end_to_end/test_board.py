"""The live board in a real browser before the real system: files in, rows that move."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from projections.worker import ReadModel, project
from tests.oracle.operations import Operation
from tests.projections.read_models import read_model
from tests.projections.recorded import FIRST_HOUR, record, report
from tests.serving import serving_rankings
from write_side.report_history import ReportHistory
from write_side.sqlite_event_store import SqliteEventStore

FIRST = [("garden", "spade", 9, 9_000), ("garden", "rake", 7, 21_000), ("tools", "spade", 1, 900)]
SECOND = [("garden", "rake", 8, 24_000), ("garden", "<b>hose</b>", 1, 4_500)]


@pytest.fixture
def model(tmp_path: Path, redis_url: str) -> Iterator[ReadModel]:
    store = SqliteEventStore(tmp_path / "events.db")
    with read_model(store, redis_url) as model:
        yield model
    store.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def test_a_row_moves_when_an_hour_lands(model: ReadModel, redis_url: str, page: Page) -> None:
    history = ReportHistory()
    record(model.store, Operation("ingest", FIRST_HOUR, report(FIRST)))
    project(model, history)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda message: problems.append(message.text) if message.type == "error" else None,
    )
    with serving_rankings(model, redis_url) as url:
        page.goto(f"{url}/?category=garden&window=day&metric=units")
        products = page.locator("#ranking .product-link")
        expect(products).to_have_text(["spade", "rake"])
        record(model.store, Operation("ingest", FIRST_HOUR + 1, report(SECOND)))
        project(model, history)
        expect(products).to_have_text(["rake", "spade", "<b>hose</b>"])
        expect(page.locator("#freshness-text")).to_contain_text(re.compile("as of", re.IGNORECASE))
        products.nth(1).click()
        panel = page.locator("#panel")
        expect(panel).to_contain_text("garden")
        expect(panel).to_contain_text("tools")
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        page.goto("about:blank")
    assert problems == []
