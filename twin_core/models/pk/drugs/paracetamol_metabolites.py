"""Paracetamol into a vein with its metabolites, in slim and very obese adults.

One compartment for paracetamol, cleared to glucuronide, sulphate, the products of CYP2E1 (cysteine and mercapturate
conjugates) and unchanged by the kidney; with lean body weight LBW and total body weight TBW ([1] table 2, clearances
printed per minute):

    V1 = 67.2 (LBW / 65.2)^0.90 L
    CL = [0.224 (LBW / 65.2)^1.33 + 0.065 (LBW / 65.2)^0.92 + 0.021 (LBW / 65.2)^0.67 + 0.0163] L/min

    glucuronide  k_transit 0.095 / min,  V 32.3 (TBW / 130.9)^0.55 L,  CL 0.222 (LBW / 65.2)^0.89 L/min
    sulphate     at once,  V 5.66 L and V2 5.66 L (fixed),  Q 0.339 L/min,  CL 0.096 L/min
    CYP2E1       k_transit 0.0057 (LBW / 65.2)^1.1 / min,  V 15.6 L (fixed),  CL 0.329 L/min

Variability is printed as CV and used as log(1 + CV^2). Residual errors are proportional. The clearances vary each on
its own in [1]; the variance of their sum here is the first-order one of a sum with these shares, a derived number.

References
----------
[1] van Rongen A, Valitalo PA, Peeters MY, et al. Morbidly obese patients exhibit increased CYP2E1-mediated oxidation
    of acetaminophen. Clin Pharmacokinet 2016;55:833-847, 10.1007/s40262-015-0357-0.
"""

from collections.abc import Mapping

from twin_core.domain.drugs import (
    Covariate,
    Dose,
    Drug,
    ErrorForm,
    Metabolite,
    NoTarget,
    Regimen,
    ResidualError,
    Route,
    Structure,
    TypicalValue,
)

_DOI = "10.1007/s40262-015-0357-0"
_TABLE_1 = f"van Rongen 2016 table 1, {_DOI}"
_TABLE_2 = f"van Rongen 2016 table 2, {_DOI}"
_METHODS = f"van Rongen 2016 methods, fixed, {_DOI}"
_MIN_PER_H = 60.0
_GLUCURONIDE, _SULPHATE, _CYP2E1 = 0.224, 0.065, 0.021
_UNCHANGED = 0.05 / 0.95 * (_GLUCURONIDE + _SULPHATE + _CYP2E1)
"""5 % of all clearance ([1], methods) [L/min]."""
_TOTAL = _GLUCURONIDE + _SULPHATE + _CYP2E1 + _UNCHANGED
_OMEGA_GLUCURONIDE, _OMEGA_SULPHATE, _OMEGA_CYP2E1 = 0.04642, 0.05738, 0.05286
_OMEGA_TOTAL = (
    _GLUCURONIDE**2 * _OMEGA_GLUCURONIDE + _SULPHATE**2 * _OMEGA_SULPHATE + _CYP2E1**2 * _OMEGA_CYP2E1
) / _TOTAL**2


def _lean(covariates: Mapping[str, float]) -> float:
    return covariates["lean_body_weight_kg"] / 65.2


