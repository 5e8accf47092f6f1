"""Paracetamol by mouth or into a vein in healthy adults.

Two compartments, first-order absorption after a lag. Size is fat-free mass FFM (Janmahasatian's formula from weight,
height and sex) and normal fat mass NFM = FFM + 0.816 (WT - FFM), relative to a man of 70 kg and 1.76 m ([1] table 2):

    CL = 24.0 (NFM / NFM_std)^0.75 L/h     V1 = 43.7 (WT / 70) L     F = 0.859
    Q2 = 43.5 (NFM / NFM_std)^0.75 L/h     V2 = 29.7 (WT / 70) L
    k_a = ln 2 / t,  t = 11.5 min (tablet, fasting), lag 5.30 min; times, for t and lag:
        fasting: suspension 0.394 and 0.743, sachet 0.462 and 0.845
        fed: tablet 1.87 and 4.63, suspension 2.52 and 2.93, sachet 2.30 and 2.10

Variability is printed as 100 sqrt(omega^2), with correlations. That of t is used for k_a (eta with the other sign).
Residual error: 7.0 % proportional and 0.064 mg/L additive; it varies between people in [1], which is left out.

References
----------
[1] Morse JD, Stanescu I, Atkinson HC, Anderson BJ. Population pharmacokinetic modelling of acetaminophen and
    ibuprofen: the influence of body composition, formulation and feeding in healthy adult volunteers. Eur J Drug
    Metab Pharmacokinet 2022;47:497-507, 10.1007/s13318-022-00766-9.
"""

from collections.abc import Mapping
from math import log

from twin_core.domain.drugs import (
    Covariate,
    Dose,
    Drug,
    ErrorForm,
    NoTarget,
    Regimen,
    ResidualError,
    Route,
    Structure,
    TypicalValue,
)
from twin_core.domain.errors import BadInput

_DOI = "10.1007/s13318-022-00766-9"
_TABLE_1 = f"Morse 2022 table 1, {_DOI}"
_TABLE_2 = f"Morse 2022 table 2, {_DOI}"
_TABLE_S2 = f"Morse 2022 table 2 and supplementary table S2, {_DOI}"
_MIN_PER_H = 60.0
_HALF_LIFE_MIN, _LAG_MIN = 11.5, 5.30
_FASTED = {"tablet": (1.0, 1.0), "suspension": (0.394, 0.743), "sachet": (0.462, 0.845)}
_FED = {"tablet": (1.87, 4.63), "suspension": (2.52, 2.93), "sachet": (2.30, 2.10)}


