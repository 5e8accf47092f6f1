"""The page for dosing by levels: levels in, a person's own band out, bad rows beside the row, doses dragged."""

import re
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
_TOP_OF_THE_BAND = (
    "name => Math.max(...document.querySelector('#dosing-graph .js-plotly-plot').data.find(t => t.name === name).y)"
)


def top(page: Page, name: str) -> float:
    return float(page.evaluate(_TOP_OF_THE_BAND, name))


def names(page: Page) -> set[str]:
    return set(page.evaluate("document.querySelector('#dosing-graph .js-plotly-plot').data.map(t => t.name)"))


def slider(page: Page, label: str) -> str:
    """A selector of the native range input inside the label that begins with these words."""
    found = page.locator("#dosing-controls label.field", has=page.locator(f"span > span:text-is('{label}')"))
    handle = found.first.locator("input[type=range]")
    handle.evaluate("(input, name) => input.setAttribute('data-test', name)", label)
    return f"input[data-test='{label}']"


MOVE = """([selector, value]) => {
    const input = document.querySelector(selector);
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, value);
    input.dispatchEvent(new Event('input', {bubbles: true}));
    input.dispatchEvent(new Event('change', {bubbles: true}));
}"""

SAID = "([row, words]) => document.querySelectorAll('.level-row .level-note')[row].textContent.includes(words)"


def type_level(page: Page, row: int, time: str, level: str) -> None:
    inputs = page.locator(".level-row").nth(row).locator("input")
    inputs.nth(0).fill(time)
    inputs.nth(1).fill(level)
    inputs.nth(1).press("Tab")


def wait_for_trace(page: Page, name: str) -> None:
    page.wait_for_function(
        "name => document.querySelector('#dosing-graph .js-plotly-plot').data.some(t => t.name === name)", arg=name
    )


def opened(tab: Tab) -> Page:
    page = tab.open("/dosing")
    tab.painted("dosing-graph")
    return page


def test_a_level_turns_variability_between_people_into_uncertainty_about_this_person(tab: Tab) -> None:
    page = opened(tab)
    assert "variability between people" in page.inner_text(".dosing-legend")
    type_level(page, 0, "11.5", "18")
    wait_for_trace(page, "this person 50 %")
    assert "uncertainty about this person" in page.inner_text(".dosing-legend")
    page.get_by_text("based on levels").wait_for()
    page.get_by_text("30 min later").first.wait_for()


def test_a_bad_row_says_why_beside_itself_and_the_others_still_count(tab: Tab) -> None:
    page = opened(tab)
    for _ in range(3):
        count = page.locator(".level-row").count()
        page.get_by_role("button", name="Add a level").click()
        page.wait_for_function("count => document.querySelectorAll('.level-row').length > count", arg=count)
    type_level(page, 0, "11.5", "18")
    type_level(page, 1, "-2", "9")
    type_level(page, 2, "20", "-4")
    type_level(page, 3, "30", "15000")
    for row, words in ((1, "before the first dose"), (2, "negative"), (3, "another unit")):
        page.wait_for_function(SAID, arg=[row, words])
    assert page.locator(".level-row .level-note").nth(0).inner_text() == ""
    wait_for_trace(page, "this person 50 %")
    page.get_by_role("button", name="Remove level 2").click()
    page.wait_for_function("document.querySelectorAll('.level-row').length === 3")
    page.wait_for_function("document.querySelectorAll('.level-row .level-note')[1].textContent.includes('negative')")


def test_the_next_question_waits_for_the_answer_to_the_last(tab: Tab) -> None:
    page = opened(tab)
    questions: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if "dosing-graph" in (route.request.post_data or ""):
            questions.append(route)
        if [route] != questions:
            route.continue_()

    page.route(re.compile("_dash-update"), hold_the_first)
    with page.expect_request(lambda request: "dosing-graph" in (request.post_data or "")):
        type_level(page, 0, "11.5", "-1")
    type_level(page, 0, "11.5", "18")
    page.wait_for_timeout(500)
    assert len(questions) == 1
    questions[0].continue_()
    wait_for_trace(page, "this person 50 %")
    page.wait_for_function("document.querySelector('.level-row .level-note').textContent === ''")


def test_try_puts_a_ranked_regimen_on_the_sliders(tab: Tab) -> None:
    page = opened(tab)
    row = page.locator("table.figures tr", has=page.get_by_role("button", name="Try")).nth(1)
    amount = re.match(r"([\d,]+) mg every (\d+) h", row.locator("th").inner_text())
    assert amount is not None
    row.get_by_role("button", name="Try").click()
    selector = slider(page, "Next dose")
    wanted = amount.group(1).replace(",", "")
    page.wait_for_function("([s, v]) => document.querySelector(s).value === v", arg=[selector, wanted])


def test_a_dragged_dose_repaints_its_band_before_the_server_answers_and_the_server_agrees(tab: Tab) -> None:
    page = opened(tab)
    page.wait_for_timeout(500)
    selector = slider(page, "Next dose")
    before = top(page, "next 95 %")
    tab.context.set_offline(True)
    page.evaluate(MOVE, [selector, "1300"])
    page.wait_for_function(f"v => ({_TOP_OF_THE_BAND})('next 95 %') > v", arg=before)
    preview = top(page, "next 95 %")
    tab.context.set_offline(False)
    tab.errors.clear()
    with page.expect_response(lambda response: "dosing-graph" in (response.request.post_data or "")):
        page.evaluate(MOVE, [selector, "1350"])
        page.evaluate(MOVE, [selector, "1300"])
    page.wait_for_timeout(1000)
    assert top(page, "next 95 %") == pytest.approx(preview, rel=0.02)


