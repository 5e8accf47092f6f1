"""What a person at the screen waits for: the first graph, its bytes, and a slider's curve."""

import re
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.serving import SWITCHES, browser_path, serving

PRESSES = 50
LOADS = 5
PLANS = 20
MOVED = ("carbs_g", "bolus_u", "basal_percent", "exercise_min")
QUIET_MS = 140.0
"""How long the browser waits after the last press before it asks for the exact model (assets/what_if.js)."""
_DRAWN = "document.querySelector('#{graph} .js-plotly-plot .scatterlayer .trace') !== null"
_WATCH = """
() => {
    const graph = document.querySelector('.js-plotly-plot');
    window.latencies = [];
    let pressed = null;
    document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
    graph.on('plotly_afterplot', () => {
        const began = pressed;
        pressed = null;
        if (began === null) return;
        requestAnimationFrame(() => setTimeout(() => window.latencies.push(performance.now() - began)));
    });
}
"""


_WATCH_ANSWERS = """
() => {
    const words = document.getElementById('plan-gap');
    window.answers = [];
    let pressed = null;
    document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
    new MutationObserver(() => {
        if (pressed === null || !/at most/.test(words.textContent)) return;
        window.answers.push([performance.now() - pressed, words.textContent]);
        pressed = null;
    }).observe(words, { childList: true, characterData: true, subtree: true });
}
"""


def main() -> None:
    """Print the first-graph time and bytes, and the latency from key press to painted curve."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=SWITCHES)
        loads = [_first_graph(browser, served.url) for _ in range(LOADS)]
        seconds = [load[0] for load in loads]
        print(f"/today, {LOADS} loads with an empty browser cache: first graph after {min(seconds):.2f} to "
              f"{max(seconds):.2f} s, {loads[0][1]:.0f} KB over the wire, {loads[0][2]} requests, "
              f"{loads[0][3]} off the origin")  # fmt: skip
        latencies = sorted(_slider(browser, served.url))
        p95 = latencies[max(0, round(0.95 * len(latencies)) - 1)]
        print(f"/what-if, {len(latencies)} key presses to painted curve: median {statistics.median(latencies):.0f} ms, "
              f"p95 {p95:.0f} ms, longest {latencies[-1]:.0f} ms")  # fmt: skip
        for label in ("Next dose", "Dose"):
            waits = sorted(_dosing_slider(browser, served.url, label))
            p95 = waits[max(0, round(0.95 * len(waits)) - 1)]
            print(f"/dosing, slider {label}, {len(waits)} key presses to painted band: median "
                  f"{statistics.median(waits):.0f} ms, p95 {p95:.0f} ms, longest {waits[-1]:.0f} ms")  # fmt: skip
        print(f"/dosing, PDF from click to file: {_pdf_seconds(browser, served.url):.2f} s")
        settled, gaps = _settled(browser, served.url)
        print(f"/what-if, {len(settled)} plans: exact model and tables {statistics.median(settled):.0f} ms after the "
              f"{QUIET_MS:.0f} ms of quiet, longest {max(settled):.0f}; preview at most {max(gaps):.0f} mg/dL "
              "away")  # fmt: skip
        browser.close()
        megabytes = psutil.Process(served.pid).memory_info().rss / 1e6
        print(f"web process after that, its models compiled: {megabytes:.0f} MB resident")


def _settled(browser: Browser, url: str) -> tuple[list[float], list[float]]:
    """How long after the quiet the exact answer is there [ms], and the gap that it says [mg/dL]."""
    page = browser.new_page()
    page.goto(f"{url}/what-if")
    page.wait_for_function(_DRAWN.format(graph="what-if-graph"))
    page.evaluate(_WATCH_ANSWERS)
    for number in range(PLANS):
        page.locator(f"#plan-{MOVED[number % len(MOVED)]}").focus()
        for _ in range(3):
            page.keyboard.press("ArrowLeft" if number // len(MOVED) % 2 else "ArrowRight")
        page.wait_for_function("count => window.answers.length >= count", arg=number + 1)
    answers = page.evaluate("window.answers")
    page.close()
    gaps = [float(re.findall(r"at most ([0-9.]+)", words)[0]) for _, words in answers]
    return [float(waited) - QUIET_MS for waited, _ in answers], gaps


def _first_graph(browser: Browser, url: str) -> tuple[float, float, int, int]:
    context = browser.new_context()
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    received: list[float] = []
    requested: list[str] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.on("request", lambda request: requested.append(request.url))
    began = time.monotonic()
    page.goto(f"{url}/today", wait_until="commit")
    page.wait_for_function(_DRAWN.format(graph="today-graph"), polling=10)
    seconds = time.monotonic() - began
    page.wait_for_load_state("networkidle")
    context.close()
    strangers = [address for address in requested if not address.startswith((url, "data:", "blob:"))]
    return seconds, sum(received) / 1000.0, len(requested), len(strangers)


def _slider(browser: Browser, url: str) -> list[float]:
    page = browser.new_page()
    page.goto(f"{url}/what-if")
    page.wait_for_function(_DRAWN.format(graph="what-if-graph"))
    page.locator("#plan-carbs_g").focus()
    latencies = _pressed(page)
    page.close()
    return latencies


def _dosing_slider(browser: Browser, url: str, label: str) -> list[float]:
    page = _dosing_page(browser, url)
    words = page.locator(f"span > span:text-is('{label}')")
    page.locator("#dosing-controls label.field", has=words).first.locator("input[type=range]").focus()
    latencies = _pressed(page)
    page.close()
    return latencies


def _pdf_seconds(browser: Browser, url: str) -> float:
    page = _dosing_page(browser, url)
    began = time.monotonic()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="PDF, one page").click()
    waiting.value.path()
    seconds = time.monotonic() - began
    page.close()
    return seconds


def _dosing_page(browser: Browser, url: str) -> Page:
    page = browser.new_page()
    page.goto(f"{url}/dosing")
    page.wait_for_function(_DRAWN.format(graph="dosing-graph"))
    page.wait_for_timeout(1000)
    return page


def _pressed(page: Page) -> list[float]:
    """From each of the key presses on the focused slider to the painted curve [ms]."""
    page.evaluate(_WATCH)
    for press in range(PRESSES):
        page.keyboard.press("ArrowRight" if press < PRESSES // 2 else "ArrowLeft")
        page.wait_for_function("count => window.latencies.length >= count", arg=press + 1)
        page.wait_for_timeout(120 if press % 5 else 400)
    latencies: list[float] = page.evaluate("window.latencies")
    return latencies[:PRESSES]
