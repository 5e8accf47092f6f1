"""Units: canonical inside (mg/dL, U, g, min, UTC), the person's choice on the screen.

Glucose has a molar mass of 180.156 g/mol, so 1 mmol/L is 18.0156 mg/dL. A reading received in mmol/L
carries one decimal, a step of 1.8 mg/dL; it is stored as the nearest whole mg/dL, with the value and unit as
received beside it. Whole numbers keep both unit systems' consensus limits on the same side (3.0, 3.9, 10.0
and 13.9 mmol/L are 54, 70, 180 and 250 mg/dL), and the received value is recovered exactly on the screen.
"""

from enum import StrEnum

MG_DL_PER_MMOL_L = 18.0156
"""Molar mass of glucose, 180.156 g/mol, over ten."""

PMOL_PER_UNIT_OF_INSULIN = 6000.0
"""1 U of human insulin is 6 nmol (WHO 1st International Standard 83/500; reference/glucose.md section 3.1)."""

MINUTES_PER_DAY = 1440.0


class GlucoseUnit(StrEnum):
    """The two units in which glucose is measured and shown."""

    MG_DL = "mg/dL"
    MMOL_L = "mmol/L"


def canonical_glucose(value: float, unit: GlucoseUnit) -> float:
    """Glucose in mg/dL, as stored: a value in mmol/L becomes the nearest whole mg/dL."""
    if unit is GlucoseUnit.MG_DL:
        return float(value)
    return float(round(value * MG_DL_PER_MMOL_L))


def in_unit(glucose_mg_dl: float, unit: GlucoseUnit) -> float:
    """A canonical glucose [mg/dL] in the unit of the screen, unrounded."""
    return glucose_mg_dl if unit is GlucoseUnit.MG_DL else glucose_mg_dl / MG_DL_PER_MMOL_L


def glucose_text(glucose_mg_dl: float, unit: GlucoseUnit) -> str:
    """A canonical glucose [mg/dL] as the screen shows it: whole mg/dL, or mmol/L with one decimal."""
    return f"{in_unit(glucose_mg_dl, unit):.{0 if unit is GlucoseUnit.MG_DL else 1}f}"
