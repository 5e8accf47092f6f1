"""Midazolam in small doses, by mouth or into a vein: the probe of CYP3A activity.

Three compartments, first-order absorption; co-medication adds to the typical values ([1] online resource 2, the final
control stream). With K = 1 on ketoconazole or voriconazole, R = 1 on ritonavir and E = 1 on efavirenz, at most one:

    k_a = 2.30635 / h    F = 0.275824 + 0.378806 K + 1.34248 R - 0.200032 E
    CL = 24.1486 - 16.336 K - 12.67 R + 37.9834 E L/h         V1 = 19.4507 + 51.8404 R L
    Q2 = 8.00001 L/h     V2 = 41.0258 L     Q3 = 46.0527 L/h     V3 = 23.8228 L

With ritonavir F is 1.62: F is exposure relative to an intravenous dose under this model, not bioavailability. The
control stream's variances are used; table 3 of [1] prints their square roots under the head of variances. Residual
error: 14.9 % proportional later than 0.5 h after a dose (50.3 % before, 26.7 % with an inhibitor).

References
----------
[1] Wiebe ST, Meid AD, Mikus G. Composite midazolam and 1'-OH midazolam population pharmacokinetic model for
    constitutive, inhibited and induced CYP3A activity. J Pharmacokinet Pharmacodyn 2020;47:527-542,
    10.1007/s10928-020-09704-1.
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
from twin_core.domain.errors import BadInput

_DOI = "10.1007/s10928-020-09704-1"
_TABLE_3 = f"Wiebe 2020 table 3 and online resource 2, {_DOI}"
_TABLE_S1 = f"Wiebe 2020 online resource 1, table S1, {_DOI}"
_SWITCHES = ("azole", "ritonavir", "efavirenz")


def _individual(covariates: Mapping[str, float]) -> dict[str, float]:
    """Treatment effects of [1] online resource 2: shifts of the typical values."""
    K, R, E = (covariates[name] for name in _SWITCHES)
    if K + R + E > 1.0:
        raise BadInput(f"The model of midazolam knows one of {', '.join(_SWITCHES)} at a time, no two together.")
    return {
        "CL_L_h": 24.1486 - 16.336 * K - 12.67 * R + 37.9834 * E,
        "V1_L": 19.4507 + 51.8404 * R,
        "Q2_L_h": 8.00001,
        "V2_L": 41.0258,
        "Q3_L_h": 46.0527,
        "V3_L": 23.8228,
        "k_a_h": 2.30635,
        "lag_h": 0.0,
        "F": 0.275824 + 0.378806 * K + 1.34248 * R - 0.200032 * E,
    }


def _switch(name: str, meaning: str) -> Covariate:
    return Covariate(
        name=name,
        unit="1",
        low=0.0,
        high=1.0,
        default=0.0,
        reference=0.0,
        meaning=meaning,
        source=_TABLE_S1,
        is_switch=True,
    )


DRUG = Drug(
    name="midazolam",
    title="Midazolam, small doses",
    structure=Structure.THREE_COMPARTMENT,
    typical=(
        TypicalValue(name="CL_L_h", value=24.1486, unit="L/h", meaning="clearance", source=_TABLE_3),
        TypicalValue(name="V1_L", value=19.4507, unit="L", meaning="central volume", source=_TABLE_3),
        TypicalValue(name="Q2_L_h", value=8.00001, unit="L/h", meaning="flow to compartment 2", source=_TABLE_3),
        TypicalValue(name="V2_L", value=41.0258, unit="L", meaning="volume of compartment 2", source=_TABLE_3),
        TypicalValue(name="Q3_L_h", value=46.0527, unit="L/h", meaning="flow to compartment 3", source=_TABLE_3),
        TypicalValue(name="V3_L", value=23.8228, unit="L", meaning="volume of compartment 3", source=_TABLE_3),
        TypicalValue(name="k_a_h", value=2.30635, unit="1/h", meaning="absorption rate", source=_TABLE_3),
        TypicalValue(name="lag_h", value=0.0, unit="h", meaning="not in the model", source=_TABLE_3),
        TypicalValue(name="F", value=0.275824, unit="1", meaning="exposure relative to a vein", source=_TABLE_3),
    ),
    covariates=(
        _switch("azole", "1 on ketoconazole or voriconazole (reversible inhibition), else 0"),
        _switch("ritonavir", "1 on ritonavir (irreversible inhibition), else 0"),
        _switch("efavirenz", "1 after two weeks of efavirenz (induction), else 0"),
    ),
    individual=_individual,
    omega={"V1_L": 0.142583, "CL_L_h": 0.0087203, "V2_L": 0.167708, "Q2_L_h": 0.251747, "F": 0.0545658},
    iov={"CL_L_h": 0.0231946, "F": 0.0261532},
    residual=ResidualError(form=ErrorForm.PROPORTIONAL, proportional_sd=0.148938, source=_TABLE_3),
    target=NoTarget(reason="Small doses that measure the activity of CYP3A are not aimed at a level."),
    regimens=(
        Regimen(title="4 mg by mouth", doses=(Dose(time_h=0.0, amount_mg=4.0, route=Route.ORAL),)),
        Regimen(
            title="4 mg by mouth, 2 mg into a vein 6 h later",
            doses=(
                Dose(time_h=0.0, amount_mg=4.0, route=Route.ORAL),
                Dose(time_h=6.0, amount_mg=2.0, route=Route.IV_BOLUS),
            ),
        ),
    ),
    routes=(Route.ORAL, Route.IV_BOLUS),
    largest_dose_mg=7.5,
    population="99 healthy adults of 19 to 52 years and 47 to 111 kg in seven studies",
    references=(f"Wiebe ST et al. J Pharmacokinet Pharmacodyn 2020;47:527-542. {_DOI}",),
    verified=False,
    note="Read in a transcription (nlmixr2lib) of the paper's control stream, not in the paper. The metabolite "
    "1'-OH-midazolam is left out, and of the residual errors the one later than 0.5 h without an inhibitor is used. "
    "F is relative exposure: it is 1.62 with ritonavir. Healthy volunteers took at most 4 mg: no sedation.",
    relative_exposure=True,
    level_unit="ng/mL",
    levels_per_mg_l=1000.0,
)
