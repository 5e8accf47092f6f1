"""Contrast by WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text, 3 to 1 for marks (1.4.11)."""

from dataclasses import fields

import pytest

from dashboard.theme.plots import GRAPH_CONFIG, translucent
from dashboard.theme.tokens import PALETTES, Mode, mode_named, palette, stylesheet

MODES: tuple[Mode, ...] = ("light", "dark")


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        ("ink", "bg"),
        ("ink", "card"),
        ("ink", "accent_soft"),
        ("muted", "bg"),
        ("muted", "card"),
        ("accent", "card"),
        ("accent", "accent_soft"),
        ("on_accent", "accent"),
        ("amber", "amber_soft"),
        ("red", "red_soft"),
        ("insulin", "card"),
        ("carbs", "card"),
    ],
)
def test_text_stands_out_from_its_ground(mode: Mode, text: str, ground: str) -> None:
    colours = PALETTES[mode]
    assert contrast(getattr(colours, text), getattr(colours, ground)) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_the_curve_with_the_plan_stands_out_from_the_card(mode: Mode) -> None:
    assert contrast(PALETTES[mode].what_if, PALETTES[mode].card) >= 3.0


def test_the_style_sheet_carries_every_token_of_both_modes() -> None:
    sheet = stylesheet()
    for colours in PALETTES.values():
        for field in fields(colours):
            assert f"--{field.name.replace('_', '-')}:{getattr(colours, field.name)};" in sheet


def test_an_unknown_mode_is_light() -> None:
    assert mode_named("sepia") == mode_named(None) == "light"
    assert palette("dark") is PALETTES["dark"]


def test_no_graph_may_upload_itself() -> None:
    assert GRAPH_CONFIG["showSendToCloud"] is False
    assert GRAPH_CONFIG["displaylogo"] is False


def test_a_translucent_colour_keeps_its_channels() -> None:
    assert translucent("#1C5D99", 0.5) == "rgba(28,93,153,0.5)"
