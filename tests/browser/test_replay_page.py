"""Scrubbing moves the frozen forecast in the browser; another day and a retelling come from the server."""

import re

import pytest

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

MEDIAN = "document.querySelector('#replay-graph .js-plotly-plot').data[6]"


def test_scrubbing_moves_the_forecast_along_the_day_without_the_server(tab: Tab) -> None:
    page = tab.open("/replay")
    tab.painted("replay-graph")
    first = page.evaluate(f"{MEDIAN}.x[0]")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#replay-origin").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{MEDIAN}.x[0] > '{first}'")
    assert asked == []
    clock = page.inner_text("#replay-origin-text")
    rule = page.evaluate("document.querySelector('#replay-graph .js-plotly-plot').layout.shapes[1].x0")
    assert rule[11:16] == clock


def test_another_day_brings_its_own_readings_and_scores(tab: Tab) -> None:
    page = tab.open("/replay")
    tab.painted("replay-graph")
    before = page.evaluate("document.querySelector('#replay-graph .js-plotly-plot').data[1].x[0]")
    page.select_option("#replay-day", index=4)
    page.wait_for_function(f"document.querySelector('#replay-graph .js-plotly-plot').data[1].x[0] !== '{before}'")
    assert re.search(r"60 min\s+\d+", page.inner_text("#replay-scores"))


def test_a_day_is_told_again_with_less_insulin_and_its_interval(tab: Tab) -> None:
    page = tab.open("/replay")
    tab.painted("replay-graph")
    page.locator("#retell-bolus_percent").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.getElementById('retell-bolus_percent-text').textContent === '50 %'")
    page.get_by_role("button", name="Tell the day again").click()
    tab.painted("retell-graph")
    mean = re.search(r"Mean glucose\s+(\d+) mg/dL\s+(\d+) mg/dL\s+(\d+) to (\d+)", page.inner_text("#retell-result"))
    assert mean is not None
    measured, told, low, high = map(int, mean.groups())
    assert measured < told
    assert low <= told <= high


def test_the_days_error_grid_can_be_changed(tab: Tab) -> None:
    page = tab.open("/replay")
    tab.painted("replay-grid-graph")
    page.get_by_text("Parkes, type 1", exact=True).click()
    page.wait_for_function("document.querySelector('#replay-grid').innerText.includes('Parkes, type 1 error grid')")
    assert "A: no harm" in page.inner_text("#replay-grid")
