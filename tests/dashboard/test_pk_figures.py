from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dashboard.components.dosing_advice import equation_of
from dashboard.figures.pk import FOLLOWING, FOLLOWING_PERCENTILES, concentration_figure, paint_of, target_on_the_axis
from dashboard.pages import dosing as page
from dashboard.theme.display import Display
from twin_core.domain.dosing import Candidate
from twin_core.domain.drugs import Drug
from twin_core.domain.units import GlucoseUnit
from twin_core.models.catalog import DRUGS
from twin_core.services.dosing import Dosing
from twin_core.services.dosing_case import (
    Case,
    CaseView,
    DoseRow,
    LevelRow,
    advice_of,
    beliefs,
    due_after,
    is_extrapolation,
    read_doses,
    read_rows,
    view_of,
    written,
)
from twin_core.services.dosing_report import best_of_each_interval, csv_of, pdf_of

DOSING = Dosing(DRUGS)
SCREEN = Display(mode="light", unit=GlucoseUnit.MG_DL).screen()
VANCOMYCIN, TACROLIMUS = DOSING.drug("vancomycin"), DOSING.drug("tacrolimus")
LEVELS = (LevelRow(time="11.5", level="18"), LevelRow(time="37,5", level="22.5"))


def case(drug: Drug, rows: Sequence[LevelRow] = (), covariates: Mapping[str, float] | None = None) -> Case:
    dose = drug.regimens[0].doses[0]
    given = replace(dose, interval_h=dose.interval_h or 24.0)
    return Case(
        drug=drug,
        covariates={each.name: each.default for each in drug.covariates} | dict(covariates or {}),
        given=given,
        rows=tuple(rows),
        following=Candidate(
            amount_mg=dose.amount_mg, interval_h=given.interval_h or 24.0, route=dose.route, duration_h=dose.duration_h
        ),
    )


@pytest.fixture(scope="module")
def prior() -> CaseView:
    return view_of(DOSING, case(VANCOMYCIN))


@pytest.fixture(scope="module")
def levelled() -> CaseView:
    return view_of(DOSING, case(VANCOMYCIN, LEVELS))


def traces(view: CaseView) -> dict[str, Any]:
    return {trace["name"]: trace for trace in concentration_figure(view, SCREEN)["data"]}


def notes(drug: Drug, *rows: tuple[str, str]) -> list[str]:
    asked = case(drug)
    typed = [LevelRow(time=time, level=level) for time, level in rows]
    return [row.note for row in read_rows(drug, asked.covariates, (asked.given,), typed)]


def test_the_end_of_every_infusion_is_drawn(prior: CaseView) -> None:
    times = set(prior.a_priori.times_h)
    assert {12.0 * dose + 1.0 for dose in range(10)} <= times
    assert {12.0 * dose for dose in range(10)} <= times


@pytest.mark.parametrize("drug", DRUGS, ids=lambda drug: drug.name)
def test_sixty_doses_lose_no_peak_between_the_points_drawn(drug: Drug) -> None:
    asked = case(drug)
    asked = replace(asked, given=replace(asked.given, additional=59))
    view = view_of(DOSING, asked)
    interval_h = asked.given.interval_h or 24.0
    dense = np.arange(60)[:, None] * interval_h + np.linspace(0.0, interval_h, 97, endpoint=False)
    exact = DOSING.predict(drug, asked.covariates, (asked.given,), np.ravel(dense))
    for drawn, wanted in zip(view.a_priori.percentiles_mg_l, exact.percentiles_mg_l, strict=True):
        shown = np.interp(dense, view.a_priori.times_h, drawn).max(axis=1)
        np.testing.assert_allclose(shown, wanted.reshape(dense.shape).max(axis=1), rtol=0.03)


def test_this_persons_band_appears_with_levels_only(prior: CaseView, levelled: CaseView) -> None:
    assert "this person 50 %" not in traces(prior)
    assert {"this person 50 %", "level", "residual"} <= set(traces(levelled))
    assert "fill" in traces(prior)["people 5 %"]
    assert "fill" not in traces(levelled)["people 5 %"]


