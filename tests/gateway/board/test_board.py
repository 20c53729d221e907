"""The live board in a browser, before a shop whose rankings the test writes."""

import re
import time
from datetime import timedelta
from itertools import product
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.board.board_server import BOARD, BoardServer, Shop, this_hour
from tests.gateway.board.conftest import HEADPHONES, OpenBoard

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"

NEXT_HOUR = {**HEADPHONES, "CLIP-3": (950, 9_500_00), "ECHO-5": (600, 6_000_00)}
del NEXT_HOUR["DUET-4"]


def products(page: Page) -> list[str]:
    return page.locator("#ranking .product-link").all_inner_texts()


def parameters(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def row(page: Page, product_id: str) -> str:
    """What a row says, shapes left out and spoken words included."""
    text = page.locator("#ranking tbody tr", has_text=product_id).text_content()
    return text or ""


def wait_for_list(page: Page) -> None:
    expect(page.locator("#ranking")).to_have_attribute("aria-busy", "false")


def test_the_list_of_the_first_category_is_painted_and_named_in_the_address(
    open_board: OpenBoard,
) -> None:
    page = open_board("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Headphones")
    expect(page.locator("#ranking .product-link")).to_have_text(list(HEADPHONES))
    expect(page.locator("#ranking caption")).to_contain_text(
        "Top 4 of 4 products by units, 24 hours to"
    )
    assert parameters(page) == {
        "category": "Headphones",
        "window": "day",
        "metric": "units",
        "limit": "20",
    }


def test_the_first_list_is_painted_within_300_ms(
    open_board: OpenBoard, board_server: BoardServer
) -> None:
    page = open_board()
    wait_for_list(page)
    # The second visit leaves the browser's own start out of the measure.
    page.goto(f"{board_server.address}/?category=Headphones&limit=50")
    painted = page.evaluate(
        """async () => {
          while (!document.querySelector(".product-link"))
            await new Promise((resolve) => requestAnimationFrame(resolve));
          return performance.now();
        }"""
    )
    assert painted < 300


def test_totals_are_written_by_locale_with_the_exact_value_in_the_title(
    open_board: OpenBoard, shop: Shop
) -> None:
    shop.totals["Headphones"]["ALTO-1"] = (12_345, 1_234_567_89)
    page = open_board()
    line = page.locator("#ranking tbody tr").first
    expect(line.locator(".total")).to_have_text("12,345")
    expect(line.locator(".other")).to_have_text("$1,234,568")
    expect(line.locator(".other")).to_have_attribute("title", "$1,234,567.89")


def test_an_hour_that_lands_moves_rows_marks_them_and_is_announced_in_one_sentence(
    open_board: OpenBoard, shop: Shop
) -> None:
    page = open_board()
    wait_for_list(page)
    page.evaluate(
        """() => {
          globalThis.slides = [];
          globalThis.sentences = [];
          const animate = Element.prototype.animate;
          Element.prototype.animate = function (frames, options) {
            if (options.id === "slide") globalThis.slides.push(this.textContent);
            return animate.call(this, frames, options);
          };
          const announcer = document.getElementById("announcer");
          new MutationObserver(() => globalThis.sentences.push(announcer.textContent))
            .observe(announcer, { childList: true });
        }"""
    )
    shop.land_hour({"Headphones": NEXT_HOUR})
    expect(page.locator("#ranking .product-link")).to_have_text(
        ["CLIP-3", "ALTO-1", "BASS-2", "ECHO-5"]
    )
    marked = page.locator("#ranking tr.marked .product-link").all_inner_texts()
    assert marked == ["CLIP-3", "ALTO-1", "BASS-2", "ECHO-5"]
    assert len(page.evaluate("slides")) == 4
    hour = shop.as_of.strftime("%H:%M UTC")
    (sentence,) = page.evaluate("sentences")
    assert re.fullmatch(
        rf"Updated as of .*{hour}: CLIP-3 leads with 950 units; 1 up, 2 down, 1 new\.", sentence
    )
    assert page.locator("#announcer").get_attribute("aria-live") == "polite"
    expect(page.locator("#ranking tr.marked")).to_have_count(0)


def test_rows_do_not_slide_where_less_motion_is_wished_for(
    open_board: OpenBoard, shop: Shop
) -> None:
    page = open_board(reduced_motion="reduce")
    wait_for_list(page)
    shop.land_hour({"Headphones": NEXT_HOUR})
    expect(page.locator("#ranking tr.marked")).to_have_count(4)
    ids = page.evaluate("document.getAnimations().map((animation) => animation.id)")
    assert "slide" not in ids


def test_arrows_say_the_places_in_shape_and_words(open_board: OpenBoard, shop: Shop) -> None:
    shop.land_hour({"Headphones": {**NEXT_HOUR, "FLAT-6": (600, 1_00)}})
    page = open_board()
    wait_for_list(page)
    assert "up 2 places" in row(page, "CLIP-3")
    assert "down 1 place" in row(page, "ALTO-1")
    assert "new" in row(page, "ECHO-5")
    assert "shared" in row(page, "ECHO-5")
    assert "shared" in row(page, "FLAT-6")
    shapes = page.eval_on_selector_all(
        "#ranking .up, #ranking .down",
        "(marks) => new Set(marks.map((m) => getComputedStyle(m, '::before').clipPath)).size",
    )
    assert shapes == 2
    shop.land_hour({})
    expect(page.locator("#ranking .same")).to_have_count(5)
    assert "same place" in row(page, "CLIP-3")


def test_a_click_on_a_product_opens_its_ranks_in_all_its_categories(
    open_board: OpenBoard, shop: Shop
) -> None:
    page = open_board()
    page.locator("#ranking tbody tr", has_text="ALTO-1").locator(".other").click()
    panel = page.get_by_role("dialog", name="ALTO-1")
    expect(panel.locator("tbody tr")).to_have_count(2)
    expect(panel.locator("tbody tr").first).to_contain_text("Headphones")
    expect(panel.locator("tbody tr").last).to_contain_text("Kitchen & dining")
    assert parameters(page)["product"] == "ALTO-1"

    shop.land_hour({"Kitchen & dining": {"ALTO-1": (77, 800_00), "PANS-9": (55, 2_000_00)}})
    expect(panel.locator("tbody tr", has_text="Kitchen")).to_contain_text("up 1 place")

    panel.get_by_role("link", name="Kitchen & dining").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Kitchen & dining")
    expect(page.locator("#ranking .product-link")).to_have_text(["ALTO-1", "PANS-9"])
    expect(panel).to_be_visible()

    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("#ranking .product-link").first).to_be_focused()
    assert "product" not in parameters(page)


