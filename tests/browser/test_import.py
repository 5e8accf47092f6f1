"""A file dropped on the start page: every row accounted for, the defects named, the good rows kept."""

import re
from pathlib import Path

import pytest

from tests.browser.conftest import Tab

pytestmark = pytest.mark.browser

DEFECTS = Path(__file__).resolve().parents[2] / "sample_data" / "defects"


def send(tab: Tab, *files: Path) -> str:
    page = tab.open("/")
    page.locator("input[type=file]").set_input_files(list(files))
    page.locator("#import-result .notice").wait_for()
    return page.inner_text("#import-result")


def test_a_real_file_with_defects_is_imported_with_its_report(tab: Tab) -> None:
    said = send(tab, DEFECTS / "glucose" / "glucose_2301.csv")
    found = re.search(r"([\d,]+) rows read: ([\d,]+) accepted, ([\d,]+) rejected", said)
    assert found is not None
    read, accepted, rejected = (int(number.replace(",", "")) for number in found.groups())
    assert read == accepted + rejected
    assert accepted > 0
    assert rejected > 0
    page = tab.page
    page.locator("details", has_text="Show the rejected rows").first.locator("summary").click()
    assert page.locator("#import-result table tbody tr").count() >= rejected
    with page.expect_download() as waiting:
        page.locator("#import-download").click()
    lines = Path(waiting.value.path()).read_text().strip().splitlines()
    assert lines[0] == "file,row,reason,got"
    assert len(lines) - 1 == rejected
    page.get_by_role("link", name=re.compile("Open Imported from")).click()
    tab.painted("today-graph")


def test_a_file_of_no_known_kind_is_refused_with_a_sentence(tab: Tab, tmp_path: Path) -> None:
    stranger = tmp_path / "holiday.csv"
    stranger.write_text("place,days\nLeeds,3\n")
    assert "Nothing was imported" in send(tab, stranger)


def test_an_unknown_time_zone_is_refused_with_an_example(tab: Tab) -> None:
    page = tab.open("/")
    page.locator("#import-zone").fill("Mars/Olympus")
    page.locator("#import-zone").press("Tab")
    page.locator("input[type=file]").set_input_files([DEFECTS / "glucose" / "glucose_2301.csv"])
    page.locator("#import-result .notice").wait_for()
    assert "Europe/London" in page.inner_text("#import-result")


def test_a_file_over_the_limit_is_named_with_the_limit_and_the_next_good_one_takes_the_words_away(
    tab: Tab, tmp_path: Path
) -> None:
    large = tmp_path / "glucose_all.csv"
    large.write_bytes(b"0" * (20 * 1024 * 1024 + 1))
    page = tab.open("/")
    page.locator("input[type=file]").set_input_files(large)
    words = page.locator("#import-too-large")
    words.wait_for()
    assert "glucose_all.csv: more than 20 MB" in words.inner_text()
    page.locator("input[type=file]").set_input_files(DEFECTS / "glucose" / "glucose_2301.csv")
    page.locator("#import-result .notice").wait_for()
    assert words.is_hidden()
