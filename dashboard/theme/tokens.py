"""Design tokens: the one place where a colour, a size or a typeface is written.

`stylesheet()` turns them into CSS custom properties, so that the style sheet and the figures cannot disagree.
Contrast of every text token on its background is tested against WCAG 2.2 AA.
"""

from dataclasses import dataclass, fields
from typing import Literal

Mode = Literal["light", "dark"]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The colours of one mode; the field names become CSS properties (`--accent-soft`)."""

    bg: str
    card: str
    ink: str
    muted: str
    line: str
    accent: str
    accent_soft: str
    on_accent: str
    amber: str
    amber_soft: str
    red: str
    red_soft: str
    green: str
    what_if: str
    insulin: str
    carbs: str
    very_low: str
    low: str
    target: str
    high: str
    very_high: str


LIGHT = Palette(
    bg="#F5F7FA",
    card="#FFFFFF",
    ink="#18222F",
    muted="#4A5A6C",
    line="#D5DCE4",
    accent="#1C5D99",
    accent_soft="#E3EDF7",
    on_accent="#FFFFFF",
    amber="#7A4B00",
    amber_soft="#FFF1D6",
    red="#A61B22",
    red_soft="#FDE7E7",
    green="#1E6B4E",
    what_if="#8A2D7C",
    insulin="#4C5FB5",
    carbs="#8A5A00",
    very_low="#711311",
    low="#CD3339",
    target="#5ABA97",
    high="#FED90E",
    very_high="#E98527",
)

DARK = Palette(
    bg="#10161D",
    card="#18212B",
    ink="#E8EEF5",
    muted="#A9B8C8",
    line="#2C3947",
    accent="#7FB8EE",
    accent_soft="#1C3147",
    on_accent="#10161D",
    amber="#FFC868",
    amber_soft="#3A2C10",
    red="#FF9A9A",
    red_soft="#431D20",
    green="#7FD6B2",
    what_if="#EFA0E0",
    insulin="#A5B4FF",
    carbs="#F2BE6A",
    very_low="#E0645F",
    low="#F0787D",
    target="#5ABA97",
    high="#FED90E",
    very_high="#E98527",
)

PALETTES: dict[Mode, Palette] = {"light": LIGHT, "dark": DARK}

FONT_FAMILY = "'Inter Variable', system-ui, sans-serif"
TEXT_SIZES_PX = {"xs": 12.8, "sm": 14, "md": 16, "lg": 20, "xl": 25, "xxl": 31, "hero": 56}


def mode_named(name: str | None) -> Mode:
    """The mode of a cookie or a store; anything else is light."""
    return "dark" if name == "dark" else "light"


def palette(mode: str | None) -> Palette:
    """The colours of a mode."""
    return PALETTES[mode_named(mode)]


def stylesheet() -> str:
    """Every token as a CSS custom property, for both modes."""
    sizes = "".join(f"--text-{name}:{size}px;" for name, size in TEXT_SIZES_PX.items())
    blocks = [f':root,[data-bs-theme="light"]{{--font:{FONT_FAMILY};{sizes}{_properties(LIGHT)}}}']
    blocks.append(f'[data-bs-theme="dark"]{{{_properties(DARK)}}}')
    return "".join(blocks)


def _properties(colours: Palette) -> str:
    return "".join(f"--{field.name.replace('_', '-')}:{getattr(colours, field.name)};" for field in fields(colours))
