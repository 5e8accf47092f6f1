"""The live demo moves by itself; the sliders move the curve; a fit runs, can be cancelled, and keeps the twin."""

import re
import time

import pytest

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

CURVE = "Array.from(document.querySelector('#{graph} .js-plotly-plot').data[{trace}].y)"


def test_one_click_starts_a_demo_that_moves_without_reload(tab: Tab) -> None:
    page = tab.open("/")
    clicked = time.monotonic()
    page.get_by_role("button", name=re.compile("Start the live demo")).click()
    page.wait_for_url(re.compile("/p/.+-live/today"))
    tab.painted("today-graph")
    assert time.monotonic() - clicked < 5.0
    page.evaluate("window.notReloaded = true")
    measured = CURVE.format(graph="today-graph", trace=5)
    median = CURVE.format(graph="today-graph", trace=4)
    times = measured.replace(".y", ".x")
    first = page.evaluate(f"[{times}.at(-1), JSON.stringify({median})]")
    page.wait_for_function(f"{times}.at(-1) > '{first[0]}'", timeout=30000)
    page.wait_for_function(f"JSON.stringify({median}) !== {first[1]!r}", timeout=30000)
    assert page.evaluate("window.notReloaded") is True
    page.locator("label", has_text="Pause").click()


def test_the_number_the_curve_and_the_unit_agree(tab: Tab) -> None:
    page = tab.open("/today")
    tab.painted("today-graph")
    measured = CURVE.format(graph="today-graph", trace=5)
    assert float(page.inner_text(".hero")) == page.evaluate(f"{measured}.at(-1)")
    page.locator("label", has_text="mmol/L").click()
    page.wait_for_function("document.querySelector('.hero-unit').textContent === 'mmol/L'")
    assert float(page.inner_text(".hero")) == pytest.approx(page.evaluate(f"{measured}.at(-1)"), abs=0.051)
    page.locator("label", has_text="mg/dL").click()
    page.wait_for_function("document.querySelector('.hero-unit').textContent === 'mg/dL'")


def test_a_dragged_slider_moves_the_preview_and_settles_with_its_gap(tab: Tab) -> None:
    page = tab.open("/what-if")
    tab.painted("what-if-graph")
    preview = CURVE.format(graph="what-if-graph", trace=7)
    exact = CURVE.format(graph="what-if-graph", trace=6)
    before = page.evaluate(exact)
    page.locator("#plan-carbs_g").focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{preview}.some(v => v !== null)")
    page.wait_for_function("/at most [0-9.]+ mg/.test(document.getElementById('plan-gap').textContent)")
    after = page.evaluate(exact)
    assert max(b - a for a, b in zip(before, after, strict=True)) > 5.0
    gap = float(re.findall(r"at most ([0-9.]+)", page.inner_text("#plan-gap"))[0])
    assert gap < 15.0


def test_a_bolus_lowers_the_curve(tab: Tab) -> None:
    page = tab.open("/what-if")
    tab.painted("what-if-graph")
    exact = CURVE.format(graph="what-if-graph", trace=6)
    before = page.evaluate(exact)
    page.locator("#plan-bolus_u").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("/at most/.test(document.getElementById('plan-gap').textContent)")
    assert page.evaluate(exact)[-1] < before[-1]


def test_what_if_moves_with_a_live_playback_and_its_gap_holds_no_elapsed_time(tab: Tab) -> None:
    page = tab.open("/")
    page.get_by_role("button", name=re.compile("Start the live demo")).click()
    page.wait_for_url(re.compile("/p/.+-live/today"))
    page.goto(page.url.replace("/today", "/what-if"))
    tab.painted("what-if-graph")
    first = page.inner_text("#what-if-subtitle")
    assert "(live): played back, the hours after" in first
    page.wait_for_function(
        "before => document.getElementById('what-if-subtitle').textContent !== before", arg=first, timeout=30000
    )
    page.locator("#plan-bolus_u").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("/at most [0-9.]+ mg/.test(document.getElementById('plan-gap').textContent)")
    assert float(re.findall(r"at most ([0-9.]+)", page.inner_text("#plan-gap"))[0]) < 5.0
    page.goto(page.url.replace("/what-if", "/today"))
    page.locator("label", has_text="Pause").click()


def test_a_fit_shows_its_progress_and_ends_with_a_twin(tab: Tab) -> None:
    page = tab.open("/today")
    page.get_by_role("button", name="Fit to the last 3 days").click()
    page.wait_for_function("document.getElementById('twin-message').textContent.length > 0", timeout=60000)
    assert "fitted" in page.inner_text("#twin-summary").lower()


def test_a_cancelled_fit_leaves_the_twin_in_place_and_says_so(tab: Tab) -> None:
    page = tab.open("/")
    page.get_by_role("link", name=re.compile("injections$")).click()
    page.locator("#twin-start").wait_for()
    before = page.inner_text("#twin-summary")
    page.get_by_role("button", name="Fit to the last 3 days").click()
    page.wait_for_function("!document.getElementById('twin-cancel').disabled")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_function("/cancelled/.test(document.getElementById('twin-message').textContent)", timeout=20000)
    assert page.inner_text("#twin-summary") == before


def test_every_word_of_the_what_if_page_follows_the_unit(tab: Tab) -> None:
    page = tab.open("/what-if")
    tab.painted("what-if-graph")
    assert "Time in 70-180 mg/dL" in page.inner_text("#what-if-outcomes")
    page.locator("label", has_text="mmol/L").click()
    page.wait_for_function("/3.9-10.0 mmol/.test(document.getElementById('what-if-outcomes').textContent)")
    assert "mg/dL" not in page.inner_text("main")
    page.locator("label", has_text="mg/dL").click()
    page.wait_for_function("/70-180 mg/.test(document.getElementById('what-if-outcomes').textContent)")


def test_what_if_says_who_when_and_that_it_is_no_medical_device(tab: Tab) -> None:
    page = tab.open("/what-if")
    tab.painted("what-if-graph")
    assert re.search(r"the hours after its last reading, \w+day \d\d \w+ \d{4}, \d\d:\d\d", page.inner_text("main"))
    assert "not a medical device" in page.inner_text("main")


def test_the_twin_alone_is_shown_eight_hours_ahead(tab: Tab) -> None:
    page = tab.open("/what-if")
    tab.painted("what-if-graph")
    page.locator("label", has_text="8 h: twin alone").click()
    page.wait_for_function("/next 8 h/i.test(document.getElementById('what-if-outcomes').textContent)")
    assert page.evaluate(CURVE.format(graph="what-if-graph", trace=6) + ".length") == 96
    assert "The twin alone" in page.inner_text("#what-if-outcomes")