def normal_fat_mass_kg(weight_kg: float, height_cm: float, female: float) -> float:
    """Morse 2022 equations 2 to 4: fat-free mass and 0.816 of the rest."""
    largest, half = (37.99, 35.98) if female else (42.92, 30.93)
    height2 = (height_cm / 100.0) ** 2
    fat_free = largest * height2 * weight_kg / (half * height2 + weight_kg)
    return fat_free + 0.816 * (weight_kg - fat_free)


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relations of [1] table 2 and equations 2 to 5."""
    weight = covariates["body_weight_kg"]
    mass = normal_fat_mass_kg(weight, covariates["height_cm"], covariates["female"])
    by_mass = (mass / normal_fat_mass_kg(70.0, 176.0, 0.0)) ** 0.75
    half_life, lag = (_FED if covariates["fed"] else _FASTED)[_formulation(covariates)]
    return {
        "CL_L_h": 24.0 * by_mass,
        "V1_L": 43.7 * weight / 70.0,
        "Q2_L_h": 43.5 * by_mass,
        "V2_L": 29.7 * weight / 70.0,
        "k_a_h": log(2.0) / (_HALF_LIFE_MIN * half_life) * _MIN_PER_H,
        "lag_h": _LAG_MIN * lag / _MIN_PER_H,
        "F": 0.859,
    }


def _formulation(covariates: Mapping[str, float]) -> str:
    if covariates["suspension"] and covariates["sachet"]:
        raise BadInput("A dose of paracetamol is a suspension or a sachet, not both.")
    return "suspension" if covariates["suspension"] else "sachet" if covariates["sachet"] else "tablet"


def _switch(name: str, meaning: str) -> Covariate:
    return Covariate(
        name=name,
        unit="1",
        low=0.0,
        high=1.0,
        default=0.0,
        reference=0.0,
        meaning=meaning,
        source=_TABLE_2,
        is_switch=True,
    )


DRUG = Drug(
    name="paracetamol",
    title="Paracetamol, by mouth or intravenous",
    structure=Structure.TWO_COMPARTMENT,
    typical=(
        TypicalValue(name="CL_L_h", value=24.0, unit="L/h", meaning="clearance", source=_TABLE_2),
        TypicalValue(name="V1_L", value=43.7, unit="L", meaning="central volume", source=_TABLE_2),
        TypicalValue(name="Q2_L_h", value=43.5, unit="L/h", meaning="flow between compartments", source=_TABLE_2),
        TypicalValue(name="V2_L", value=29.7, unit="L", meaning="peripheral volume", source=_TABLE_2),
        TypicalValue(
            name="k_a_h",
            value=log(2.0) / _HALF_LIFE_MIN * _MIN_PER_H,
            unit="1/h",
            meaning="absorption rate of the tablet, fasting (half-life 11.5 min)",
            source=_TABLE_2,
        ),
        TypicalValue(
            name="lag_h", value=_LAG_MIN / _MIN_PER_H, unit="h", meaning="lag of the tablet, fasting", source=_TABLE_2
        ),
        TypicalValue(name="F", value=0.859, unit="1", meaning="bioavailability by mouth", source=_TABLE_2),
    ),
    covariates=(
        Covariate(
            name="body_weight_kg",
            unit="kg",
            low=49.0,
            high=116.0,
            default=70.8,
            reference=70.0,
            meaning="body weight",
            source=_TABLE_1,
        ),
        Covariate(
            name="height_cm",
            unit="cm",
            low=156.0,
            high=199.0,
            default=173.0,
            reference=176.0,
            meaning="height",
            source=_TABLE_1,
        ),
        _switch("female", "1 for women, 0 for men"),
        _switch("fed", "1 after a meal, 0 after a fast of 10 h"),
        _switch("suspension", "1 for the oral suspension, else 0"),
        _switch("sachet", "1 for the sachet dissolved in water, else 0; neither: tablet"),
    ),
    individual=_individual,
    omega={
        "CL_L_h": 0.029929,
        "V1_L": 0.288369,
        "Q2_L_h": 0.378225,
        "V2_L": 0.217156,
        "F": 0.021025,
        "k_a_h": 0.732736,
        "lag_h": 0.9216,
    },
    omega_covariances={
        ("CL_L_h", "V1_L"): -0.000371604,
        ("CL_L_h", "Q2_L_h"): 0.000531975,
        ("CL_L_h", "V2_L"): 0.0110447,
        ("V1_L", "Q2_L_h"): -0.301193,
        ("V1_L", "V2_L"): -0.232225,
        ("Q2_L_h", "V2_L"): 0.282291,
    },
    residual=ResidualError(form=ErrorForm.COMBINED2, proportional_sd=0.070, additive_sd_mg_l=0.064, source=_TABLE_S2),
    target=NoTarget(
        reason="Paracetamol is dosed to pain and fever. After an overdose a level is judged by a nomogram, not here."
    ),
    regimens=(
        Regimen(title="1000 mg by mouth", doses=(Dose(time_h=0.0, amount_mg=1000.0, route=Route.ORAL),)),
        Regimen(
            title="1000 mg by mouth every 6 h for 2 days",
            doses=(Dose(time_h=0.0, amount_mg=1000.0, route=Route.ORAL, interval_h=6.0, additional=7),),
        ),
    ),
    routes=(Route.ORAL, Route.IV_INFUSION),
    largest_dose_mg=2000.0,
    population="116 healthy adults of 18 to 49 years and 49 to 116 kg, 23 of them women",
    references=(f"Morse JD et al. Eur J Drug Metab Pharmacokinet 2022;47:497-507. {_DOI}",),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper. Eta of F is log-normal as printed, so "
    "that a person's F may exceed 1: the typical one does not. Single doses of a combination with ibuprofen.",
)