def test_a_shared_address_shows_the_same_view(open_board: OpenBoard) -> None:
    page = open_board("/?category=Toys%2F3+to+5&window=week&metric=revenue&limit=50&product=KITE-7")
    expect(page.get_by_role("heading", level=1)).to_have_text("Toys/3 to 5")
    expect(page.get_by_role("dialog", name="KITE-7")).to_contain_text("7 days to")
    expect(page.locator("#ranking caption")).to_contain_text("by revenue, 7 days to")
    for name in ("Week", "Revenue", "50"):
        expect(page.get_by_role("radio", name=name, exact=True)).to_be_checked()


def test_back_and_forward_walk_through_the_views(open_board: OpenBoard) -> None:
    page = open_board()
    wait_for_list(page)
    page.get_by_text("Revenue", exact=True).and_(page.locator("label")).click()
    expect(page.locator("#ranking .product-link")).to_have_text(
        ["ALTO-1", "DUET-4", "BASS-2", "CLIP-3"]
    )
    page.get_by_role("link", name="DUET-4").click()
    panel = page.get_by_role("dialog", name="DUET-4")
    expect(panel).to_be_visible()
    page.go_back()
    expect(panel).to_be_hidden()
    expect(page.get_by_role("radio", name="Revenue")).to_be_checked()
    page.go_back()
    expect(page.get_by_role("radio", name="Units")).to_be_checked()
    expect(page.locator("#ranking .product-link")).to_have_text(list(HEADPHONES))
    page.go_forward()
    page.go_forward()
    expect(panel).to_be_visible()
    assert parameters(page)["metric"] == "revenue"


