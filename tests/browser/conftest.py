"""A real server in its own process with an empty data folder, and a real headless Chromium."""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.serving import SWITCHES, browser_path, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("biotwin")
    with serving(folder) as served:
        yield served.url
    log = (folder / "log").read_text()
    assert "Traceback" not in log, log


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = browser_path()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs a browser: install chromium or set BIOTWIN_BROWSER")
        pytest.skip("no Chrome or Chromium here: install chromium or set BIOTWIN_BROWSER")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield chromium
        chromium.close()


class Tab:
    """A page that notes every request off the origin and every error in its console."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.context = context
        self.origin = origin
        self.page: Page = context.new_page()
        self.strangers: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", "blob:", "about:")):
            self.strangers.append(url)

    def open(self, path: str) -> Page:
        self.page.goto(self.origin + path)
        self.page.locator("main h1").first.wait_for()
        return self.page

    def painted(self, graph: str) -> None:
        self.page.wait_for_function(f"document.querySelector('#{graph} .js-plotly-plot .main-svg') !== null")


@pytest.fixture
def tab(browser: Browser, server: str) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened = Tab(context, server)
    yield opened
    context.close()
    assert opened.strangers == []
    assert [error for error in opened.errors if not re.search("favicon", error)] == []