def test_levels_narrow_the_band(prior: CaseView, levelled: CaseView) -> None:
    after = levelled.a_posteriori
    assert after is not None
    last = np.argmin(np.abs(after.times_h - 37.5))
    before = prior.a_priori.percentiles_mg_l
    at = np.argmin(np.abs(prior.a_priori.times_h - 37.5))
    assert np.ptp(after.percentiles_mg_l[:, last]) < np.ptp(before[:, at])


@pytest.mark.parametrize("share", [0.3, 1.0, 1.7])
def test_curves_without_levels_scale_with_the_dose_as_the_browser_scales_them(prior: CaseView, share: float) -> None:
    asked = case(VANCOMYCIN)
    other = replace(asked, given=replace(asked.given, amount_mg=share * asked.given.amount_mg))
    exact = traces(view_of(DOSING, other))
    for each in paint_of(prior, 3000.0)["history"]:
        np.testing.assert_allclose(np.array(each["y"]) * share, exact[each["name"]]["y"], atol=0.02)


def test_no_curve_of_the_past_is_scaled_once_levels_are_in(levelled: CaseView) -> None:
    assert paint_of(levelled, 3000.0)["history"] == []


@pytest.mark.parametrize("amount_mg", [300.0, 750.0, 1300.0, 2900.0])
def test_what_the_browser_interpolates_is_within_one_percent_of_the_exact_band(
    levelled: CaseView, amount_mg: float
) -> None:
    paint = paint_of(levelled, 3000.0)["following"]
    nodes, curves = np.array(paint["nodes"]), np.array(paint["curves"])
    below = min(int(np.searchsorted(nodes, amount_mg, side="right")) - 1, len(nodes) - 2)
    share = (amount_mg - nodes[below]) / (nodes[below + 1] - nodes[below])
    shown = curves[below] + share * (curves[below + 1] - curves[below])
    exact = levelled.following.percentiles(amount_mg)[list(FOLLOWING_PERCENTILES)]
    assert len(shown) == len(FOLLOWING)
    assert np.max(np.abs(shown - exact)) < 0.01 * exact.max()


def test_an_area_is_drawn_as_the_mean_concentration_of_a_day_and_a_trough_in_the_labs_unit() -> None:
    assert target_on_the_axis(VANCOMYCIN) == pytest.approx((400.0 / 24.0, 25.0))
    assert target_on_the_axis(TACROLIMUS) == pytest.approx((5.0, 10.0))
    assert target_on_the_axis(DOSING.drug("caffeine")) is None


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (("-1", "10"), "before the first dose"),
        (("11.5", "-3"), "negative"),
        (("11.5", "12000"), "another unit"),
        (("11.5", "abc"), "as a number"),
        (("", "10"), "time in hours"),
        (("nan", "10"), "time in hours"),
        (("150", "5"), "no further dose is assumed"),
    ],
)
def test_a_bad_row_is_answered_beside_itself_and_a_good_one_is_not(row: tuple[str, str], word: str) -> None:
    said = notes(VANCOMYCIN, row, ("11.5", "18"))
    assert word in said[0]
    assert said[1] == ""


def test_a_tacrolimus_level_typed_in_mg_l_is_taken_for_a_swapped_unit() -> None:
    assert notes(TACROLIMUS, ("12", "7.1")) == [""]
    assert "Enter ng/mL" in notes(TACROLIMUS, ("12", "0.0071"))[0]


def test_a_refused_row_changes_no_curve(levelled: CaseView) -> None:
    with_bad = view_of(DOSING, case(VANCOMYCIN, (*LEVELS, LevelRow(time="-3", level="9"))))
    assert with_bad.read[2].is_refused
    np.testing.assert_array_equal(with_bad.fit.eta, levelled.fit.eta)


