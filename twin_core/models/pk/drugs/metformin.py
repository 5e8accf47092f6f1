"""Metformin by mouth (immediate release) in adults with type 2 diabetes.

One compartment, first-order absorption after a lag; body weight WT [kg] and CKD-EPI eGFR [mL/min/1.73 m2]
([1] table 4):

    k_a = 1.4 / h     lag = 0.914 h     CL/F = 53 (WT / 75)^0.688 (eGFR / 102.5)^0.914 L/h     V/F = 438 L

Clearance and volume are apparent (they contain the bioavailability), so F is 1. Residual error: 35.07 %, fitted as
exponential and used as proportional.

References
----------
[1] Li L, et al. Population pharmacokinetics and dosing optimization of metformin in Chinese patients with type 2
    diabetes mellitus. Medicine (Baltimore) 2020;99(46):e23212, 10.1097/MD.0000000000023212.
[2] Kajbaf F, De Broe ME, Lalau JD. Therapeutic concentrations of metformin: a systematic review. Clin Pharmacokinet
    2016;55:439-459, 10.1007/s40262-015-0323-x.
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

_TABLE_1 = "Li 2020 table 1, 10.1097/MD.0000000000023212"
_TABLE_4 = "Li 2020 table 4, 10.1097/MD.0000000000023212"


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relation of [1] table 4."""
    by_weight = (covariates["body_weight_kg"] / 75.0) ** 0.688
    by_kidney = (covariates["egfr_ml_min_1_73m2"] / 102.5) ** 0.914
    return {"CL_L_h": 53.0 * by_weight * by_kidney, "V1_L": 438.0, "k_a_h": 1.4, "lag_h": 0.914, "F": 1.0}


def _for_ever(amount_mg: float, interval_h: float) -> Regimen:
    repeats = int(48.0 / interval_h) - 1
    dose = Dose(
        time_h=0.0,
        amount_mg=amount_mg,
        route=Route.ORAL,
        interval_h=interval_h,
        additional=repeats,
        steady_state=True,
    )
    return Regimen(title=f"{amount_mg:g} mg every {interval_h:g} h, for long", doses=(dose,))


DRUG = Drug(
    name="metformin",
    title="Metformin, by mouth",
    structure=Structure.ONE_COMPARTMENT,
    typical=(
        TypicalValue(name="CL_L_h", value=53.0, unit="L/h", meaning="apparent clearance", source=_TABLE_4),
        TypicalValue(name="V1_L", value=438.0, unit="L", meaning="apparent volume", source=_TABLE_4),
        TypicalValue(name="k_a_h", value=1.4, unit="1/h", meaning="absorption rate", source=_TABLE_4),
        TypicalValue(name="lag_h", value=0.914, unit="h", meaning="time before absorption starts", source=_TABLE_4),
        TypicalValue(
            name="F", value=1.0, unit="1", meaning="contained in apparent clearance and volume", source=_TABLE_4
        ),
    ),
    covariates=(
        Covariate(
            name="body_weight_kg",
            unit="kg",
            low=51.0,
            high=113.0,
            default=75.0,
            reference=75.0,
            meaning="body weight",
            source=_TABLE_1,
        ),
        Covariate(
            name="egfr_ml_min_1_73m2",
            unit="mL/min/1.73 m2",
            low=46.9,
            high=137.7,
            default=102.5,
            reference=102.5,
            meaning="glomerular filtration rate by the CKD-EPI creatinine equation",
            source=_TABLE_1,
        ),
    ),
    individual=_individual,
    omega={"CL_L_h": 0.0323},
    residual=ResidualError(form=ErrorForm.PROPORTIONAL, proportional_sd=0.3507, source=_TABLE_4),
    target=NoTarget(
        reason="No agreed band: a review found 65 different 'therapeutic' values or ranges, most without evidence "
        "(Kajbaf 2016, 10.1007/s40262-015-0323-x). Metformin is dosed to glucose, not to its level."
    ),
    regimens=(_for_ever(1000.0, 12.0), _for_ever(500.0, 8.0)),
    routes=(Route.ORAL,),
    largest_dose_mg=2550.0,
    population="125 Chinese adults in hospital with type 2 diabetes, of 27 to 83 years",
    references=(
        "Li L et al. Medicine (Baltimore) 2020;99(46):e23212. 10.1097/MD.0000000000023212",
        "Kajbaf F et al. Clin Pharmacokinet 2016;55:439-459. 10.1007/s40262-015-0323-x",
    ),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper. Variability between people was "
    "estimated for clearance only, so the band of the peak is narrower than it would be in reality.",
)
