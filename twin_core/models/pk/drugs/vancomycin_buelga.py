"""Vancomycin in adults with haematological malignancies.

One compartment, intravenous; with Cockcroft-Gault creatinine clearance CLcr [mL/min] and body weight WT [kg]
([1] table 4, where CLcr is in L/h):

    CL = 1.08 (0.06 CLcr) L/h     V1 = 0.98 WT L

Variability is printed as CV and used as log(1 + CV^2): 28.16 % for CL, 37.15 % for V; "omega CL/V = 23.12 %" is taken
as their correlation. Residual error: 3.52 mg/L additive. Typical values are given at the mean covariates of the study.

References
----------
[1] Buelga DS, Fernandez de Gatta MM, Herrera EV, Dominguez-Gil A, Garcia MJ. Population pharmacokinetic analysis of
    vancomycin in patients with hematological malignancies. Antimicrob Agents Chemother 2005;49:4934-4941,
    10.1128/AAC.49.12.4934-4941.2005.
[2] Rybak MJ, et al. Therapeutic monitoring of vancomycin for serious methicillin-resistant Staphylococcus aureus
    infections: a revised consensus guideline. Am J Health Syst Pharm 2020;77:835-864, 10.1093/ajhp/zxaa036.
"""

from collections.abc import Mapping

from twin_core.domain.drugs import (
    Covariate,
    Dose,
    Drug,
    ErrorForm,
    Regimen,
    ResidualError,
    Route,
    Structure,
    TypicalValue,
)
from twin_core.models.pk.drugs import vancomycin

_TABLE_1 = "Buelga 2005 table 1, 10.1128/AAC.49.12.4934-4941.2005"
_TABLE_4 = "Buelga 2005 table 4, 10.1128/AAC.49.12.4934-4941.2005"
_RANGE = f"{_TABLE_1}: the range is not printed; mean +- 2 SD"
_MEAN_CLEARANCE_ML_MIN, _MEAN_WEIGHT_KG = 89.4, 64.7
_L_H_PER_ML_MIN = 0.06


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relations of [1] table 4."""
    return {
        "CL_L_h": 1.08 * _L_H_PER_ML_MIN * covariates["creatinine_clearance_ml_min"],
        "V1_L": 0.98 * covariates["body_weight_kg"],
    }


DRUG = Drug(
    name="vancomycin_buelga",
    title="Vancomycin, intravenous (haematology)",
    substance="vancomycin",
    structure=Structure.ONE_COMPARTMENT,
    typical=(
        TypicalValue(
            name="CL_L_h",
            value=1.08 * _L_H_PER_ML_MIN * _MEAN_CLEARANCE_ML_MIN,
            unit="L/h",
            meaning="clearance at the mean creatinine clearance",
            source=_TABLE_4,
        ),
        TypicalValue(
            name="V1_L", value=0.98 * _MEAN_WEIGHT_KG, unit="L", meaning="volume at the mean weight", source=_TABLE_4
        ),
    ),
    covariates=(
        Covariate(
            name="creatinine_clearance_ml_min",
            unit="mL/min",
            low=11.0,
            high=168.0,
            default=_MEAN_CLEARANCE_ML_MIN,
            reference=_MEAN_CLEARANCE_ML_MIN,
            meaning="Cockcroft-Gault creatinine clearance",
            source=_RANGE,
        ),
        Covariate(
            name="body_weight_kg",
            unit="kg",
            low=42.0,
            high=88.0,
            default=_MEAN_WEIGHT_KG,
            reference=_MEAN_WEIGHT_KG,
            meaning="body weight",
            source=_RANGE,
        ),
    ),
    individual=_individual,
    omega={"CL_L_h": 0.07631, "V1_L": 0.12930},
    omega_covariances={("CL_L_h", "V1_L"): 0.02296},
    residual=ResidualError(form=ErrorForm.COMBINED2, proportional_sd=0.0, additive_sd_mg_l=3.52, source=_TABLE_4),
    target=vancomycin.DRUG.target,
    regimens=(
        Regimen(
            title="1000 mg over 1 h every 12 h for 5 days",
            doses=(
                Dose(
                    time_h=0.0,
                    amount_mg=1000.0,
                    route=Route.IV_INFUSION,
                    duration_h=1.0,
                    interval_h=12.0,
                    additional=9,
                ),
            ),
        ),
    ),
    routes=(Route.IV_INFUSION, Route.IV_BOLUS),
    largest_dose_mg=5000.0,
    population="215 patients with haematological malignancies of 15 years and older, mean 51.5 years and 64.7 kg, not "
    "in intensive care",
    references=(
        "Buelga DS et al. Antimicrob Agents Chemother 2005;49:4934-4941. 10.1128/AAC.49.12.4934-4941.2005",
        "Rybak MJ et al. Am J Health Syst Pharm 2020;77:835-864. 10.1093/ajhp/zxaa036",
    ),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper. Levels were taken 2 h or later after "
    "the infusion, so that the model says nothing of the distribution before that. The error is additive only.",
)
