"""How a viewer wants to see things, and what figures need to know of it."""

from dataclasses import dataclass

import numpy as np

from dashboard.theme.tokens import Mode, Palette, palette
from twin_core.domain.history import FloatArray
from twin_core.domain.units import GlucoseUnit, in_unit


@dataclass(frozen=True, kw_only=True)
class Screen:
    """How a figure is to look: the palette of the mode, the unit, and the way to local time."""

    colours: Palette
    unit: GlucoseUnit
    utc_offset_min: float = 0.0

    def times(self, time_min: FloatArray) -> list[str]:
        """Times [min, UTC axis] as local time stamps."""
        seconds = np.round((np.asarray(time_min) + self.utc_offset_min) * 60.0).astype("int64")
        return [str(stamp) for stamp in seconds.astype("datetime64[s]")]

    def glucose(self, glucose_mg_dl: FloatArray) -> list[float | None]:
        """Glucose [mg/dL] in the unit of the screen; missing stays missing."""
        digits = 0 if self.unit is GlucoseUnit.MG_DL else 2
        values = np.asarray(glucose_mg_dl, dtype=float)
        return [None if np.isnan(v) else round(in_unit(float(v), self.unit), digits) for v in values]

    def level(self, glucose_mg_dl: float) -> float:
        """One glucose level [mg/dL] in the unit of the screen."""
        return in_unit(glucose_mg_dl, self.unit)


@dataclass(frozen=True, kw_only=True)
class Display:
    """How this viewer wants to see things, with this request."""

    mode: Mode
    unit: GlucoseUnit

    def screen(self, utc_offset_min: float = 0.0) -> Screen:
        """What the figures need to know."""
        return Screen(colours=palette(self.mode), unit=self.unit, utc_offset_min=utc_offset_min)
