"""A computation in the background: its buttons, its progress, its message, and how its callback is registered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dash import Input, Output, ctx, html

from dashboard.components.basics import aria, notice

POLL_MS = 150
"""How often the browser asks after a background callback; dash's default of 1,000 adds a second to each."""


def job_controls(name: str, text: str, progress_label: str, *, is_primary: bool = False) -> list[Any]:
    """Start, cancel, progress and message of the job `name`; `text` stands on its button."""
    start = html.Button(text, id=f"{name}-start", className="button button-primary" if is_primary else "button")
    progress = [
        html.Progress(id=f"{name}-progress", value="0", max="100", **aria(label=progress_label)),
        html.P("", id=f"{name}-progress-text", className="muted tiny"),
    ]
    return [
        html.Div(
            [start, html.Button("Cancel", id=f"{name}-cancel", className="button", disabled=True)],
            className="row-start",
        ),
        html.Div(progress, id=f"{name}-running", hidden=True, className="stack-tight"),
        html.Div(id=f"{name}-message", **aria(live="polite")),
    ]


def job_options(name: str) -> dict[str, Any]:
    """What `app.callback` needs to run the job `name` in the background, beside its outputs and inputs."""
    return {
        "background": True,
        "interval": POLL_MS,
        "running": [
            (Output(f"{name}-start", "disabled"), True, False),
            (Output(f"{name}-cancel", "disabled"), False, True),
            (Output(f"{name}-running", "hidden"), False, True),
        ],
        "progress": [Output(f"{name}-progress", "value"), Output(f"{name}-progress-text", "children")],
        "progress_default": ["0", ""],
        "cancel": [Input(f"{name}-cancel", "n_clicks")],
        "prevent_initial_call": True,
    }


def progress_to(set_progress: Callable[[Sequence[str]], object]) -> Callable[[float, str], None]:
    """What a service calls with the share done and a sentence."""

    def report(fraction: float, sentence: str) -> None:
        set_progress([str(round(100 * fraction)), sentence])

    return report


def job_message(name: str, result: Mapping[str, Any] | None, cancelled: str) -> Any:
    """How the job `name` ended, in a callback of its result and its cancel button; `cancelled` if it was that."""
    if ctx.triggered_id == f"{name}-cancel":
        return notice(cancelled, "amber")
    return notice(result["sentence"], "quiet" if result["good"] else "amber") if result else ""
