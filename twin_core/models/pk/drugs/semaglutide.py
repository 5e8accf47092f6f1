"""Semaglutide under the skin, once a week.

Two compartments, first-order absorption; with body weight WT [kg] and D = 1 in type 2 diabetes ([1] table 4):

    k_a = 0.0253 0.544^D / h     CL = 0.0348 (WT / 85)^1.01 1.12^D L/h     V1 = 3.59 (WT / 85)^0.923 L
    F = 0.847                    Q2 = 0.304 (WT / 85)^1.01 L/h             V2 = 4.10 (WT / 85)^0.923 L

Q2 shares the eta of CL, and V2 that of V1. Variability is printed as CV and used as log(1 + CV^2): 15.2 % for CL,
15.4 % for V1 (covariance 0.0172), 37.9 % for k_a. Residual error: 0.103, fitted on logarithms and used as
proportional. The values hold for the abdomen and the 1.34 mg/mL product. 1 mg is 243.1 nmol (4113.6 g/mol).

References
----------
[1] Overgaard RV, Delff PH, Petri KCC, Anderson TW, Flint A, Ingwersen SH. Population pharmacokinetics of semaglutide
    for type 2 diabetes. Diabetes Ther 2019;10:649-662, 10.1007/s13300-019-0581-y.
"""

from collections.abc import Mapping

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

_DOI = "10.1007/s13300-019-0581-y"
_TABLE_3 = f"Overgaard 2019 table 3, {_DOI}"
_TABLE_4 = f"Overgaard 2019 table 4, {_DOI}"
_WEEK_H = 168.0


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relations of [1] table 4."""
    size = covariates["body_weight_kg"] / 85.0
    diabetes = covariates["type_2_diabetes"]
    return {
        "CL_L_h": 0.0348 * size**1.01 * 1.12**diabetes,
        "V1_L": 3.59 * size**0.923,
        "Q2_L_h": 0.304 * size**1.01,
        "V2_L": 4.10 * size**0.923,
        "k_a_h": 0.0253 * 0.544**diabetes,
        "lag_h": 0.0,
        "F": 0.847,
    }


def _weekly(amount_mg: float, weeks: int) -> Regimen:
    dose = Dose(time_h=0.0, amount_mg=amount_mg, route=Route.SUBCUTANEOUS, interval_h=_WEEK_H, additional=weeks - 1)
    return Regimen(title=f"{amount_mg:g} mg once a week for {weeks} weeks", doses=(dose,))


DRUG = Drug(
    name="semaglutide",
    title="Semaglutide, under the skin",
    structure=Structure.TWO_COMPARTMENT,
    typical=(
        TypicalValue(name="CL_L_h", value=0.0348, unit="L/h", meaning="clearance", source=_TABLE_4),
        TypicalValue(name="V1_L", value=3.59, unit="L", meaning="central volume", source=_TABLE_4),
        TypicalValue(name="Q2_L_h", value=0.304, unit="L/h", meaning="flow between compartments", source=_TABLE_4),
        TypicalValue(name="V2_L", value=4.10, unit="L", meaning="peripheral volume", source=_TABLE_4),
        TypicalValue(name="k_a_h", value=0.0253, unit="1/h", meaning="absorption rate", source=_TABLE_4),
        TypicalValue(name="lag_h", value=0.0, unit="h", meaning="not in the model", source=_TABLE_4),
        TypicalValue(name="F", value=0.847, unit="1", meaning="bioavailability under the skin", source=_TABLE_4),
    ),
    covariates=(
        Covariate(
            name="body_weight_kg",
            unit="kg",
            low=51.9,
            high=121.2,
            default=85.0,
            reference=85.0,
            meaning="body weight",
            source=_TABLE_3,
        ),
        Covariate(
            name="type_2_diabetes",
            unit="1",
            low=0.0,
            high=1.0,
            default=1.0,
            reference=0.0,
            meaning="1 with type 2 diabetes, else 0",
            source=_TABLE_3,
            is_switch=True,
        ),
    ),
    individual=_individual,
    omega={"CL_L_h": 0.022840, "V1_L": 0.023438, "k_a_h": 0.134217},
    omega_covariances={("CL_L_h", "V1_L"): 0.0172},
    follows={"Q2_L_h": "CL_L_h", "V2_L": "V1_L"},
    residual=ResidualError(form=ErrorForm.PROPORTIONAL, proportional_sd=0.103, source=_TABLE_4),
    target=NoTarget(reason="Semaglutide is dosed in steps to glucose, weight and tolerance, not to its level."),
    regimens=(_weekly(0.5, 12), _weekly(1.0, 12)),
    routes=(Route.SUBCUTANEOUS, Route.IV_BOLUS),
    largest_dose_mg=3.0,
    population="353 adults of 19 to 70 years in nine trials, 277 of them without and 76 with type 2 diabetes",
    references=(f"Overgaard RV et al. Diabetes Ther 2019;10:649-662. {_DOI}",),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper; its variance of k_a (0.133844) is "
    "not that of the printed 37.9 %, which is used. The paper's effects of injection site and strength are left out: "
    "they stay within 80 to 125 % of exposure.",
    level_unit="nmol/L",
    levels_per_mg_l=243.1,
)