def test_a_level_below_quantification_is_read() -> None:
    asked = case(VANCOMYCIN)
    (row,) = read_rows(VANCOMYCIN, asked.covariates, (asked.given,), [LevelRow(time="130", level="<2")])
    assert row.level is not None
    assert row.level.below_quantification


def test_ranked_regimens_carry_their_risk_and_each_interval_comes_once(levelled: CaseView) -> None:
    advice = advice_of(levelled, 50.0)
    shown = best_of_each_interval(advice.ranked)
    intervals = [each.candidate.interval_h for each in shown]
    assert len(intervals) == len(set(intervals)) >= 4
    assert shown[0].in_target == max(each.in_target for each in advice.ranked)
    assert all(0.0 <= each.risk_index <= 1.0 - each.in_target for each in shown)
    assert len(advice.timing) == len(LEVELS)
    assert advice.sample_h is not None


def test_eta_stands_at_the_middle_of_people_before_any_level_and_moves_with_one(
    prior: CaseView, levelled: CaseView
) -> None:
    before = {each.name: each for each in beliefs(prior)}
    after = {each.name: each for each in beliefs(levelled)}
    assert before["CL_L_h"].percentile == pytest.approx(50.0)
    assert after["CL_L_h"].percentile is not None
    assert abs(after["CL_L_h"].percentile - 50.0) > 1.0
    assert after["Q2_L_h"].percentile is None


def test_the_equation_has_a_line_for_every_compartment_and_for_the_gut() -> None:
    assert equation_of(VANCOMYCIN, case(VANCOMYCIN).given).count("dA") == 2
    assert "ka·A0" in equation_of(TACROLIMUS, case(TACROLIMUS).given)


@pytest.mark.parametrize(
    ("value", "text"),
    [(2600.0, "2,600"), (0.0071, "0.0071"), (14.85, "14.8"), (999.6, "1,000"), (0.0, "0"), (100.0, "100"), (3.0, "3")],
)
def test_numbers_are_written_without_exponent(value: float, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize("drug", DRUGS, ids=lambda drug: drug.name)
def test_every_drug_is_drawn_and_its_usual_dose_is_on_its_slider(drug: Drug) -> None:
    _, _, low, high, step = page._regimen_ranges(drug)["amount_mg"]
    amount_mg = drug.regimens[0].doses[0].amount_mg
    assert low <= amount_mg <= high <= drug.largest_dose_mg
    assert (amount_mg - low) / step == pytest.approx(round((amount_mg - low) / step))
    view = view_of(DOSING, case(drug))
    assert all(np.isfinite(trace["y"]).all() for name, trace in traces(view).items() if name != "residual")
    assert "e+" not in str(page._exposures(view))
    assert ".." not in str(page._sources(drug))


def test_covariates_are_called_as_clinicians_call_them() -> None:
    labels = {page.covariate_label(covariate) for drug in DRUGS for covariate in drug.covariates}
    assert {"eGFR", "Haemodialysis", "Haematocrit"} <= labels
    assert not any(re_word in label.lower() for label in labels for re_word in ("egfr ml", "hemodialysis", " kg"))


def test_csv_holds_every_band_the_levels_and_the_disclaimer(levelled: CaseView) -> None:
    text = csv_of(levelled, advice_of(levelled, 50.0))
    for word in (
        "population",
        "a priori",
        "a posteriori",
        "following regimen",
        "level,37.5,,22.5",
        "no dose may be given",
    ):
        assert word in text


def test_pdf_is_one_page(levelled: CaseView) -> None:
    document = pdf_of(levelled, advice_of(levelled, 50.0))
    assert document.startswith(b"%PDF")
    assert document.count(b"/Type /Page ") + document.count(b"/Type /Page\n") == 1


def test_a_loading_dose_is_added_and_a_change_in_mid_course_replaces_what_would_have_followed() -> None:
    rows = (DoseRow(time="0", amount="1500"), DoseRow(time="48", amount="500", interval="8", count="3"))
    lines, read = read_doses(VANCOMYCIN, case(VANCOMYCIN).given, rows)
    assert [each.note for each in read] == ["", ""]
    assert sorted(time_h for line in lines for time_h in line.times_h) == [0.0, 0.0, 12.0, 24.0, 36.0, 48.0, 56.0, 64.0]
    assert due_after(lines) == 72.0


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (DoseRow(time="-2", amount="500"), "before the first dose"),
        (DoseRow(time="5", amount="-500"), "above 0"),
        (DoseRow(time="5", amount="1e7"), "at most"),
        (DoseRow(time="5", amount="500", interval="0"), "interval"),
        (DoseRow(time="5", amount="500", interval="8", count="1.5"), "number of doses"),
        (DoseRow(time="", amount="500"), "time of the dose"),
        (DoseRow(time="20000", amount="500"), "more than"),
    ],
)
def test_a_bad_dose_is_left_out_with_its_reason(row: DoseRow, word: str) -> None:
    given = case(VANCOMYCIN).given
    lines, read = read_doses(VANCOMYCIN, given, (row,))
    assert lines == (given,)
    assert word in read[0].note


