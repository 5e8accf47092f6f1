"""How far forecasts can be trusted: grids change, learning runs in the background, versions can be undone."""

import re

import pytest

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser


def test_another_error_grid_has_other_lines_and_its_own_shares(tab: Tab) -> None:
    page = tab.open("/model")
    tab.painted("model-grid-graph")
    assert "Clarke error grid, 60 min ahead" in page.inner_text("#model-grid")
    page.get_by_text("DTS", exact=True).click()
    page.wait_for_function("document.querySelector('#model-grid').innerText.includes('DTS error grid')")
    tab.painted("model-grid-graph")
    shares = [float(share) for share in re.findall(r"([\d.]+) %", page.inner_text("#model-grid table"))]
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(100.0, abs=0.3)


def test_the_unit_changes_errors_and_not_shares(tab: Tab) -> None:
    page = tab.open("/model")
    tab.painted("model-errors")
    in_mg = page.inner_text("#model-watch")
    page.get_by_text("mmol/L", exact=True).click()
    page.wait_for_function("document.querySelector('#model-watch').innerText.includes('(mmol/L)')")
    in_mmol = page.inner_text("#model-watch")
    page.get_by_text("mg/dL", exact=True).click()
    page.wait_for_function("document.querySelector('#model-watch').innerText.includes('(mg/dL)')")
    assert "Glucose below 70" in in_mg
    assert "Glucose below 3.9" in in_mmol
    assert re.findall(r"(\d+)\s%", in_mg) == re.findall(r"(\d+)\s%", in_mmol)


def test_learning_from_a_person_ends_with_a_sentence_and_leaves_a_list_of_versions(tab: Tab) -> None:
    page = tab.open("/model")
    tab.painted("model-errors")
    page.get_by_role("button", name="Learn from the last weeks").click()
    page.wait_for_function("document.querySelector('#learn-message').innerText.includes('missed by')", timeout=60_000)
    assert "the population's" in page.inner_text("#learn-message")
    assert "Version 0" in page.inner_text("#learn-versions")
