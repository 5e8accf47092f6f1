"""Vancomycin in hospitalised adults, with and without haemodialysis.

Two compartments, intravenous; with creatinine clearance CLcr [mL/min] (Cockcroft-Gault, at most 150), body weight
WT [kg] and HD = 1 on intermittent haemodialysis ([1] table 2):

    CL = 4.5 (CLcr / 120)^0.8 0.7^HD     V1 = 58.4 (WT / 70) 0.5^HD     Q2 = 6.5     V2 = 38.4

Residual error: 22.7 % proportional and 3.4 mg/L additive. Variability is printed as CV and used as log(1 + CV^2).

References
----------
[1] Goti V, Chaturvedula A, Fossler MJ, Mok S, Jacob JT. Hospitalized patients with and without hemodialysis have
    markedly different vancomycin pharmacokinetics. Ther Drug Monit 2018;40:212-221, 10.1097/FTD.0000000000000490.
[2] Rybak MJ, et al. Therapeutic monitoring of vancomycin for serious methicillin-resistant Staphylococcus aureus
    infections: a revised consensus guideline. Am J Health Syst Pharm 2020;77:835-864, 10.1093/ajhp/zxaa036.
"""

from collections.abc import Mapping

from twin_core.domain.drugs import (
    Covariate,
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

_TABLE_1 = "Goti 2018 table 1, 10.1097/FTD.0000000000000490"
_TABLE_2 = "Goti 2018 table 2, 10.1097/FTD.0000000000000490"
_LARGEST_CLEARANCE_ML_MIN = 150.0
"""The authors cut creatinine clearances above this off ([1], methods)."""


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relations of [1] table 2."""
    creatinine_clearance = min(covariates["creatinine_clearance_ml_min"], _LARGEST_CLEARANCE_ML_MIN)
    dialysed = covariates["hemodialysis"]
    return {
        "CL_L_h": 4.5 * (creatinine_clearance / 120.0) ** 0.8 * 0.7**dialysed,
        "V1_L": 58.4 * covariates["body_weight_kg"] / 70.0 * 0.5**dialysed,
        "Q2_L_h": 6.5,
        "V2_L": 38.4,
    }


def _every_12_h(amount_mg: float) -> Regimen:
    dose = Dose(time_h=0.0, amount_mg=amount_mg, route=Route.IV_INFUSION, duration_h=1.0, interval_h=12.0, additional=9)
    return Regimen(title=f"{amount_mg:g} mg over 1 h every 12 h for 5 days", doses=(dose,))


DRUG = Drug(
    name="vancomycin",
    title="Vancomycin, intravenous",
    structure=Structure.TWO_COMPARTMENT,
    typical=(
        TypicalValue(name="CL_L_h", value=4.5, unit="L/h", meaning="clearance", source=_TABLE_2),
        TypicalValue(name="V1_L", value=58.4, unit="L", meaning="central volume", source=_TABLE_2),
        TypicalValue(name="Q2_L_h", value=6.5, unit="L/h", meaning="flow between compartments", source=_TABLE_2),
        TypicalValue(name="V2_L", value=38.4, unit="L", meaning="peripheral volume", source=_TABLE_2),
    ),
    covariates=(
        Covariate(
            name="creatinine_clearance_ml_min",
            unit="mL/min",
            low=4.0,
            high=250.0,
            default=62.0,
            reference=120.0,
            meaning="Cockcroft-Gault creatinine clearance, counted as 150 when above; over 60 years of age computed "
            "with a serum creatinine of at least 1 mg/dL",
            source=_TABLE_1,
        ),
        Covariate(
            name="body_weight_kg",
            unit="kg",
            low=33.0,
            high=255.0,
            default=79.0,
            reference=70.0,
            meaning="body weight",
            source=_TABLE_1,
        ),
        Covariate(
            name="hemodialysis",
            unit="1",
            low=0.0,
            high=1.0,
            default=0.0,
            reference=0.0,
            meaning="1 on intermittent haemodialysis, else 0",
            source=_TABLE_1,
            is_switch=True,
        ),
    ),
    individual=_individual,
    omega={"CL_L_h": 0.147, "V1_L": 0.510, "V2_L": 0.282},
    residual=ResidualError(form=ErrorForm.COMBINED2, proportional_sd=0.227, additive_sd_mg_l=3.4, source=_TABLE_2),
    target=TargetBand(
        exposure=Exposure.AUC24,
        low=400.0,
        high=600.0,
        source="Rybak 2020, 10.1093/ajhp/zxaa036, abstract: AUC/MIC of 400 to 600 at an MIC of 1 mg/L, for serious "
        "infections with methicillin-resistant Staphylococcus aureus",
    ),
    regimens=(_every_12_h(750.0), _every_12_h(1000.0)),
    routes=(Route.IV_INFUSION, Route.IV_BOLUS),
    largest_dose_mg=5000.0,
    population="1812 hospitalised adults of 17 to 101 years, 336 of them on intermittent haemodialysis",
    references=(
        "Goti V et al. Ther Drug Monit 2018;40:212-221. 10.1097/FTD.0000000000000490",
        "Rybak MJ et al. Am J Health Syst Pharm 2020;77:835-864. 10.1093/ajhp/zxaa036",
    ),
    verified=False,
    note="Read in two transcriptions of the paper (nlmixr2lib, posologyr), not in the paper. They differ in V2: "
    "unscaled, as here, it reproduces the Monolix results in posologyr's tests; nlmixr2lib scales it with body "
    "weight. The form of the residual error is taken as two independent errors.",
)
