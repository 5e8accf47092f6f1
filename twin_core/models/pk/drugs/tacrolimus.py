"""Tacrolimus by mouth after a kidney transplant, twice a day (Prograf) or once a day (Advagraf).

Two compartments, absorption through a chain of three equal stages (Erlang); with haematocrit HCT [%], E = 1 for
carriers of CYP3A5*1 and IR = 1 for the immediate-release formulation, Prograf ([1] table 4):

    k_tr = 3.34 1.53^IR / h     CL/F = 21.2 (HCT / 35)^-1.14 2.0^E L/h     V1/F = 486 0.29^IR L
    Q2/F = 79 L/h               V2/F = 271 L

Clearances and volumes are apparent (they contain the bioavailability), so F is 1. Levels are of whole blood.
Variability is printed as CV and used as log(1 + CV^2): 24, 28, 31, 54 and 60 %. Residual error: 11.3 % proportional
and 0.71 ng/mL additive. [1]'s text speaks of 205 and 527 L for V1/F of the two formulations; its table 4 is used.

References
----------
[1] Woillard JB, de Winter BC, Kamar N, Marquet P, Rostaing L, Rousseau A. Population pharmacokinetic model and
    Bayesian estimator for two tacrolimus formulations - twice daily Prograf and once daily Advagraf. Br J Clin
    Pharmacol 2011;71:391-402, 10.1111/j.1365-2125.2010.03837.x.
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

_DOI = "10.1111/j.1365-2125.2010.03837.x"
_TABLE_1 = f"Woillard 2011 table 1, {_DOI}"
_TABLE_4 = f"Woillard 2011 table 4, {_DOI}"
_STAGES = 3.0


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relations of [1] table 4."""
    immediate = covariates["immediate_release"]
    by_blood = (covariates["hematocrit_percent"] / 35.0) ** -1.14
    return {
        "CL_L_h": 21.2 * by_blood * 2.0 ** covariates["cyp3a5_expresser"],
        "V1_L": 486.0 * 0.29**immediate,
        "Q2_L_h": 79.0,
        "V2_L": 271.0,
        "k_a_h": 3.34 * 1.53**immediate,
        "lag_h": 0.0,
        "F": 1.0,
        "stages": _STAGES,
    }


def _for_ever(amount_mg: float, interval_h: float) -> Regimen:
    dose = Dose(
        time_h=0.0,
        amount_mg=amount_mg,
        route=Route.ORAL,
        interval_h=interval_h,
        additional=int(48.0 / interval_h) - 1,
        steady_state=True,
    )
    return Regimen(title=f"{amount_mg:g} mg every {interval_h:g} h, for long", doses=(dose,))


DRUG = Drug(
    name="tacrolimus",
    title="Tacrolimus, by mouth",
    structure=Structure.TWO_COMPARTMENT,
    typical=(
        TypicalValue(name="CL_L_h", value=21.2, unit="L/h", meaning="apparent clearance", source=_TABLE_4),
        TypicalValue(
            name="V1_L", value=486.0, unit="L", meaning="apparent central volume, once-daily form", source=_TABLE_4
        ),
        TypicalValue(
            name="Q2_L_h", value=79.0, unit="L/h", meaning="apparent flow between compartments", source=_TABLE_4
        ),
        TypicalValue(name="V2_L", value=271.0, unit="L", meaning="apparent peripheral volume", source=_TABLE_4),
        TypicalValue(
            name="k_a_h", value=3.34, unit="1/h", meaning="rate of leaving each stage, once-daily form", source=_TABLE_4
        ),
        TypicalValue(name="lag_h", value=0.0, unit="h", meaning="none: the stages delay absorption", source=_TABLE_4),
        TypicalValue(
            name="F", value=1.0, unit="1", meaning="contained in apparent clearance and volumes", source=_TABLE_4
        ),
        TypicalValue(
            name="stages",
            value=_STAGES,
            unit="1",
            meaning="stages of absorption",
            source=f"Woillard 2011 methods, {_DOI}",
        ),
    ),
    covariates=(
        Covariate(
            name="hematocrit_percent",
            unit="%",
            low=20.9,
            high=46.6,
            default=35.0,
            reference=35.0,
            meaning="haematocrit",
            source=_TABLE_1,
        ),
        Covariate(
            name="cyp3a5_expresser",
            unit="1",
            low=0.0,
            high=1.0,
            default=0.0,
            reference=0.0,
            meaning="1 with at least one CYP3A5*1 allele, else 0",
            source=_TABLE_1,
            is_switch=True,
        ),
        Covariate(
            name="immediate_release",
            unit="1",
            low=0.0,
            high=1.0,
            default=1.0,
            reference=0.0,
            meaning="1 for Prograf (twice a day), 0 for Advagraf (once a day)",
            source=_TABLE_1,
            is_switch=True,
        ),
    ),
    individual=_individual,
    omega={"k_a_h": 0.05605, "CL_L_h": 0.07546, "V1_L": 0.09161, "Q2_L_h": 0.25593, "V2_L": 0.30748},
    residual=ResidualError(form=ErrorForm.COMBINED2, proportional_sd=0.113, additive_sd_mg_l=0.71e-3, source=_TABLE_4),
    target=TargetBand(
        exposure=Exposure.TROUGH,
        low=5e-3,
        high=10e-3,
        source=f"Woillard 2011, {_DOI}: the trough aimed at after the first 6 weeks, 5 to 10 ng/mL (10 to 15 before)",
    ),
    regimens=(_for_ever(2.0, 12.0), _for_ever(4.0, 24.0)),
    routes=(Route.ORAL,),
    largest_dose_mg=30.0,
    population="73 adults with a kidney transplant, 32 on Prograf in the first 6 months and 41 on Advagraf after more "
    "than a year; 6 of them carriers of CYP3A5*1",
    references=(f"Woillard JB et al. Br J Clin Pharmacol 2011;71:391-402. {_DOI}",),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper. The paper also has variability between "
    "occasions, whose values were not to be had. The formulation stands for the time since the transplant, too. The "
    "form of the residual error is taken as two independent errors.",
    level_unit="ng/mL",
    levels_per_mg_l=1000.0,
)
