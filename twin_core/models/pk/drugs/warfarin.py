"""Warfarin by mouth and the INR, in Chinese adults.

A K-PD model: a tablet counts as if it reached the body at once. With the counts of CYP2C9 alleles n1, n2, n3 (two in
all), the count g of VKORC1 -1639 G alleles, age [years], body weight WT [kg] and AM = 1 on amiodarone ([1] table 3
and its supplement; what is not EC50 was fixed there to Hamberg's model):

    CL = (0.174 n1 + 0.0879 n2 + 0.0422 n3) (1 - 0.00571 (age - 71)) L/h     V1 = 14.3 L     C = A / V1
    EC50 = (4.3 g + 1.14 (2 - g)) (WT / 60)^1.34 (1 - 0.602 AM) mg/L
    E = C^1.39 / (EC50^1.39 + C^1.39)

Two chains of three equal stages, with mean transit times 27.2 and 110.9 h, start at 1 and are driven by 1 - E:

    ds1/dt = (3 / MTT) (1 - E - s1)     ds2/dt = (3 / MTT) (s1 - s2)     ds3/dt = (3 / MTT) (s2 - s3)
    INR = INR_base + 20 (1 - (s3 of the fast chain + s3 of the slow chain) / 2)

Variability: EC50 only, CV 55.8 %, used as log(1 + CV^2). Residual error of the INR: 36.5 % proportional.

References
----------
[1] Xia X, Cai X, Chen J, Jiang S, Zhang J. Construction of warfarin population pharmacokinetics and pharmacodynamics
    model in Han population based on Bayesian method. Sci Rep 2024;14:14894, 10.1038/s41598-024-65048-7.
[2] Holbrook A, et al. Evidence-based management of anticoagulant therapy: antithrombotic therapy and prevention of
    thrombosis, 9th ed. Chest 2012;141:e152S-e184S, 10.1378/chest.11-2295.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.drugs import (
    Covariate,
    Dose,
    Drug,
    Effect,
    ErrorForm,
    NoTarget,
    Regimen,
    ResidualError,
    Route,
    Structure,
    TypicalValue,
)
from twin_core.domain.errors import BadInput
from twin_core.domain.history import FloatArray
from twin_core.models.pk.nonlinear import integrate

_DOI = "10.1038/s41598-024-65048-7"
_TABLE_1 = f"Xia 2024 table 1, {_DOI}"
_TABLE_3 = f"Xia 2024 table 3, {_DOI}"
_FIXED = f"Xia 2024 table 3, fixed to Hamberg's model, {_DOI}"
_HILL = 1.39
_TRANSIT_H = (27.2, 110.9)
_LARGEST_RISE = 20.0
_STEP_H = 1.0
"""The longest step; the INR then differs by less than 1e-5 from one of a tenth of it."""


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Clearance and volume of [1] table 3."""
    n2, n3 = covariates["cyp2c9_2_alleles"], covariates["cyp2c9_3_alleles"]
    if n2 + n3 > 2.0:
        raise BadInput(f"A person has two alleles of CYP2C9; got {n2:g} of *2 and {n3:g} of *3.")
    by_age = 1.0 - 0.00571 * (covariates["age_years"] - 71.0)
    return {"CL_L_h": (0.174 * (2.0 - n2 - n3) + 0.0879 * n2 + 0.0422 * n3) * by_age, "V1_L": 14.3}


def _effect(covariates: Mapping[str, float]) -> dict[str, float]:
    """Sensitivity of [1] table 3."""
    g = covariates["vkorc1_g_alleles"]
    by_weight = (covariates["body_weight_kg"] / 60.0) ** 1.34
    return {
        "EC50_mg_l": (4.3 * g + 1.14 * (2.0 - g)) * by_weight * (1.0 - 0.602 * covariates["amiodarone"]),
        "INR_base": covariates["inr_base"],
    }


def inr(
    parameters: Mapping[str, ArrayLike],
    effect: Mapping[str, ArrayLike],
    doses: Sequence[Dose],
    times_h: ArrayLike,
    *,
    longest_step_h: float = _STEP_H,
) -> FloatArray:
    """INR of people, shape `(n_people, n_times)`, from an untreated state at the first dose.

    Parameters
    ----------
    parameters, effect
        `CL_L_h` and `V1_L`; `EC50_mg_l` and `INR_base`; numbers or of shape `(n_people,)`.
    """
    given = {**parameters, **effect}
    n = np.broadcast_shapes((1,), *(np.shape(value) for value in given.values()))
    p = {name: np.broadcast_to(np.asarray(value, dtype=float), n) for name, value in given.items()}
    leaving = p["CL_L_h"] / p["V1_L"]
    amount_50 = p["EC50_mg_l"] * p["V1_L"]
    rates = np.repeat([3.0 / transit for transit in _TRANSIT_H], 3)[:, None]

    def slope(_t: float, state: FloatArray, inflow: FloatArray | float) -> FloatArray:
        driven = np.concatenate([state[:1], state[:-1]])
        rest = 1.0 / (1.0 + (np.maximum(state[0], 0.0) / amount_50) ** _HILL)
        driven[[1, 4]] = rest
        change = np.empty_like(state)
        change[0] = inflow - leaving * state[0]
        change[1:] = rates * (driven[1:] - state[1:])
        return change

    start = np.concatenate([np.zeros((1, *n)), np.ones((6, *n))])
    states = integrate(slope, start, doses, times_h, absorbed_into=0, injected_into=0, longest_step_h=longest_step_h)
    depleted = 1.0 - (states[:, :, 3] + states[:, :, 6]) / 2.0
    return np.asarray(p["INR_base"][:, None] + _LARGEST_RISE * depleted)