def further_dose(page: Page, row: int, *cells: str) -> None:
    page.get_by_role("button", name="Add a dose").click()
    line = page.locator(".level-row-4").nth(row)
    line.wait_for()
    for place, text in enumerate(cells):
        line.locator("input").nth(place).fill(text)
    line.locator("input").nth(len(cells) - 1).press("Tab")


def test_a_loading_dose_and_a_change_in_mid_course_are_drawn_and_a_bad_row_says_why(tab: Tab) -> None:
    page = opened(tab)
    doses = "document.querySelector('#dosing-graph .js-plotly-plot').data.find(t => t.name === 'dose').x"
    further_dose(page, 0, "0", "1500")
    page.wait_for_function(f"{doses}.filter(x => x === 0).length === 2")
    further_dose(page, 1, "48", "500", "8", "6")
    page.wait_for_function(f"{doses}.includes(56) && !{doses}.includes(60)")
    further_dose(page, 2, "-3", "500")
    page.wait_for_function(SAID, arg=[2, "before the first dose"])
    page.get_by_role("heading", name="The regimen from the next dose on").wait_for()


def test_a_covariate_outside_every_study_is_refused_beside_itself_and_badged(tab: Tab) -> None:
    page = opened(tab)
    weight = page.get_by_label("Body weight")
    weight.fill("900")
    weight.press("Tab")
    page.get_by_text("900 kg is refused").first.wait_for()
    page.get_by_text("extrapolation: a covariate outside the study").wait_for()
    weight.fill("80")
    weight.press("Tab")
    page.get_by_text("extrapolation: a covariate outside the study").wait_for(state="detached")


def test_the_clock_runs_to_the_next_dose_and_doses_and_levels_to_come_are_flagged(tab: Tab) -> None:
    page = opened(tab)
    ago = page.evaluate(
        "() => { const d = new Date(Date.now() - 30 * 3600000); const two = n => String(n).padStart(2, '0');"
        "return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} "
        "${two(d.getHours())}:${two(d.getMinutes())}`; }"
    )
    page.locator("#dosing-first").fill(ago)
    page.locator("#dosing-first").press("Tab")
    page.get_by_text(re.compile("Next dose of this plan in 5 h 5")).wait_for()
    page.get_by_text("7 of 10 doses are in the future").first.wait_for()
    shown = page.inner_text("#dosing-clock")
    page.wait_for_function("was => document.getElementById('dosing-clock').textContent !== was", arg=shown)
    type_level(page, 0, "40", "15")
    page.wait_for_function(SAID, arg=[0, "in the future"])


def test_two_models_are_averaged_with_their_weights_in_sight(tab: Tab) -> None:
    page = opened(tab)
    page.get_by_text("all models weigh the same").wait_for()
    type_level(page, 0, "11.5", "18")
    page.get_by_text("The levels decide the weights").wait_for()
    page.get_by_label("Average with").uncheck()
    page.get_by_text("Models averaged").first.wait_for(state="detached")


@pytest.mark.parametrize("width", [1280, 320])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_with_levels_and_everything_open(
    browser: Browser, server: str, mode: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=mode)  # type: ignore[arg-type]
    tab = Tab(context, server)
    page = opened(tab)
    type_level(page, 0, "11.5", "18")
    page.get_by_role("button", name="Add a level").click()
    page.locator(".level-row").nth(1).wait_for()
    type_level(page, 1, "-1", "18")
    wait_for_trace(page, "this person 50 %")
    page.get_by_text("based on levels").wait_for()
    page.evaluate("document.querySelectorAll('main details').forEach(each => each.open = true)")
    page.evaluate(AXE)
    found = page.evaluate("axe.run().then(result => result.violations)")
    widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    context.close()
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []
    assert widths[0] <= widths[1]


@pytest.mark.parametrize(("button", "start"), [("PDF, one page", b"%PDF"), ("CSV", b"what,time_h")])
def test_the_report_downloads(tab: Tab, button: str, start: bytes) -> None:
    page = opened(tab)
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    assert waiting.value.path().read_bytes().startswith(start)


def test_every_drug_can_be_chosen_while_a_slider_of_the_one_before_still_moves(tab: Tab) -> None:
    page = opened(tab)
    for name in page.locator("#dosing-drug option").evaluate_all(
        "options => options.filter(o => !o.disabled && !o.selected).map(o => o.value)"
    ):
        title = page.locator(f"#dosing-drug option[value='{name}']").inner_text()
        page.locator("#dosing-controls input[type=range]").first.press("ArrowRight")
        page.select_option("#dosing-drug", name)
        graph = page.locator(f"[aria-label='Concentration of {title}'] .main-svg").first
        graph.wait_for()
        page.locator("#dosing-controls input[type=range]").nth(1).press("ArrowRight")
        page.wait_for_timeout(700)
        assert graph.is_visible()
        assert page.locator(".dosing-message .notice-red").count() == 0