def test_a_covariate_outside_the_study_is_replaced_by_the_nearest_and_said_to_be_an_extrapolation() -> None:
    view = view_of(DOSING, case(VANCOMYCIN, LEVELS, {"body_weight_kg": 900.0}))
    assert view.case.covariates["body_weight_kg"] == 255.0
    assert "900 kg is refused" in view.covariate_notes["body_weight_kg"]
    assert is_extrapolation(view)
    missing = view_of(DOSING, case(VANCOMYCIN, (), {"body_weight_kg": float("nan")}))
    assert missing.case.covariates["body_weight_kg"] == 79.0
    assert missing.covariate_notes


def test_doses_to_come_are_flagged_and_a_level_to_come_is_refused() -> None:
    view = view_of(DOSING, replace(case(VANCOMYCIN, LEVELS), now_h=30.0))
    assert "7 of 10 doses are in the future" in view.notes[0]
    assert [row.is_refused for row in view.read] == [False, True]
    assert "in the future" in view.read[1].note


def test_a_level_with_its_own_unit_is_converted() -> None:
    asked = case(TACROLIMUS)
    for text in ("7.1", "7.1 ng/mL", "7.1 ug/L", "0.0071 mg/L"):
        (row,) = read_rows(TACROLIMUS, asked.covariates, (asked.given,), [LevelRow(time="12", level=text)])
        assert row.level is not None
        assert row.level.concentration_mg_l == pytest.approx(0.0071)
    assert "as a number" in notes(TACROLIMUS, ("12", "7 furlongs"))[0]


def test_two_models_share_one_posterior_by_weights_that_the_levels_decide() -> None:
    others = (DOSING.drug("vancomycin_buelga"),)
    before = view_of(DOSING, replace(case(VANCOMYCIN), others=others))
    after = view_of(DOSING, replace(case(VANCOMYCIN, LEVELS), others=others))
    assert [each.weight for each in before.weights] == [0.5, 0.5]
    assert sum(each.weight for each in after.weights) == pytest.approx(1.0)
    odds = np.exp((after.weights[1].phi - after.weights[0].phi) / 2.0)
    assert after.weights[0].weight / after.weights[1].weight == pytest.approx(odds)
    assert after.a_posteriori is not None
    assert np.isfinite(after.a_posteriori.percentiles_mg_l).all()


def test_probabilities_over_doses_and_intervals_never_gain_risk_by_a_longer_interval(levelled: CaseView) -> None:
    grid = advice_of(levelled, 50.0).grid
    by_amount: dict[float, list[float]] = {}
    for each in grid:
        by_amount.setdefault(each.candidate.amount_mg, []).append(each.risk_index)
    assert len(by_amount) >= 5
    assert all(np.all(np.diff(risks) <= 1e-9) for risks in by_amount.values())