def test_the_keyboard_alone_searches_moves_opens_and_closes(open_board: OpenBoard) -> None:
    page = open_board()
    wait_for_list(page)
    search = page.get_by_role("combobox", name="Category")
    page.keyboard.press("/")
    expect(search).to_be_focused()
    expect(search).to_have_attribute("aria-expanded", "true")
    page.keyboard.type("din")
    expect(page.get_by_role("option")).to_have_count(1)
    active = search.get_attribute("aria-activedescendant")
    expect(page.locator(f"#{active}")).to_contain_text("Kitchen & dining")
    page.keyboard.press("Escape")
    expect(search).to_have_attribute("aria-expanded", "false")
    expect(search).to_have_value("Headphones")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Kitchen & dining")

    page.evaluate("document.activeElement.blur()")
    links = page.locator("#ranking .product-link")
    expect(links).to_have_text(["PANS-9", "ALTO-1"])
    page.keyboard.press("ArrowDown")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    outline = links.nth(1).evaluate("(link) => getComputedStyle(link.closest('tr')).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="ALTO-1")
    expect(panel).to_be_visible()
    expect(panel.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(links.nth(1)).to_be_focused()


def test_a_row_keeps_the_focus_while_it_moves(open_board: OpenBoard, shop: Shop) -> None:
    page = open_board()
    link = page.get_by_role("link", name="CLIP-3")
    link.focus()
    shop.land_hour({"Headphones": NEXT_HOUR})
    expect(page.locator("#ranking .product-link").first).to_have_text("CLIP-3")
    expect(link).to_be_focused()


def test_thousands_of_categories_are_searched_without_being_in_the_page(
    open_board: OpenBoard, shop: Shop
) -> None:
    shop.totals |= {f"shelf {number:05}": {"BOOK-1": (1, 1_00)} for number in range(3000)}
    page = open_board()
    page.get_by_role("combobox").click()
    expect(page.locator("#category-note")).to_have_text("3,003 categories")
    assert page.get_by_role("option").count() < 200
    last = page.get_by_role("option").nth(40)
    last.scroll_into_view_if_needed()
    page.keyboard.type("02999")
    expect(page.get_by_role("option")).to_have_text(["shelf 029991 product"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("shelf 02999")


def test_an_unknown_category_is_said_to_be_unknown_and_appears_when_it_is_known(
    open_board: OpenBoard, shop: Shop
) -> None:
    page = open_board("/?category=Harps")
    expect(page.get_by_role("heading", name="Unknown category")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("No sale was ever reported in this category.")
    expect(page.locator("#ranking")).to_be_hidden()
    page.get_by_role("combobox").click()
    page.get_by_role("option", name="Headphones").click()
    expect(page.locator("#ranking .product-link")).to_have_text(list(HEADPHONES))


def test_an_hour_without_sales_says_so(open_board: OpenBoard, shop: Shop) -> None:
    shop.empty_windows.add("hour")
    page = open_board("/?category=Headphones&window=hour")
    expect(page.get_by_role("heading", name="No sales in this hour yet")).to_be_visible()
    expect(page.locator("#freshness")).to_contain_text("as of")
    shop.empty_windows.clear()
    shop.land_hour({})
    expect(page.locator("#ranking .product-link")).to_have_text(list(HEADPHONES))
    expect(page.locator("#notice")).to_be_hidden()


def test_a_fresh_install_says_how_to_drop_a_report_and_fills_by_itself(
    open_board: OpenBoard, shop: Shop
) -> None:
    known, shop.totals = shop.totals, {}
    page = open_board("/")
    expect(page.locator("#notice")).to_contain_text("SalesReport-YYYYMMDDHH.csv")
    shop.totals = known
    expect(page.locator("#ranking .product-link")).to_have_text(list(HEADPHONES))


def test_a_read_model_that_is_down_is_explained_and_its_list_comes_by_itself(
    open_board: OpenBoard, shop: Shop
) -> None:
    shop.fail(503, "The rankings are being built anew. Try again in a few seconds.", retry_after=1)
    page = open_board()
    expect(page.locator("#notice")).to_contain_text("The rankings are being built anew.")
    expect(page.locator("#freshness-warning")).to_have_text("reconnecting")
    shop.recover()
    expect(page.locator("#ranking .product-link")).to_have_text(list(HEADPHONES))
    expect(page.locator("#freshness-warning")).to_have_text("")


def test_a_read_model_that_is_down_can_be_asked_again_at_once(
    open_board: OpenBoard, shop: Shop
) -> None:
    shop.fail(503, "The rankings are being built anew.", retry_after=600)
    page = open_board()
    retry = page.get_by_role("button", name="Try now")
    expect(retry).to_be_visible()
    shop.recover()
    retry.click()
    expect(page.locator("#ranking .product-link")).to_have_text(list(HEADPHONES))


@pytest.mark.parametrize("cut", [True, False], ids=["a cut stream", "a stream that is told"])
def test_a_lost_stream_keeps_its_list_says_of_when_it_is_and_comes_back(
    open_board: OpenBoard, shop: Shop, cut: bool
) -> None:
    page = open_board()
    wait_for_list(page)
    shop.fail(503, "Restarting.", cut=cut)
    hour = shop.as_of.strftime("%H:%M")
    expect(page.locator("#freshness-warning")).to_have_text(
        f"reconnecting; this is the list of {hour}"
    )
    expect(page.locator("#announcer")).to_have_text(f"Reconnecting; this is the list of {hour}.")
    assert products(page) == list(HEADPHONES)
    shop.land_hour({"Headphones": NEXT_HOUR})
    shop.recover()
    expect(page.locator("#ranking .product-link").first).to_have_text("CLIP-3")
    expect(page.locator("#freshness-warning")).to_have_text("")


def test_a_stream_that_is_cut_and_back_at_once_is_never_shown_as_lost(
    open_board: OpenBoard, shop: Shop
) -> None:
    page = open_board()
    wait_for_list(page)
    page.evaluate(
        """() => {
          globalThis.states = [];
          const line = document.getElementById("freshness");
          new MutationObserver(() => globalThis.states.push(line.dataset.state))
            .observe(line, { attributes: true });
        }"""
    )
    streams = sum(path.endswith("/stream") for path in shop.requests)
    shop.cut_streams()
    deadline = time.monotonic() + 5
    while sum(path.endswith("/stream") for path in shop.requests) == streams:
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)
    shop.land_hour({"Headphones": NEXT_HOUR})
    expect(page.locator("#ranking .product-link").first).to_have_text("CLIP-3")
    assert "lost" not in page.evaluate("states")


def test_a_stream_that_fell_silent_is_found_and_opened_again(
    open_board: OpenBoard, shop: Shop, board_server: BoardServer
) -> None:
    shop.muted = True
    page = open_board("about:blank")
    page.clock.install()
    page.goto(f"{board_server.address}/?category=Headphones")
    wait_for_list(page)
    shop.land_hour({"Headphones": NEXT_HOUR})
    page.clock.fast_forward(90_000)
    expect(page.locator("#ranking .product-link").first).to_have_text("CLIP-3")


def test_an_overdue_hour_is_named(open_board: OpenBoard, shop: Shop) -> None:
    shop.as_of = this_hour() - timedelta(hours=3)
    page = open_board()
    start, end = (shop.as_of + timedelta(hours=hours) for hours in (0, 1))
    warning = f"the hour {start:%H:%M}–{end:%H:%M} UTC is overdue"
    expect(page.locator("#freshness-warning")).to_have_text(warning)
    expect(page.locator("#freshness-text")).to_contain_text(f"{start:%H:%M} UTC, 3 h ago")
    # A backlog that is being read is no overdue hour.
    shop.land_hour({})
    expect(page.locator("#freshness-warning")).to_have_text("")
    expect(page.locator("#freshness-text")).to_contain_text("catching up")


def test_a_feed_ahead_of_the_clock_is_not_overdue_and_has_no_age(
    open_board: OpenBoard, shop: Shop
) -> None:
    shop.as_of = this_hour() + timedelta(hours=30)
    page = open_board()
    expect(page.locator("#freshness-text")).to_have_text(re.compile(r"as of \d+ \w+, \d\d:00 UTC$"))
    expect(page.locator("#freshness-warning")).to_have_text("")


def test_hostile_ids_are_shown_as_text(open_board: OpenBoard, shop: Shop) -> None:
    hostile = '<img src=x onerror="globalThis.hacked=1"><script>hacked=1</script>&amp;/../?#%2F'
    shop.totals = {hostile: {hostile: (5, 5_00)}, "javascript:hacked=1": {hostile: (4, 4_00)}}
    page = open_board("/?" + f"category={quote(hostile, safe='')}")
    expect(page.locator("#ranking .product-link")).to_have_text(hostile)
    expect(page.get_by_role("heading", level=1)).to_have_text(hostile)
    page.locator("#ranking .product-link").click()
    expect(page.get_by_role("dialog", name=hostile).locator("tbody tr")).to_have_count(2)
    page.get_by_role("combobox").click()
    expect(page.get_by_role("option").first).to_contain_text(hostile)
    assert page.evaluate("globalThis.hacked") is None
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize("view", ["", "&product=ALTO-1"])
def test_nothing_scrolls_sideways_at_360_px(open_board: OpenBoard, shop: Shop, view: str) -> None:
    shop.totals["Headphones"]["W" * 128] = (999_999_999, 999_999_999_999_99)
    shop.as_of = this_hour() - timedelta(hours=5)
    page = open_board(f"/?category=Headphones{view}", viewport={"width": 360, "height": 740})
    wait_for_list(page)
    if view:
        expect(page.locator("#panel tbody tr")).to_have_count(2)
    widths = page.evaluate(
        """[document.documentElement, ...document.querySelectorAll("main *")]
          .filter((element) => /auto|scroll|visible/.test(getComputedStyle(element).overflowX))
          .filter((element) => element.getBoundingClientRect().right > 360.5)
          .map((element) => element.outerHTML.slice(0, 80))"""
    )
    assert widths == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator("#ranking .other").first).to_be_hidden()
    expect(page.locator("#ranking tbody .rank").first).to_be_visible()


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_a_contrast_of_4_5_on_every_surface(open_board: OpenBoard, scheme: str) -> None:
    page = open_board(color_scheme=scheme)

    def colour(name: str) -> str:
        value: str = page.evaluate(
            "(name) => getComputedStyle(document.documentElement).getPropertyValue(name)",
            f"--{name}",
        )
        return "#" + "".join(2 * digit for digit in value[1:]) if len(value) == 4 else value

    pairs = [
        *product(("ink", "soft", "accent"), ("canvas", "surface", "sunken", "mark")),
        ("warn", "warn-surface"),
    ]
    assert {
        pair: contrast(*map(colour, pair)) for pair in pairs if contrast(*map(colour, pair)) < 4.5
    } == {}
    edges = {
        pair: contrast(*map(colour, pair)) for pair in product(["edge"], ["canvas", "surface"])
    }
    assert {pair: ratio for pair, ratio in edges.items() if ratio < 3} == {}
    is_dark = luminance(colour("canvas")) < 0.1
    assert is_dark == (scheme == "dark")


def test_only_this_server_is_asked_and_little_is_loaded(
    open_board: OpenBoard, board_server: BoardServer
) -> None:
    page = open_board("about:blank")
    addresses: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{board_server.address}/?category=Headphones&product=ALTO-1")
    expect(page.locator("#panel tbody tr")).to_have_count(2)
    assert {urlsplit(address).netloc for address in addresses} == {urlsplit(page.url).netloc}
    assert errors == []
    loaded = {urlsplit(address).path for address in addresses}
    served = {f"/board/{file.name}" for file in BOARD.iterdir() if file.suffix != ".ts"}
    assert served - loaded <= {"/board/index.html", "/board/favicon.svg"}
    weight = sum(file.stat().st_size for file in BOARD.iterdir() if file.suffix != ".ts")
    assert weight < 60_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state", ["list", "panel", "narrow panel", "search", "empty", "down", "late"]
)
def test_axe_finds_no_violation(open_board: OpenBoard, shop: Shop, scheme: str, state: str) -> None:
    assert AXE.is_file(), f"No axe-core: {AXE}. Run npm ci in the repository's root."
    address = "/?category=Headphones"
    if state == "empty":
        shop.empty_windows.add("day")
    elif state == "down":
        shop.fail(503, "The rankings are being built anew.", retry_after=600)
    elif state == "late":
        shop.as_of = this_hour() - timedelta(hours=4)
    elif "panel" in state:
        address += "&product=ALTO-1"
    shop.land_hour({"Headphones": NEXT_HOUR | {"ALTO-1": (600, 1_00)}})
    width = 390 if "narrow" in state else 1280
    page = open_board(
        address, color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    if state in ("empty", "down"):
        expect(page.locator("#notice")).to_be_visible()
    else:
        wait_for_list(page)
    if "panel" in state:
        expect(page.locator("#panel tbody tr")).to_have_count(2)
    elif state == "search":
        page.keyboard.press("/")
        expect(page.get_by_role("option")).to_have_count(3)
    page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished))")
    page.add_script_tag(path=AXE)
    violations = page.evaluate(
        """async () => (await axe.run()).violations
          .map(({ id, nodes }) => [id, nodes.map((node) => node.html + node.failureSummary)])"""
    )
    assert violations == []
