"""Caffeine by mouth in healthy adults.

One compartment with first-order absorption; OC = 1 on oral contraceptives ([1] table 3, printed per minute):

    k_a = 0.064 / min     CL/F = 0.083 (1 - 0.54 OC) L/min     V/F = 38.6 L

Clearance and volume are apparent (they contain the bioavailability), so F is 1. Residual error: 17 % proportional.
Left out: the paper's ephedrine, and the lag of a herbal capsule. Smoking is not in the model.

References
----------
[1] Csajka C, Haller CA, Benowitz NL, Verotta D. Mechanistic pharmacokinetic modelling of ephedrine, norephedrine
    and caffeine in healthy subjects. Br J Clin Pharmacol 2005;59:335-345, 10.1111/j.1365-2125.2005.02254.x.
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

_TABLE_1 = "Csajka 2005 table 1, 10.1111/j.1365-2125.2005.02254.x"
_TABLE_3 = "Csajka 2005 table 3, 10.1111/j.1365-2125.2005.02254.x"
_MIN_PER_H = 60.0


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relation of [1] table 3."""
    return {
        "CL_L_h": 0.083 * _MIN_PER_H * (1.0 - 0.54 * covariates["oral_contraceptive"]),
        "V1_L": 38.6,
        "k_a_h": 0.064 * _MIN_PER_H,
        "lag_h": 0.0,
        "F": 1.0,
    }


DRUG = Drug(
    name="caffeine",
    title="Caffeine, by mouth",
    structure=Structure.ONE_COMPARTMENT,
    typical=(
        TypicalValue(
            name="CL_L_h", value=0.083 * _MIN_PER_H, unit="L/h", meaning="apparent clearance", source=_TABLE_3
        ),
        TypicalValue(name="V1_L", value=38.6, unit="L", meaning="apparent volume", source=_TABLE_3),
        TypicalValue(name="k_a_h", value=0.064 * _MIN_PER_H, unit="1/h", meaning="absorption rate", source=_TABLE_3),
        TypicalValue(
            name="lag_h", value=0.0, unit="h", meaning="no lag for the pharmaceutical formulation", source=_TABLE_3
        ),
        TypicalValue(
            name="F", value=1.0, unit="1", meaning="contained in apparent clearance and volume", source=_TABLE_3
        ),
    ),
    covariates=(
        Covariate(
            name="oral_contraceptive",
            unit="1",
            low=0.0,
            high=1.0,
            default=0.0,
            reference=0.0,
            meaning="1 when taking an oral contraceptive, else 0",
            source=_TABLE_1,
            is_switch=True,
        ),
    ),
    individual=_individual,
    omega={"k_a_h": 0.223, "CL_L_h": 0.135, "V1_L": 0.039},
    residual=ResidualError(form=ErrorForm.PROPORTIONAL, proportional_sd=0.17, source=_TABLE_3),
    target=NoTarget(reason="Caffeine in adults is not dosed to a level: the model serves teaching."),
    regimens=(
        Regimen(title="200 mg once", doses=(Dose(time_h=0.0, amount_mg=200.0, route=Route.ORAL),)),
        Regimen(
            title="100 mg three times, 4 h apart",
            doses=(Dose(time_h=0.0, amount_mg=100.0, route=Route.ORAL, interval_h=4.0, additional=2),),
        ),
    ),
    routes=(Route.ORAL,),
    largest_dose_mg=1000.0,
    population="24 healthy adults of 22 to 39 years and 52 to 92 kg, 6 of them on oral contraceptives",
    references=("Csajka C et al. Br J Clin Pharmacol 2005;59:335-345. 10.1111/j.1365-2125.2005.02254.x",),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper.",
)
