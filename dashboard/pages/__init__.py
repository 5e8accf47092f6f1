"""One file a page; `PAGES` lists them in the order of the navigation."""

from dashboard.pages import dosing, lesson_euler, model, replay, start, today, twin, what_if
from dashboard.shell import Page

PAGES: tuple[Page, ...] = (
    start.PAGE,
    today.PAGE,
    what_if.PAGE,
    replay.PAGE,
    twin.PAGE,
    model.PAGE,
    dosing.PAGE,
    lesson_euler.PAGE,
)