def _daily(amount_mg: float, days: int) -> Regimen:
    dose = Dose(time_h=0.0, amount_mg=amount_mg, route=Route.IV_BOLUS, interval_h=24.0, additional=days - 1)
    return Regimen(title=f"{amount_mg:g} mg once a day for {days} days", doses=(dose,))


def _alleles(name: str, default: float, meaning: str) -> Covariate:
    return Covariate(
        name=name, unit="1", low=0.0, high=2.0, default=default, reference=0.0, meaning=meaning, source=_TABLE_1
    )


DRUG = Drug(
    name="warfarin",
    title="Warfarin, by mouth, and the INR",
    structure=Structure.ONE_COMPARTMENT,
    typical=(
        TypicalValue(
            name="CL_L_h", value=0.348, unit="L/h", meaning="apparent clearance, CYP2C9 *1/*1, 71 years", source=_FIXED
        ),
        TypicalValue(name="V1_L", value=14.3, unit="L", meaning="apparent volume", source=_FIXED),
    ),
    covariates=(
        Covariate(
            name="age_years",
            unit="years",
            low=18.0,
            high=82.0,
            default=55.0,
            reference=71.0,
            meaning="age",
            source=_TABLE_1,
        ),
        Covariate(
            name="body_weight_kg",
            unit="kg",
            low=36.0,
            high=106.0,
            default=60.0,
            reference=60.0,
            meaning="body weight; mean - 2 SD to the largest of the study, which also had children",
            source=_TABLE_1,
        ),
        _alleles("cyp2c9_2_alleles", 0.0, "alleles *2 of CYP2C9 (nobody in the study had one)"),
        _alleles("cyp2c9_3_alleles", 0.0, "alleles *3 of CYP2C9"),
        _alleles("vkorc1_g_alleles", 0.0, "alleles G at -1639 of VKORC1 (80 % of the study had none)"),
        Covariate(
            name="amiodarone",
            unit="1",
            low=0.0,
            high=1.0,
            default=0.0,
            reference=0.0,
            meaning="1 on amiodarone, else 0",
            source=_TABLE_1,
            is_switch=True,
        ),
        Covariate(
            name="inr_base",
            unit="1",
            low=0.8,
            high=1.5,
            default=1.13,
            reference=1.13,
            meaning="INR before the first dose",
            source=f"{_TABLE_1}: mean 1.13; the range allowed is ours",
        ),
    ),
    individual=_individual,
    omega={},
    residual=ResidualError(
        form=ErrorForm.PROPORTIONAL,
        proportional_sd=0.365,
        source=f"{_TABLE_3}: that of the INR, because no levels were measured",
    ),
    target=NoTarget(reason="Warfarin is dosed to the INR, see its effect; no levels were measured in this study."),
    regimens=(_daily(2.5, 28), _daily(3.0, 28)),
    routes=(Route.IV_BOLUS,),
    largest_dose_mg=15.0,
    population="646 Han Chinese of 1 to 82 years in nine centres, 0.625 to 6.25 mg of warfarin a day",
    references=(
        f"Xia X et al. Sci Rep 2024;14:14894. {_DOI}",
        "Holbrook A et al. Chest 2012;141:e152S-e184S. 10.1378/chest.11-2295",
    ),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper. The model has no absorption: a tablet "
    "counts as given at once, hence the route. Doses are of the racemate as in this study; models of S-warfarin take "
    "half of it. EC50 is that of Han Chinese. The concentration is that of a virtual body: compare no level with it.",
    effect=Effect(
        name="INR",
        unit="1",
        meaning="international normalized ratio of the prothrombin time",
        typical=(
            TypicalValue(
                name="EC50_mg_l", value=2.28, unit="mg/L", meaning="half the effect, VKORC1 A/A, 60 kg", source=_TABLE_3
            ),
            TypicalValue(name="INR_base", value=1.13, unit="1", meaning="INR without warfarin", source=_TABLE_1),
        ),
        individual=_effect,
        omega={"EC50_mg_l": 0.2712},
        residual=ResidualError(form=ErrorForm.PROPORTIONAL, proportional_sd=0.365, source=_TABLE_3),
        low=2.0,
        high=3.0,
        target_source="Holbrook 2012, 10.1378/chest.11-2295, abstract: INR of 2.0 to 3.0 (this DOI from memory, "
        "unverified)",
        course=inr,
    ),
)
