"""The card "Drug levels" of `/today`."""

import pytest

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser


def test_the_demo_shows_a_virtual_drug_beside_glucose(tab: Tab) -> None:
    page = tab.open("/today")
    tab.painted("drug-graph-caffeine")
    words = page.locator("#drug-levels").inner_text()
    assert "virtual: nobody took it" in words
    assert "90 % of people" in words
    assert "no level was measured" in words


def test_a_dose_without_a_number_is_refused_in_words(tab: Tab) -> None:
    page = tab.open("/today")
    tab.painted("today-graph")
    page.get_by_text("Note a drug taken now").click()
    page.locator("#drug-take").click()
    page.locator("#drug-message", has_text="nothing was noted").wait_for()


def test_a_noted_dose_appears_on_the_card(tab: Tab) -> None:
    page = tab.open("/")
    page.get_by_role("link", name="Person 2313, injections").click()
    tab.painted("today-graph")
    page.get_by_text("Note a drug taken now").click()
    page.locator("#drug-name").select_option("metformin")
    page.locator("#drug-amount").fill("500")
    page.locator("#drug-take").click()
    page.locator("#drug-message", has_text="Noted: 500 mg of metformin.").wait_for()
    tab.painted("drug-graph-metformin")
