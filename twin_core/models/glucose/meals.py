"""What else a meal holds: protein and fat become glucose late, fat and fibre slow the stomach.

Late glucose (the Warsaw rule [1]): 100 kcal of protein (4 kcal/g) and fat (9 kcal/g) count as 10 g of carbohydrate,
over 3, 4, 5 or 8 h for 1, 2, 3 or 4 such units and more. Here it enters the intestine as one smooth wave that begins an
hour after the meal. The rule was made for doses of insulin, and measured rises differ widely between people: 75 g of
protein beside 30 g of carbohydrate raised glucose by 5 mmol/L at 5 h [2], 35 g of fat by 2.3 mmol/L [3].

Stomach: the rate at which it empties is divided by 1 + fat/36 g + fibre/56.5 g of what is in it; both leave it with a
half-life of 3 h. 36 g more fat doubled the time to the peak of paracetamol [4]; 13.9 g more fibre made emptying last
231.7 instead of 186.0 min [5].

Without protein, fat and fibre nothing changes. A planned meal (a what-if) adds its late glucose, but does not slow the
stomach, which is that of the meals that were eaten.

References
----------
[1] Pankowska et al. 2012, Diabetes Technol Ther 14(1):16, doi 10.1089/dia.2011.0083; rule as commonly given.
[2] Paterson et al. 2017, Diabet Med 34(6):851, doi 10.1111/dme.13347.
[3] Smart et al. 2013, Diabetes Care 36(12):3897, doi 10.2337/dc13-1195.
[4] Lodefalk et al. 2008, Diabet Med 25(9):1030, doi 10.1111/j.1464-5491.2008.02530.x.
[5] Benini et al. 1995, Gut 36(6):825, doi 10.1136/gut.36.6.825.
[6] Bell et al. 2015, Diabetes Care 38(6):1008, doi 10.2337/dc15-0100; table 1.
"""

from collections.abc import Iterable

import numpy as np

from twin_core.domain.history import FloatArray, Meal
from twin_core.models.glucose.sourced import Evidence, Sourced

PROTEIN_KCAL_G = Sourced(4.0, "kcal/g", "energy of protein", "[1]", Evidence.A)
FAT_KCAL_G = Sourced(9.0, "kcal/g", "energy of fat", "[1]", Evidence.A)
CARBS_G_KCAL = Sourced(0.1, "g/kcal", "late carbohydrate for energy of protein and fat", "[1]", Evidence.C)
ONSET_MIN = Sourced(
    60.0, "min", "from the meal to the begin of late glucose", "assumption; [6]: seen from 100 min on", Evidence.D
)
_UNITS_KCAL = (100.0, 200.0, 300.0, 400.0)
_UNITS_MIN = (180.0, 240.0, 300.0, 480.0)
LATE_MIN = Sourced(
    _UNITS_MIN[-1], "min", "late glucose after 400 kcal and more; 3, 4, 5 h for 100, 200, 300", "[1]", Evidence.C
)
HALVING_FAT_G = Sourced(
    36.0, "g", "fat in the stomach that halves the rate of emptying", "[4]: 38 against 2 g", Evidence.C
)
HALVING_FIBRE_G = Sourced(
    56.5,
    "g",
    "fibre in the stomach that halves the rate of emptying",
    "[5]: 13.9 g lengthened it by 24.6 %",
    Evidence.C,
)
LEAVING_MIN = Sourced(180.0, "min", "half-life of fat and fibre in the stomach", "assumption", Evidence.D)
SLOWEST = 0.2
"""The share of its own rate at which a stomach empties at the least; keeps extreme meals within what was measured."""


def late_carbs_mg_min(meals: Iterable[Meal], bounds_min: FloatArray) -> FloatArray:
    """Glucose from protein and fat that enters the intestine.

    Parameters
    ----------
    bounds_min
        Shape `(n_steps + 1,)` [min].

    Returns
    -------
    FloatArray
        Shape `(n_steps,)`: the mean over each step [mg/min].
    """
    entered_mg = np.zeros(len(bounds_min))
    for meal in meals:
        kcal = PROTEIN_KCAL_G.value * meal.protein_g + FAT_KCAL_G.value * meal.fat_g
        if kcal > 0.0:
            lasting_min = np.interp(kcal, _UNITS_KCAL, _UNITS_MIN)
            begun = np.clip((bounds_min - meal.time_min - ONSET_MIN.value) / lasting_min, 0.0, 1.0)
            entered_mg += 1000.0 * CARBS_G_KCAL.value * kcal * (begun - np.sin(2.0 * np.pi * begun) / (2.0 * np.pi))
    return np.diff(entered_mg) / np.diff(bounds_min)


def emptying_share(meals: Iterable[Meal], times_min: FloatArray) -> FloatArray:
    """The share of its own rate at which the stomach empties at `times_min`, in [0.2, 1]; 1 without fat and fibre."""
    slowing = np.zeros(len(times_min))
    for meal in meals:
        load = meal.fat_g / HALVING_FAT_G.value + meal.fibre_g / HALVING_FIBRE_G.value
        since_min = times_min - meal.time_min
        if load > 0.0:
            slowing += np.where(since_min >= 0.0, load * 2.0 ** (-np.maximum(since_min, 0.0) / LEAVING_MIN.value), 0.0)
    return np.maximum(1.0 / (1.0 + slowing), SLOWEST)
