"""Plans are kept, overlaid, compared, shared by id and removed, with the keyboard alone."""

import re
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
NAMES = "Array.from(document.querySelector('#what-if-graph .js-plotly-plot').data).map(trace => trace.name)"
SETTLED = "/at most [0-9.]+ mg/.test(document.getElementById('plan-gap').textContent)"


def opened(tab: Tab, path: str = "/what-if") -> Page:
    page = tab.open(path)
    tab.painted("what-if-graph")
    return page


def press(page: Page, slider: str, times: int) -> None:
    page.locator(f"#plan-{slider}").focus()
    for _ in range(times):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(SETTLED)


def keep(page: Page, name: str) -> None:
    page.locator("#scenario-save").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.getElementById('scenario-message').textContent === 'Kept as scenario {name}.'")
    page.wait_for_function(f"{NAMES}.includes('scenario {name}')")


def remove_all(page: Page) -> None:
    for name in "ABCD":
        if page.locator(f"#scenario-{name}").is_visible():
            page.locator(f"#scenario-{name}-remove").click()
            page.locator(f"#scenario-{name}").wait_for(state="hidden")


@pytest.fixture
def page(tab: Tab) -> Page:
    page = opened(tab)
    remove_all(page)
    return page


def test_scenarios_are_kept_compared_shared_and_removed_without_a_mouse(page: Page, tab: Tab) -> None:
    press(page, "carbs_g", 6)
    keep(page, "A")
    press(page, "exercise_min", 6)
    keep(page, "B")
    assert page.inner_text("#scenario-B-words") == "30 g now, 30 min of exercise at 50 % now"
    table = page.inner_text("#what-if-outcomes table >> nth=1")
    assert re.search(r"\bA\b.*\bB\b", table, re.S)

    page.locator("#scenario-A-show").focus()
    page.keyboard.press("Space")
    page.wait_for_function(f"!{NAMES}.includes('scenario A')")
    link = page.get_attribute("#scenario-link", "href") or ""
    assert re.fullmatch(r"/p/[0-9a-f]{10}(-live)?/what-if\?scenarios=[A-Za-z0-9_-]{12}", link)

    shared = opened(tab, link)
    shared.wait_for_function(
        "/The link shows scenario B/.test(document.getElementById('scenario-message').textContent)"
    )
    shared.wait_for_function(f"{NAMES}.includes('scenario B') && !{NAMES}.includes('scenario A')")
    shared.locator("#scenario-A-load").focus()
    shared.keyboard.press("Enter")
    shared.wait_for_function("document.getElementById('plan-carbs_g').value === '30'")
    remove_all(shared)
    assert shared.locator("#scenario-none").is_visible()
    shared.wait_for_function(f"!{NAMES}.some(name => (name || '').startsWith('scenario'))")


def test_a_link_to_what_is_not_kept_says_so(page: Page, tab: Tab) -> None:
    opened(tab, "/what-if?scenarios=AAAAAAAAAAAA")
    page.wait_for_function("/The link does not fit/.test(document.getElementById('scenario-message').textContent)")


def test_a_plan_of_nothing_is_not_kept(page: Page) -> None:
    page.get_by_role("button", name="Save as scenario").click()
    page.wait_for_function("/changes nothing/.test(document.getElementById('scenario-message').textContent)")
    assert page.locator("#scenario-A").is_hidden()


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_with_scenarios_axe_finds_nothing_and_no_table_is_wider_than_the_screen(
    browser: Browser, server: str, mode: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode)  # type: ignore[arg-type]
    tab = Tab(context, server)
    page = opened(tab)
    remove_all(page)
    for presses, name in ((2, "A"), (4, "B"), (6, "C"), (8, "D")):
        press(page, "carbs_g", presses)
        keep(page, name)
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(result => result.violations)")
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    clipped = page.evaluate(
        "Array.from(document.querySelectorAll('#what-if-outcomes .table-scroll'))"
        ".filter(box => box.scrollWidth > box.clientWidth + 1).length"
    )
    remove_all(page)
    context.close()
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []
    assert widths[0] <= widths[1]
    assert clipped == 0
