"""The page that helps to judge a twin: fit, go back, ask what matters, in any unit, with keyboard, mouse or reader."""

import json
import re
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
CURVES = "document.querySelector('#{graph} .js-plotly-plot').data"


PATIENCE_MS = 180_000


def fit(page: Page, days: str) -> None:
    said = page.inner_text("#judge-message")
    page.select_option("#judge-days", days)
    page.get_by_role("button", name="Fit the twin").click()
    ended = f"document.getElementById('judge-message').innerText !== {json.dumps(said)}"
    page.wait_for_function(f"{ended} && !document.getElementById('judge-start').disabled", timeout=PATIENCE_MS)
    assert "Fitted" in page.inner_text("#judge-message")


@pytest.fixture(scope="module")
def person(browser: Browser, server: str) -> str:
    """The page of a person whose twin has two versions and a sensitivity analysis; made once, as users would."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = Tab(context, server)
    page = tab.open("/twin")
    tab.painted("judge-parameter-graph")
    href = page.locator("#nav a", has_text="Twin").get_attribute("href")
    assert href is not None
    fit(page, "1")
    fit(page, "2")
    page.get_by_role("button", name="Find out").click()
    page.locator("#judge-shares-graph .main-svg").first.wait_for(timeout=PATIENCE_MS)
    context.close()
    assert tab.errors == []
    return href


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_with_everything_open(
    browser: Browser, server: str, person: str, mode: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode)  # type: ignore[arg-type]
    tab = Tab(context, server)
    page = tab.open(person)
    tab.painted("judge-course-graph")
    tab.painted("judge-heat-map")
    page.evaluate("document.querySelectorAll('main details').forEach(each => each.open = true)")
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(result => result.violations)")
    context.close()
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []


def test_nothing_scrolls_sideways_at_320_px_with_every_table_open(browser: Browser, server: str, person: str) -> None:
    context = browser.new_context(viewport={"width": 320, "height": 800})
    tab = Tab(context, server)
    page = tab.open(person)
    tab.painted("judge-course-graph")
    page.evaluate("document.querySelectorAll('main details').forEach(each => each.open = true)")
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    context.close()
    assert widths[0] <= widths[1]


def test_going_back_to_a_version_keeps_it_as_the_newest(tab: Tab, person: str) -> None:
    page = tab.open(person)
    tab.painted("judge-parameter-graph")
    for earlier, newest in ((1, 3), (2, 4)):
        page.get_by_role("button", name=f"Use version {earlier} again").click()
        page.wait_for_function(f"document.querySelectorAll('#judge-versions li').length === {newest}")
        assert f"as version {earlier} was" in page.locator("#judge-versions li").first.inner_text()
        assert f"version {newest}" in page.inner_text("#judge-facts")
        assert "in use again" in page.inner_text("#judge-use-message")


def test_the_order_of_the_parameters_changes_the_figure_and_the_table_alike(tab: Tab, person: str) -> None:
    page = tab.open(person)
    tab.painted("judge-parameter-graph")
    labels = "document.querySelector('#judge-parameter-graph .js-plotly-plot').layout.annotations.map(a => a.text)"
    page.locator("#judge-order label", has_text="Name").click()
    page.wait_for_function(f"{labels}[0].startsWith('<b>b</b>')")
    page.locator("#judge-parameters summary").click()
    assert page.locator("#judge-parameters tbody th").first.inner_text().startswith("b: ")


def test_sensitivity_answers_for_the_outcome_and_the_spread_that_are_chosen(tab: Tab, person: str) -> None:
    page = tab.open(person)
    page.locator("#judge-outcome label", has_text="Time in range").click()
    page.wait_for_function("/Time in range of that day/.test(document.getElementById('judge-shares').textContent)")
    page.locator("#judge-spread label", has_text="How people differ").click()
    page.wait_for_function("/Not computed yet/.test(document.getElementById('judge-shares').textContent)")


def test_every_glucose_follows_the_unit(tab: Tab, person: str) -> None:
    page = tab.open(person)
    tab.painted("judge-course-graph")
    readings = CURVES.format(graph="judge-fit-graph") + "[2].y"
    highest = page.evaluate(f"Math.max(...{readings})")
    page.locator("label", has_text="mmol/L").click()
    page.wait_for_function(f"Math.max(...{readings}) < 40")
    assert page.evaluate(f"Math.max(...{readings})") == pytest.approx(highest / 18.0156, abs=0.05)
    page.wait_for_function("!/mg.dL/.test(document.querySelector('main').textContent)")
    page.locator("label", has_text="mg/dL").click()
    page.wait_for_function(f"Math.max(...{readings}) > 40")


def test_a_cancelled_fit_leaves_the_versions_as_they_were(tab: Tab, person: str) -> None:
    page = tab.open(person)
    before = page.inner_text("#judge-versions")
    page.select_option("#judge-days", "14")
    page.get_by_role("button", name="Fit the twin").click()
    page.wait_for_function("!document.getElementById('judge-cancel').disabled")
    page.locator("#judge-cancel").click()
    page.wait_for_function("/cancelled/.test(document.getElementById('judge-message').textContent)", timeout=20000)
    assert page.inner_text("#judge-versions") == before


def test_every_control_is_reached_with_the_keyboard(tab: Tab, person: str) -> None:
    page = tab.open(person)
    tab.painted("judge-course-graph")
    reached: set[str] = set()
    summaries = 0
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
        reached.add(page.evaluate("document.activeElement.closest('[id]')?.id ?? ''"))
        summaries += page.evaluate("document.activeElement.tagName") == "SUMMARY"
    assert {"judge-days", "judge-start", "judge-shares-start", "judge-spread", "judge-outcome", "judge-order"} <= {
        re.sub(r"^_dbcprivate_radioitems_(judge-[a-z]+)_input_.*$", r"\1", name) for name in reached
    }
    assert summaries >= 4


def test_no_graph_offers_to_share_the_chart(tab: Tab, person: str) -> None:
    page = tab.open(person)
    tab.painted("judge-course-graph")
    assert "share chart" not in page.content().lower()
    assert page.locator(".modebar-btn").count() == 0


def test_what_is_followed_grows_with_a_live_person(tab: Tab) -> None:
    page = tab.open("/")
    page.get_by_role("button", name=re.compile("Start the live demo")).click()
    page.wait_for_url(re.compile("/p/.+-live/today"))
    page.locator("#nav a[href$='-live/twin']").click()
    page.locator("#judge-course-graph .main-svg").first.wait_for(timeout=PATIENCE_MS)
    last = CURVES.format(graph="judge-course-graph") + ".at(-1).x.at(-1)"
    before = page.evaluate(last)
    page.wait_for_timeout(6000)
    page.evaluate("dash_clientside.set_props('judge-tick', {n_intervals: 1})")
    page.wait_for_function(f"{last} > '{before}'", timeout=PATIENCE_MS)
