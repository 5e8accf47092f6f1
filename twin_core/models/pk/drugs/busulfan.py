"""Busulfan, intravenous, before a transplant of blood stem cells.

One compartment; with actual body weight WT [kg] and M = 1 for men ([1] tables 2 and 3):

    CL = 7.6 (WT / 65)^0.5 L/h     V1 = 29.1 (WT / 65)^0.5 (1 + 0.105 M) L

Variability is printed as CV and used as log(1 + CV^2): 16 % for CL, 9 % for V. Residual error: 6.3 % proportional.

References
----------
[1] Choe S, Kim G, Lim HS, et al. A simple dosing scheme for intravenous busulfan based on retrospective population
    pharmacokinetic analysis in Korean patients. Korean J Physiol Pharmacol 2012;16:273-280,
    10.4196/kjpp.2012.16.4.273.
[2] Lawson R, Staatz CE, Fraser CJ, Hennig S. Review of the pharmacokinetics and pharmacodynamics of intravenous
    busulfan in paediatric patients. Clin Pharmacokinet 2021, 10.1007/s40262-020-00947-2.
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

_DOI = "10.4196/kjpp.2012.16.4.273"
_TABLE_1 = f"Choe 2012 table 1, {_DOI}"
_TABLE_2 = f"Choe 2012 tables 2 and 3, {_DOI}"


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Covariate relations of [1] table 3."""
    by_weight = (covariates["body_weight_kg"] / 65.0) ** 0.5
    return {"CL_L_h": 7.6 * by_weight, "V1_L": 29.1 * by_weight * (1.0 + 0.105 * covariates["male"])}


def _four_days(amount_mg: float, duration_h: float, interval_h: float) -> Regimen:
    dose = Dose(
        time_h=0.0,
        amount_mg=amount_mg,
        route=Route.IV_INFUSION,
        duration_h=duration_h,
        interval_h=interval_h,
        additional=int(96.0 / interval_h) - 1,
    )
    return Regimen(
        title=f"{amount_mg:g} mg over {duration_h:g} h every {interval_h:g} h for 4 days",
        doses=(dose,),
    )


DRUG = Drug(
    name="busulfan",
    title="Busulfan, intravenous",
    structure=Structure.ONE_COMPARTMENT,
    typical=(
        TypicalValue(name="CL_L_h", value=7.6, unit="L/h", meaning="clearance at 65 kg", source=_TABLE_2),
        TypicalValue(name="V1_L", value=29.1, unit="L", meaning="volume at 65 kg, women", source=_TABLE_2),
    ),
    covariates=(
        Covariate(
            name="body_weight_kg",
            unit="kg",
            low=52.5,
            high=116.0,
            default=66.5,
            reference=65.0,
            meaning="actual body weight",
            source=_TABLE_1,
        ),
        Covariate(
            name="male",
            unit="1",
            low=0.0,
            high=1.0,
            default=1.0,
            reference=0.0,
            meaning="1 for men, 0 for women",
            source=_TABLE_1,
            is_switch=True,
        ),
    ),
    individual=_individual,
    omega={"CL_L_h": 0.025277, "V1_L": 0.008068},
    residual=ResidualError(form=ErrorForm.PROPORTIONAL, proportional_sd=0.063, source=_TABLE_2),
    target=TargetBand(
        exposure=Exposure.AUC24,
        low=78.0 / 4.0,
        high=101.0 / 4.0,
        source="Lawson 2021, abstract: the sum of AUC over all days that went with the best survival in one study of "
        "children and young adults, 78 to 101 mg h/L, here over 4 days (10.1007/s40262-020-00947-2; this DOI from "
        "memory, unverified)",
    ),
    regimens=(_four_days(208.0, 3.0, 24.0), _four_days(52.0, 2.0, 6.0)),
    routes=(Route.IV_INFUSION,),
    largest_dose_mg=500.0,
    population="60 Korean adults of 16 to 58 years before a transplant of blood stem cells, all on phenytoin",
    references=(
        f"Choe S et al. Korean J Physiol Pharmacol 2012;16:273-280. {_DOI}",
        "Lawson R et al. Clin Pharmacokinet 2021. 10.1007/s40262-020-00947-2",
    ),
    verified=False,
    note="Read in a transcription of the paper (nlmixr2lib), not in the paper. Everybody took phenytoin, which speeds "
    "clearance up. The target comes from children and young adults.",
)
