"""Gentamicin in critically ill adults.

Two compartments, intravenous, no covariates: body weights were tried and left out, renal function was not tried
([1] table 2):

    CL = 2.3 L/h     V1 = 21.6 L     Q2 = 1.3 L/h     V2 = 10.2 L

Variability is printed as CV = sqrt(exp(omega^2) - 1): 75 % for CL, 27 % for V1, correlation 0.21. Residual error:
19.4 % proportional and 0.13 mg/L additive.

References
----------
[1] Hodiamont CJ, Janssen JM, de Jong MD, Mathot RA, Juffermans NP, van Hest RM. Therapeutic drug monitoring of
    gentamicin peak concentrations in critically ill patients. Ther Drug Monit 2017;39:522-530,
    10.1097/FTD.0000000000000432.
"""

from collections.abc import Mapping

from twin_core.domain.drugs import (
    Dose,
    Drug,
    ErrorForm,
    Exposure,
    Regimen,
    ResidualError,
    Route,
    Structure,
    TargetBand,
    TypicalValue,
)

_TABLE_2 = "Hodiamont 2017 table 2, 10.1097/FTD.0000000000000432"


def _individual(_covariates: Mapping[str, float]) -> dict[str, float]:
    """[1] table 2: the same for everybody."""
    return {"CL_L_h": 2.3, "V1_L": 21.6, "Q2_L_h": 1.3, "V2_L": 10.2}


def _once_a_day(amount_mg: float) -> Regimen:
    dose = Dose(time_h=0.0, amount_mg=amount_mg, route=Route.IV_INFUSION, duration_h=0.5, interval_h=24.0, additional=2)
    return Regimen(title=f"{amount_mg:g} mg over 30 min once a day, 3 days", doses=(dose,))


DRUG = Drug(
    name="gentamicin",
    title="Gentamicin, intravenous",
    structure=Structure.TWO_COMPARTMENT,
    typical=(
        TypicalValue(name="CL_L_h", value=2.3, unit="L/h", meaning="clearance", source=_TABLE_2),
        TypicalValue(name="V1_L", value=21.6, unit="L", meaning="central volume", source=_TABLE_2),
        TypicalValue(name="Q2_L_h", value=1.3, unit="L/h", meaning="flow between compartments", source=_TABLE_2),
        TypicalValue(name="V2_L", value=10.2, unit="L", meaning="peripheral volume", source=_TABLE_2),
    ),
    covariates=(),
    individual=_individual,
    omega={"CL_L_h": 0.446287, "V1_L": 0.070365},
    omega_covariances={("CL_L_h", "V1_L"): 0.037214},
    residual=ResidualError(form=ErrorForm.COMBINED2, proportional_sd=0.194, additive_sd_mg_l=0.13, source=_TABLE_2),
    target=TargetBand(
        exposure=Exposure.PEAK,
        low=15.0,
        high=20.0,
        source="Hodiamont 2017, 10.1097/FTD.0000000000000432, abstract: therapeutic range of the peak",
    ),
    regimens=(_once_a_day(400.0), _once_a_day(480.0)),
    routes=(Route.IV_INFUSION, Route.IV_BOLUS),
    largest_dose_mg=1500.0,
    population="59 critically ill adults in a mixed intensive care unit, 60.9 (SD 17.2) years, 79.2 (SD 22.0) kg, "
    "creatinine clearance 87 (SD 65) mL/min before the first dose",
    references=("Hodiamont CJ et al. Ther Drug Monit 2017;39:522-530. 10.1097/FTD.0000000000000432",),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper. The paper also reports substantial "
    "variability between occasions, whose values were not to be had: a second dose is predicted too surely. The form "
    "of the residual error is taken as two independent errors. It holds for no covariates: not for children, nor for "
    "dialysis.",
)
