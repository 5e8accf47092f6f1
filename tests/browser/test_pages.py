"""What every page must be: accessible, on its own origin, quick, and no wider than the screen."""

import re
from importlib.resources import files

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

PAGES = {
    "/": None,
    "/today": "today-graph",
    "/what-if": "what-if-graph",
    "/replay": "replay-graph",
    "/twin": "judge-parameter-graph",
    "/model": "model-errors",
    "/dosing": "dosing-graph",
    "/learn/euler": "euler-graph",
}
FIRST_GRAPH_S = 2.5
WIRE_KB = 950.0
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(browser: Browser, server: str, path: str, mode: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode)  # type: ignore[arg-type]
    tab = Tab(context, server)
    page = tab.open(path)
    if PAGES[path]:
        tab.painted(str(PAGES[path]))
    assert page.evaluate("document.documentElement.dataset.bsTheme") == mode
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(result => result.violations)")
    context.close()
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []


@pytest.mark.parametrize("path", PAGES)
def test_nothing_scrolls_sideways_at_320_px(browser: Browser, server: str, path: str) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 800})
    tab = Tab(context, server)
    page = tab.open(path)
    if PAGES[path]:
        tab.painted(str(PAGES[path]))
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    context.close()
    assert widths[0] <= widths[1]


@pytest.mark.parametrize("path", [path for path, graph in PAGES.items() if graph])
def test_no_graph_offers_to_share_the_chart(tab: Tab, path: str) -> None:
    page = tab.open(path)
    tab.painted(str(PAGES[path]))
    assert "share chart" not in page.content().lower()
    assert page.locator(".modebar-btn").count() == 0


def test_nothing_is_kept_in_the_browsers_storage(tab: Tab) -> None:
    page = tab.open("/today")
    tab.painted("today-graph")
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    assert {cookie["name"] for cookie in tab.context.cookies()} <= {"biotwin-mode"}


def test_the_first_graph_needs_less_than_the_wire_budget(browser: Browser, server: str) -> None:
    context = browser.new_context()
    tab = Tab(context, server)
    session = context.new_cdp_session(tab.page)
    session.send("Network.enable")
    received: list[float] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    tab.open("/today")
    tab.painted("today-graph")
    tab.page.wait_for_load_state("networkidle")
    context.close()
    assert 100.0 < sum(received) / 1000.0 <= WIRE_KB


def test_a_switch_draws_the_forecast_without_what_it_leans_on(tab: Tab) -> None:
    page = tab.open("/today")
    tab.painted("today-graph")
    page.get_by_role("heading", name="What the forecast leans on").wait_for()
    shown = "document.querySelector('#today-graph .js-plotly-plot').data.find(t => t.name === 'without trend').visible"
    assert page.evaluate(shown) is False
    page.get_by_label("without trend").check()
    page.wait_for_function(shown)
    assert page.evaluate(shown.replace(".visible", ".y.length")) == 48


def test_an_unknown_person_gets_a_sentence_and_a_way_out(tab: Tab) -> None:
    page = tab.open("/p/nobody/today")
    assert "There is no person called 'nobody'" in page.inner_text("main")
    page.get_by_role("link", name="Go to the start page").click()
    page.get_by_role("heading", name="A digital twin").wait_for()


def test_every_control_is_reached_with_the_keyboard(tab: Tab) -> None:
    page = tab.open("/what-if")
    tab.painted("what-if-graph")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        place = page.evaluate("document.activeElement.id || document.activeElement.getAttribute('href')")
        reached.add("/" + place.rpartition("/")[2] if place and "/p/" in place else place)
    assert {"/today", "/what-if", "/dosing", "person-choice", "mode-button", "plan-carbs_g", "plan-bolus_u"} <= reached


def test_a_server_that_does_not_answer_is_said_and_forgotten_when_it_is_back(browser: Browser, server: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = Tab(context, server)
    page = tab.open("/today")
    tab.painted("today-graph")
    page.route("**/_dash-update-component*", lambda route: route.abort())
    page.locator("label", has_text="mmol/L").click()
    banner = page.locator("#server-lost")
    banner.wait_for()
    assert re.search(r"does not answer.*from \d\d:\d\d", banner.inner_text())
    page.unroute("**/_dash-update-component*")
    page.locator("label", has_text="mg/dL").click()
    banner.wait_for(state="hidden")
    context.close()