def _formation(covariates: Mapping[str, float]) -> tuple[float, float, float]:
    """Clearances to glucuronide, sulphate and by CYP2E1 [L/h]."""
    lean = _lean(covariates)
    parts = (_GLUCURONIDE * lean**1.33, _SULPHATE * lean**0.92, _CYP2E1 * lean**0.67)
    glucuronide, sulphate, cyp2e1 = (_MIN_PER_H * part for part in parts)
    return glucuronide, sulphate, cyp2e1


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relations of [1] table 2, for paracetamol itself."""
    return {
        "CL_L_h": sum(_formation(covariates)) + _MIN_PER_H * _UNCHANGED,
        "V1_L": 67.2 * _lean(covariates) ** 0.90,
    }


def _glucuronide(covariates: Mapping[str, float]) -> dict[str, float]:
    return {
        "formation_L_h": _formation(covariates)[0],
        "k_transit_h": 0.095 * _MIN_PER_H,
        "CL_L_h": 0.222 * _MIN_PER_H * _lean(covariates) ** 0.89,
        "V1_L": 32.3 * (covariates["body_weight_kg"] / 130.9) ** 0.55,
    }


def _sulphate(covariates: Mapping[str, float]) -> dict[str, float]:
    return {
        "formation_L_h": _formation(covariates)[1],
        "CL_L_h": 0.096 * _MIN_PER_H,
        "V1_L": 5.66,
        "Q2_L_h": 0.339 * _MIN_PER_H,
        "V2_L": 5.66,
    }


def _cyp2e1(covariates: Mapping[str, float]) -> dict[str, float]:
    return {
        "formation_L_h": _formation(covariates)[2],
        "k_transit_h": 0.0057 * _MIN_PER_H * _lean(covariates) ** 1.1,
        "CL_L_h": 0.329 * _MIN_PER_H,
        "V1_L": 15.6,
    }


def _residual(proportional_sd: float) -> ResidualError:
    return ResidualError(form=ErrorForm.PROPORTIONAL, proportional_sd=proportional_sd, source=_TABLE_2)


def _value(name: str, value: float, meaning: str, source: str = _TABLE_2) -> TypicalValue:
    unit = {"k_transit_h": "1/h"}.get(name, "L/h" if name.endswith("_L_h") else "L")
    return TypicalValue(name=name, value=value, unit=unit, meaning=meaning, source=source)


METABOLITES = (
    Metabolite(
        name="glucuronide",
        title="Paracetamol glucuronide",
        mass_ratio=327.29 / 151.16,
        typical=(
            _value("formation_L_h", _GLUCURONIDE * _MIN_PER_H, "clearance to glucuronide"),
            _value("k_transit_h", 0.095 * _MIN_PER_H, "rate of leaving the transit stage"),
            _value("CL_L_h", 0.222 * _MIN_PER_H, "clearance of glucuronide"),
            _value("V1_L", 32.3, "volume of glucuronide"),
        ),
        individual=_glucuronide,
        omega={"formation_L_h": _OMEGA_GLUCURONIDE, "V1_L": 0.04938, "CL_L_h": 0.08785},
        residual=_residual(0.197),
    ),
    Metabolite(
        name="sulphate",
        title="Paracetamol sulphate",
        mass_ratio=231.23 / 151.16,
        typical=(
            _value("formation_L_h", _SULPHATE * _MIN_PER_H, "clearance to sulphate"),
            _value("CL_L_h", 0.096 * _MIN_PER_H, "clearance of sulphate"),
            _value("V1_L", 5.66, "central volume of sulphate", _METHODS),
            _value("Q2_L_h", 0.339 * _MIN_PER_H, "flow between compartments of sulphate"),
            _value("V2_L", 5.66, "peripheral volume of sulphate", _METHODS),
        ),
        individual=_sulphate,
        omega={"formation_L_h": _OMEGA_SULPHATE},
        residual=_residual(0.185),
    ),
    Metabolite(
        name="cyp2e1_products",
        title="Products of CYP2E1 (cysteine and mercapturate), as mg of paracetamol",
        mass_ratio=1.0,
        typical=(
            _value("formation_L_h", _CYP2E1 * _MIN_PER_H, "clearance by CYP2E1"),
            _value("k_transit_h", 0.0057 * _MIN_PER_H, "rate of leaving the transit stage"),
            _value("CL_L_h", 0.329 * _MIN_PER_H, "clearance of the conjugates"),
            _value("V1_L", 15.6, "volume of the conjugates", _METHODS),
        ),
        individual=_cyp2e1,
        omega={"formation_L_h": _OMEGA_CYP2E1, "CL_L_h": 0.11491},
        residual=_residual(0.250),
    ),
)

DRUG = Drug(
    name="paracetamol_metabolites",
    title="Paracetamol, intravenous, with metabolites",
    substance="paracetamol",
    structure=Structure.ONE_COMPARTMENT,
    typical=(
        _value("CL_L_h", _TOTAL * _MIN_PER_H, "clearance, the sum of four ways"),
        _value("V1_L", 67.2, "volume"),
    ),
    covariates=(
        Covariate(
            name="lean_body_weight_kg",
            unit="kg",
            low=36.0,
            high=96.2,
            default=65.2,
            reference=65.2,
            meaning="lean body weight by Janmahasatian's formula",
            source=_TABLE_1,
        ),
        Covariate(
            name="body_weight_kg",
            unit="kg",
            low=53.4,
            high=193.1,
            default=130.9,
            reference=130.9,
            meaning="body weight; changes the glucuronide only",
            source=_TABLE_1,
        ),
    ),
    individual=_individual,
    omega={"CL_L_h": _OMEGA_TOTAL, "V1_L": 0.02053},
    residual=_residual(0.171),
    target=NoTarget(reason="Paracetamol is dosed to pain and fever, not to a level; this model serves teaching."),
    regimens=(
        Regimen(
            title="2000 mg over 15 min",
            doses=(Dose(time_h=0.0, amount_mg=2000.0, route=Route.IV_INFUSION, duration_h=0.25),),
        ),
        Regimen(
            title="1000 mg over 15 min every 6 h for a day",
            doses=(
                Dose(
                    time_h=0.0,
                    amount_mg=1000.0,
                    route=Route.IV_INFUSION,
                    duration_h=0.25,
                    interval_h=6.0,
                    additional=3,
                ),
            ),
        ),
    ),
    routes=(Route.IV_INFUSION, Route.IV_BOLUS),
    largest_dose_mg=2000.0,
    population="28 adults of 18 to 58 years at an operation, 20 of them with a body mass index of 40 to 55",
    references=(f"van Rongen A et al. Clin Pharmacokinet 2016;55:833-847. {_DOI}",),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper. The variance of the clearance of "
    "paracetamol is derived from those of its parts. Unchanged excretion was assumed to be 5 %, not measured.",
    metabolites=METABOLITES,
)
