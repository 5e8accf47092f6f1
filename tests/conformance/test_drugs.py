"""What every drug of the catalog keeps to."""

import re
from dataclasses import fields

import numpy as np
import pytest

from twin_core.domain.drugs import (
    ABSORPTION,
    PK_QUANTITIES,
    Drug,
    ErrorForm,
    Exposure,
    NoTarget,
    TargetBand,
)
from twin_core.domain.errors import BadInput, UnknownName
from twin_core.models.catalog import DRUGS
from twin_core.services.dosing import Dosing

DOI = re.compile(r"10\.\d{4,9}/\S+")

every_drug = pytest.mark.parametrize("drug", DRUGS, ids=lambda drug: drug.name)


def defaults(drug: Drug) -> dict[str, float]:
    return {covariate.name: covariate.default for covariate in drug.covariates}


def test_names_are_unique_and_fit_a_path() -> None:
    names = [drug.name for drug in DRUGS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


@every_drug
def test_every_text_is_filled_in(drug: Drug) -> None:
    texts = {field.name: getattr(drug, field.name) for field in fields(drug)}
    assert all(text.strip() for text in texts.values() if isinstance(text, str))


@every_drug
def test_every_number_has_a_source_with_a_doi(drug: Drug) -> None:
    sources = [item.source for item in (*drug.typical, *drug.covariates, drug.residual)]
    sources.append(drug.target.source if isinstance(drug.target, TargetBand) else drug.target.reason)
    assert all(DOI.search(source) for source in sources[:-1])
    assert DOI.search(sources[-1]) or isinstance(drug.target, NoTarget)
    assert all(DOI.search(reference) for reference in drug.references)


@every_drug
def test_parameters_are_complete_and_carry_the_units_of_their_names(drug: Drug) -> None:
    names = {value.name for value in drug.typical}
    absorbed = any(route.is_absorbed for route in drug.routes)
    assert names == {*drug.structure.disposition, *(ABSORPTION if absorbed else ())}
    for value in drug.typical:
        quantity = PK_QUANTITIES[value.name]
        assert value.unit == quantity.unit
        assert quantity.low <= value.value <= quantity.high


@every_drug
def test_typical_values_hold_at_the_reference_covariates(drug: Drug) -> None:
    at_reference = drug.individual({covariate.name: covariate.reference for covariate in drug.covariates})
    assert at_reference == pytest.approx({value.name: value.value for value in drug.typical})


@every_drug
def test_default_and_reference_covariates_are_allowed(drug: Drug) -> None:
    for covariate in drug.covariates:
        assert covariate.checked(covariate.default) == covariate.default
        assert covariate.checked(covariate.reference) == covariate.reference
    assert drug.covariates_with({}) == defaults(drug)


@every_drug
def test_every_covariate_changes_something_and_keeps_parameters_possible(drug: Drug) -> None:
    for covariate in drug.covariates:
        low, high = (drug.individual(defaults(drug) | {covariate.name: end}) for end in (covariate.low, covariate.high))
        assert low != high
        for parameters in (low, high):
            for name, value in parameters.items():
                assert PK_QUANTITIES[name].low <= value <= PK_QUANTITIES[name].high


@every_drug
def test_variability_is_of_parameters_and_a_plausible_variance(drug: Drug) -> None:
    assert set(drug.omega) <= {value.name for value in drug.typical}
    assert all(0.0 < variance < 2.0 for variance in drug.omega.values())


@every_drug
def test_the_residual_error_fits_its_form(drug: Drug) -> None:
    assert 0.0 < drug.residual.proportional_sd < 1.0
    assert (drug.residual.additive_sd_mg_l == 0.0) == (drug.residual.form is ErrorForm.PROPORTIONAL)


@every_drug
def test_a_target_is_a_band(drug: Drug) -> None:
    if isinstance(drug.target, TargetBand):
        assert 0.0 < drug.target.low < drug.target.high
    else:
        assert len(drug.target.reason) > 20


@every_drug
def test_a_drug_that_was_not_checked_in_its_paper_says_so(drug: Drug) -> None:
    assert drug.verified or "not in the paper" in drug.note


@every_drug
def test_unknown_and_impossible_covariates_are_refused(drug: Drug) -> None:
    with pytest.raises(UnknownName, match="shoe_size"):
        drug.covariates_with({"shoe_size": 43.0})
    for covariate in drug.covariates:
        with pytest.raises(BadInput, match=covariate.name):
            drug.covariates_with({covariate.name: covariate.high + 1.0})
        with pytest.raises(BadInput, match=covariate.name):
            drug.covariates_with({covariate.name: float("nan")})


@every_drug
def test_every_default_regimen_gives_positive_ordered_curves(drug: Drug) -> None:
    for regimen in drug.regimens:
        curves = Dosing(DRUGS).predict(drug, {}, regimen.doses, np.linspace(1.0, 48.0, 95), n=200)
        assert np.all(curves.typical_mg_l > 0.0)
        assert np.all(np.diff(curves.percentiles_mg_l, axis=0) >= 0.0)
        auc, peak, trough = (curves.exposures[exposure].typical for exposure in Exposure)
        assert peak > trough
        assert trough < auc / 24.0 < peak


@pytest.mark.parametrize(
    ("name", "covariates", "published"),
    [
        # Goti 2018 table 2: dialysis multiplies CL by 0.7 and the central volume by 0.5.
        ("vancomycin", {"creatinine_clearance_ml_min": 120, "body_weight_kg": 70, "hemodialysis": 1}, (3.15, 29.2)),
        # Goti 2018 methods: creatinine clearance counts as 150 mL/min when above.
        ("vancomycin", {"creatinine_clearance_ml_min": 200, "body_weight_kg": 70}, (4.5 * 1.25**0.8, 58.4)),
        # Csajka 2005 table 3: 0.083 L/min, and 0.038 L/min on oral contraceptives.
        ("caffeine", {"oral_contraceptive": 0}, (4.98, 38.6)),
        ("caffeine", {"oral_contraceptive": 1}, (0.03818 * 60.0, 38.6)),
        # Li 2020 table 4: exponents 0.688 of weight and 0.914 of eGFR.
        ("metformin", {"body_weight_kg": 100, "egfr_ml_min_1_73m2": 51.25}, (53 * (4 / 3) ** 0.688 / 2**0.914, 438.0)),
    ],
)
def test_clearance_and_volume_are_the_published_ones(
    name: str, covariates: dict[str, float], published: tuple[float, float]
) -> None:
    drug = Dosing(DRUGS).drug(name)
    parameters = drug.individual(drug.covariates_with(covariates))
    assert (parameters["CL_L_h"], parameters["V1_L"]) == pytest.approx(published, rel=1e-3)
