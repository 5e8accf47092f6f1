"""How the line of each saved scenario looks, in figures and beside words: colour and dashes, never colour alone."""

from typing import Any, NamedTuple

from dashboard.theme.tokens import Palette


class ScenarioLine(NamedTuple):
    """A field of the palette, and the lengths of dashes and gaps in turn [px]."""

    field: str
    dashes: tuple[int, ...]

    def colour(self, colours: Palette) -> str:
        """The colour in a mode."""
        return str(getattr(colours, self.field))

    @property
    def plotly_dash(self) -> str:
        """The dashes as plotly wants them."""
        return ",".join(f"{length}px" for length in self.dashes)

    @property
    def style(self) -> dict[str, Any]:
        """CSS of a piece of the line, 34 px long."""
        stops, at = [], 0
        for number, length in enumerate(self.dashes):
            colour = "transparent" if number % 2 else f"var(--{self.field.replace('_', '-')})"
            stops.append(f"{colour} {at}px {at + length}px")
            at += length
        background = f"repeating-linear-gradient(90deg, {', '.join(stops)})"
        return {
            "display": "inline-block",
            "width": 34,
            "height": 3,
            "verticalAlign": "middle",
            "background": background,
        }


SCENARIO_LINES = {
    "A": ScenarioLine("insulin", (12, 4)),
    "B": ScenarioLine("carbs", (8, 3, 2, 3)),
    "C": ScenarioLine("green", (18, 3, 2, 3, 2, 3)),
    "D": ScenarioLine("ink", (4, 4)),
}
