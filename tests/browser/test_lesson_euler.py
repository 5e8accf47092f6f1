"""`/learn/euler` follows a hand on the slider without asking the server."""

import pytest

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

DRAG = """
value => {
  const slider = document.getElementById("euler-step");
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  set.call(slider, value);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}
"""
DRAWN = "document.querySelector('#euler-graph .js-plotly-plot').data[1].x.length"


def test_dragging_the_step_repaints_without_the_server(tab: Tab) -> None:
    page = tab.open("/learn/euler")
    tab.painted("euler-graph")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(DRAWN) == 480
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(DRAG, "4")
    page.wait_for_function(f"{DRAWN} === 12")
    assert page.locator("#euler-finding-6").inner_text() == "down to -100.00 mg"
    assert page.locator("#euler-finding-7").inner_text() == "344.4 % of the exact peak"
    assert page.locator("#euler-step-text").inner_text() == "4.0 h"
    assert asked == []


def test_the_mode_repaints_the_step_that_is_chosen(tab: Tab) -> None:
    page = tab.open("/learn/euler")
    tab.painted("euler-graph")
    page.evaluate(DRAG, "2")
    page.wait_for_function(f"{DRAWN} === 24")
    before = page.evaluate("document.querySelector('#euler-graph .js-plotly-plot').data[0].line.color")
    page.locator("#mode-button").click()
    page.wait_for_function(f"document.querySelector('#euler-graph .js-plotly-plot').data[0].line.color !== '{before}'")
    assert page.evaluate(DRAWN) == 24
