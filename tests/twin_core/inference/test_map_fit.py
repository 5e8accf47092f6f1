"""The twin is accepted on what it answers to a what-if, on virtual people whose truth is known, never on its fit."""

import json
from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.errors import DamagedArtifact, OutOfRange, UnknownName
from twin_core.domain.history import BasalInsulin, BasalRate, Bolus, FloatArray, History, LongActingDose, Meal, Therapy
from twin_core.inference.map_fit import TooLittleData, fit_twin, mean_basal_u_h, twin_without_insulin
from twin_core.inference.priors import PLAUSIBLE_SDS, population_prior
from twin_core.inference.structures import structure_named
from twin_core.inference.twin import FittedTwin, TwinKind, population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL, Parameters
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of

DAY_MIN = 1440.0
MEALS = ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))
"""The day of the what-if experiment (reference, glucose.md 3.4), minutes after 04:00 and grams."""
WEIGHT_KG, BASAL_U_H = 80.0, 1.1


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    kernel_of(MODEL).warm_up()


LOCAL_MIN = 240.0
"""Minute 0 is 04:00, where days begin."""


def virtual_person(seed: int) -> Parameters:
    """Somebody drawn from the prior."""
    prior = population_prior()
    z = np.clip(np.random.default_rng(seed).normal(size=len(prior.names)), -2.0, 2.0)
    return prior.parameters(prior.theta(z), body_weight_kg=WEIGHT_KG, basal_u_h=BASAL_U_H)


def day(*, bolus_factor: float = 1.0, g_per_u: float = 9.0) -> Therapy:
    return Therapy(
        meals=tuple(Meal(time_min=t, carbs_g=g, duration_min=5.0) for t, g in MEALS),
        boluses=tuple(Bolus(time_min=t, dose_u=bolus_factor * g / g_per_u) for t, g in MEALS),
        basal=(BasalRate(time_min=-600.0, rate_u_h=BASAL_U_H),),
    )


def sensed(p: Parameters, therapy: Therapy) -> FloatArray:
    schedule = schedule_of(therapy, start_min=0.0, end_min=DAY_MIN)
    return integrate_batch(MODEL, p, schedule, every_min=5.0).output("glucose_mg_dl")[0]


def record(p: Parameters, *, seed: int, therapy: Therapy | None = None) -> History:
    """A day with sensor noise of SD 6 mg/dL that lasts (AR(1) with 0.7)."""
    rng = np.random.default_rng(1000 + seed)
    therapy = therapy or day()
    clean = sensed(p, therapy)
    noise = np.zeros(len(clean))
    for i in range(1, len(noise)):
        noise[i] = 0.7 * noise[i - 1] + rng.normal(scale=6.0 * np.sqrt(1.0 - 0.49))
    glucose = np.clip(np.round(clean + noise), 40.0, 400.0)
    return History(
        cgm_time_min=5.0 * np.arange(len(clean)), cgm_mg_dl=glucose, therapy=therapy, utc_offset_min=LOCAL_MIN
    )


def fitted(seed: int) -> FittedTwin:
    twin = fit_twin(record(virtual_person(seed), seed=seed), now_min=DAY_MIN, days=1.0, body_weight_kg=WEIGHT_KG)
    assert isinstance(twin, FittedTwin)
    return twin


@pytest.fixture(scope="module")
def twins() -> dict[int, FittedTwin]:
    return {seed: fitted(seed) for seed in range(6)}


@pytest.mark.parametrize("bolus_factor", [0.7, 1.3])
def test_what_if_the_bolus_had_been_other_is_answered_with_the_right_size(
    twins: dict[int, FittedTwin], bolus_factor: float
) -> None:
    """Gain = mean predicted over mean true change; medians of about 0.95 were measured over 12 people."""
    gains = []
    for seed, twin in twins.items():
        changes = [
            (sensed(p, day(bolus_factor=bolus_factor)) - sensed(p, day())).mean()
            for p in (twin.parameters, virtual_person(seed))
        ]
        gains.append(changes[0] / changes[1])
    assert 0.8 < np.median(gains) < 1.2
    assert min(gains) > 0.5
    assert max(gains) < 1.8


def test_the_fit_meets_the_readings_and_beats_the_population(twins: dict[int, FittedTwin]) -> None:
    for seed, twin in twins.items():
        assert twin.metrics is not None
        assert twin.metrics.rmse_mg_dl < 8.0
        assert twin.metrics.n_readings == 288  # the 289th, at 04:00 again, would be a day of its own
        assert twin.metrics.coverage_90_percent > 80.0
        people = population_twin(body_weight_kg=WEIGHT_KG, basal_u_h=BASAL_U_H)
        truth = sensed(virtual_person(seed), day())
        error, error_of_average = (
            np.abs(sensed(p, day()) - truth).mean() for p in (twin.parameters, people.parameters)
        )
        assert error < error_of_average


def test_the_posterior_is_never_wider_than_the_prior_and_narrower_where_data_speak(
    twins: dict[int, FittedTwin],
) -> None:
    sd = np.sqrt(np.diag(twins[0].theta_covariance)) / population_prior().sd
    assert (sd <= 1.0 + 1e-9).all()
    assert sd.min() < 0.7
    assert sd[population_prior().names.index("Gb")] < 0.9
    assert any(note.startswith("These data told little about") for note in twins[0].notes)


def test_a_twin_survives_json_without_loss(twins: dict[int, FittedTwin]) -> None:
    again = FittedTwin.from_payload(json.loads(json.dumps(twins[1].to_payload())))
    assert again.parameters == twins[1].parameters
    np.testing.assert_array_equal(again.theta_covariance, twins[1].theta_covariance)
    assert again.to_payload() == twins[1].to_payload()
    assert again.windows == twins[1].windows
    assert again.carb_scales == twins[1].carb_scales
    assert again.experiments == twins[1].experiments


def test_a_twin_of_the_first_version_is_read_with_nothing_said_of_days(twins: dict[int, FittedTwin]) -> None:
    """Version 1 had no windows, carb scales and experiments, and fewer model parameters."""
    old = {k: v for k, v in twins[1].to_payload().items() if k not in ("windows", "carb_scales", "experiments")}
    later = {name: value for name, value in old["parameters"].items() if name not in ("kut", "alpha", "beta")}
    again = FittedTwin.from_payload({**old, "parameters": later})
    assert (again.windows, again.carb_scales, again.experiments) == ((), (), ())
    assert again.parameters == twins[1].parameters


def test_a_twin_without_a_fitted_parameter_is_refused(twins: dict[int, FittedTwin]) -> None:
    payload = twins[1].to_payload()
    less = {name: value for name, value in payload["parameters"].items() if name != "kp3"}
    with pytest.raises(DamagedArtifact, match="kp3"):
        FittedTwin.from_payload({**payload, "parameters": less})


@pytest.mark.parametrize(
    "damage", [{"theta_mean": [1.0]}, {"model": "other"}, {"kind": "guessed"}, {"parameters": {"BW": 1.0, "no": 2.0}}]
)
def test_a_damaged_payload_is_refused(twins: dict[int, FittedTwin], damage: dict[str, object]) -> None:
    with pytest.raises(DamagedArtifact):
        FittedTwin.from_payload({**twins[1].to_payload(), **damage})


def test_draws_spread_as_the_posterior_and_repeat_with_the_seed(twins: dict[int, FittedTwin]) -> None:
    draws = twins[2].draws(400, np.random.default_rng(1))
    again = twins[2].draws(400, np.random.default_rng(1))
    names = population_prior().names
    np.testing.assert_array_equal(draws.kabs, again.kabs)
    sd = np.sqrt(twins[2].theta_covariance[names.index("Gb")][names.index("Gb")])
    assert np.std(np.log(draws.Gb)) == pytest.approx(sd, rel=0.15)
    np.testing.assert_array_equal(draws.BW, np.full(400, WEIGHT_KG))
    np.testing.assert_allclose(draws.m4, 0.4 * draws.m2)


def test_the_same_data_give_the_same_twin_and_hash_and_other_data_another_hash() -> None:
    first, again, other = fitted(3), fitted(3), fitted(4)
    assert first.to_payload() == again.to_payload()
    assert first.data_hash != other.data_hash


def test_an_unknown_weight_is_assumed_and_said() -> None:
    twin = fit_twin(record(virtual_person(0), seed=0), now_min=DAY_MIN, days=1.0)
    assert isinstance(twin, FittedTwin)
    assert twin.parameters.BW == 75.0
    assert any("75 kg was assumed" in note for note in twin.notes)


def test_progress_rises_to_one_with_sentences() -> None:
    told: list[tuple[float, str]] = []
    fit_twin(
        record(virtual_person(0), seed=0),
        now_min=DAY_MIN,
        days=1.0,
        progress=lambda fraction, sentence: told.append((fraction, sentence)),
    )
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert len(told) > 3
    assert fractions[-1] == 1.0
    assert all(sentence.endswith(".") for _, sentence in told)


def test_readings_after_now_change_nothing() -> None:
    whole = record(virtual_person(0), seed=0)
    cut = replace(whole, cgm_time_min=whole.cgm_time_min[:200], cgm_mg_dl=whole.cgm_mg_dl[:200])
    now = float(cut.cgm_time_min[-1])
    first, second = (fit_twin(history, now_min=now, days=1.0) for history in (whole, cut))
    assert isinstance(first, FittedTwin)
    assert isinstance(second, FittedTwin)
    assert first.to_payload() == second.to_payload()


def test_too_little_data_is_a_value_that_says_what_is_missing() -> None:
    few = History(cgm_time_min=np.arange(20) * 5.0, cgm_mg_dl=np.full(20, 120.0))
    answer = fit_twin(few, now_min=100.0)
    assert isinstance(answer, TooLittleData)
    assert "20 glucose readings" in answer.sentence
    assert "no basal or long-acting insulin" in answer.sentence
    assert "neither a meal nor a bolus" in answer.sentence


def test_an_impossible_bolus_is_refused() -> None:
    p = virtual_person(0)
    history = record(p, seed=0)
    spoiled = Therapy(boluses=(Bolus(time_min=60.0, dose_u=-3.0),), basal=history.therapy.basal)
    with pytest.raises(OutOfRange):
        fit_twin(
            History(cgm_time_min=history.cgm_time_min, cgm_mg_dl=history.cgm_mg_dl, therapy=spoiled), now_min=DAY_MIN
        )


def test_the_mean_basal_is_that_of_pump_and_pen() -> None:
    pump = Therapy(basal=(BasalRate(time_min=0.0, rate_u_h=1.0), BasalRate(time_min=720.0, rate_u_h=2.0)))
    assert mean_basal_u_h(pump, start_min=0.0, end_min=1440.0) == pytest.approx(1.5)
    pen = Therapy(long_acting=(LongActingDose(time_min=0.0, dose_u=24.0),))
    assert mean_basal_u_h(pen, start_min=0.0, end_min=1440.0) == pytest.approx(1.0)
    assert mean_basal_u_h(Therapy(), start_min=0.0, end_min=1440.0) == 0.0


def test_the_population_twin_is_labelled_and_draws_the_spread_between_people() -> None:
    twin = population_twin(body_weight_kg=70.0, basal_u_h=0.9)
    assert twin.kind is TwinKind.POPULATION
    assert twin.metrics is None
    assert (twin.parameters.BW, twin.parameters.basal_u_h) == (70.0, 0.9)
    draws = twin.draws(2000, np.random.default_rng(0))
    assert np.std(np.log(draws.kp3)) == pytest.approx(0.5, rel=0.1)
    for estimate in twin.estimates:
        assert (estimate.mean, estimate.sd) == (estimate.prior_mean, estimate.prior_sd)
        assert estimate.unit


def test_days_and_meals_may_differ_without_bending_the_person() -> None:
    """Two days of one person, the second with insulin acting 40 % stronger in the afternoon and a meal miscounted."""
    p, rng = virtual_person(1), np.random.default_rng(9)
    days = [day(), Therapy(meals=tuple(replace(m, time_min=m.time_min + DAY_MIN) for m in day().meals))]
    counted = Therapy(
        meals=(*days[0].meals, *days[1].meals),
        boluses=tuple(replace(b, time_min=b.time_min + d * DAY_MIN) for d in (0, 1) for b in day().boluses),
        basal=(BasalRate(time_min=-600.0, rate_u_h=BASAL_U_H), BasalRate(time_min=DAY_MIN, rate_u_h=BASAL_U_H)),
    )
    eaten = replace(
        counted,
        meals=tuple(replace(m, carbs_g=1.4 * m.carbs_g) if m.time_min == DAY_MIN + 480.0 else m for m in counted.meals),
    )
    schedule = schedule_of(eaten, start_min=0.0, end_min=2 * DAY_MIN)
    stronger = np.where((schedule.times_min >= DAY_MIN + 780.0), 1.4, 1.0)
    glucose = integrate_batch(MODEL, p, schedule.with_input("sensitivity", stronger), every_min=5.0).output(
        "glucose_mg_dl"
    )[0]
    noisy = glucose + rng.normal(scale=3.0, size=len(glucose))
    history = History(
        cgm_time_min=5.0 * np.arange(len(glucose)), cgm_mg_dl=noisy, therapy=counted, utc_offset_min=LOCAL_MIN
    )
    twin = fit_twin(history, now_min=2 * DAY_MIN, days=2.0, body_weight_kg=WEIGHT_KG)
    assert isinstance(twin, FittedTwin)
    assert [w.start_min for w in twin.windows] == [0.0, 420.0, 780.0, 1440.0, 1860.0, 2220.0]
    assert [c.time_min for c in twin.carb_scales] == [180.0, 480.0, 840.0, 1620.0, 1920.0, 2280.0]
    logs = [c.log_mean for c in twin.carb_scales]
    assert logs[4] == max(logs)
    assert logs[4] > 0.12
    sensitivities = [w.log_mean for w in twin.windows]
    assert sensitivities[5] == max(sensitivities)
    assert all(0.0 < w.log_sd <= 0.2 for w in twin.windows)


def test_both_structures_are_fitted_by_the_same_call_and_agree_on_the_sign() -> None:
    kernel_of(structure_named("hovorka_t1d").model).warm_up()
    twin = fit_twin(
        record(virtual_person(2), seed=2), now_min=DAY_MIN, days=1.0, body_weight_kg=WEIGHT_KG, structure="hovorka_t1d"
    )
    assert isinstance(twin, FittedTwin)
    assert twin.model == "hovorka_t1d"
    model = twin.structure.model
    less, more = (
        integrate_batch(
            model, twin.parameters, schedule_of(day(bolus_factor=k), start_min=0.0, end_min=DAY_MIN), every_min=5.0
        )
        for k in (0.7, 1.3)
    )
    assert (less.output("glucose_mg_dl").mean() - more.output("glucose_mg_dl").mean()) > 5.0
    assert FittedTwin.from_payload(json.loads(json.dumps(twin.to_payload()))).parameters == twin.parameters


def test_an_unknown_structure_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="hovorka_t1d"):
        fit_twin(record(virtual_person(0), seed=0), now_min=DAY_MIN, days=1.0, structure="bergman")


def test_a_parameter_on_its_bound_is_said() -> None:
    """Glucose stands at 395 mg/dL for three days of basal insulin, which hardly anybody of the prior does."""
    times = np.arange(0.0, 3.0 * DAY_MIN, 5.0)
    basal = tuple(BasalRate(time_min=d * DAY_MIN - 600.0, rate_u_h=BASAL_U_H) for d in range(4))
    history = History(
        cgm_time_min=times,
        cgm_mg_dl=np.full(len(times), 395.0),
        therapy=Therapy(meals=(Meal(time_min=60.0, carbs_g=5.0),), basal=basal),
        utc_offset_min=LOCAL_MIN,
    )
    twin = fit_twin(history, now_min=3.0 * DAY_MIN, days=3.0, body_weight_kg=WEIGHT_KG)
    assert isinstance(twin, FittedTwin)
    prior = population_prior()
    z = (twin.theta_mean - prior.centre) / prior.sd
    assert np.abs(z).max() == pytest.approx(PLAUSIBLE_SDS)
    on_bound = prior.names[int(np.argmax(np.abs(z)))]
    assert any(note.startswith("On the edge") and on_bound in note for note in twin.notes)


def test_a_record_that_contradicts_itself_is_not_fitted() -> None:
    """Each reading of the day is another person's, at random."""
    history = record(virtual_person(0), seed=0)
    shuffled = np.random.default_rng(1).permutation(np.linspace(45.0, 395.0, len(history.cgm_mg_dl)))
    answer = fit_twin(replace(history, cgm_mg_dl=shuffled), now_min=DAY_MIN, days=1.0, body_weight_kg=WEIGHT_KG)
    assert isinstance(answer, TooLittleData)
    assert "do not go with the glucose" in answer.sentence


def test_without_insulin_there_is_a_weaker_twin_that_says_so() -> None:
    kernel_of(structure_named("edes").model).warm_up()
    times = np.arange(0.0, DAY_MIN, 5.0)
    eaten = Therapy(meals=day().meals)
    truth = structure_named("edes")
    p = truth.prior.parameters(
        truth.prior.theta(np.array([0.8, -1.0, 0.5, 0.0, 0.5])), body_weight_kg=WEIGHT_KG, basal_u_h=0.0
    )
    schedule = schedule_of(eaten, start_min=0.0, end_min=DAY_MIN)
    glucose = integrate_batch(truth.model, p, schedule, every_min=5.0).output("glucose_mg_dl")[0, :-1]
    history = History(
        cgm_time_min=times,
        cgm_mg_dl=glucose + np.random.default_rng(2).normal(scale=3.0, size=len(times)),
        therapy=eaten,
        utc_offset_min=LOCAL_MIN,
    )
    twin = twin_without_insulin(history, now_min=DAY_MIN, days=1.0, body_weight_kg=WEIGHT_KG)
    assert isinstance(twin, FittedTwin)
    assert twin.kind is TwinKind.GLUCOSE_AND_MEALS
    assert "no answer about insulin" in " ".join(twin.notes)
    assert twin.experiments == ()
    assert twin.parameters.Gb == pytest.approx(p.Gb, rel=0.05)
    assert twin.parameters.k1 == pytest.approx(p.k1, rel=0.25)
    again = FittedTwin.from_payload(json.loads(json.dumps(twin.to_payload())))
    assert again.draws(3, np.random.default_rng(0)).k1.shape == (3,)
    alone = twin_without_insulin(replace(history, therapy=Therapy()), now_min=DAY_MIN, days=1.0)
    assert isinstance(alone, FittedTwin)
    assert alone.kind is TwinKind.POPULATION
    assert "neither insulin nor food" in alone.notes[0]
    refused = twin_without_insulin(replace(history, therapy=day()), now_min=DAY_MIN, days=1.0)
    assert isinstance(refused, TooLittleData)


def test_a_pen_that_acts_less_counts_less_as_basal_insulin() -> None:
    """A unit of glargine 300 U/mL acts as 0.83 of one of 100 U/mL (Becker 2015, Diabetes Care 38(4):637, table 1)."""
    doses = (LongActingDose(time_min=0.0, dose_u=24.0, insulin=BasalInsulin.GLARGINE_U300),)
    assert mean_basal_u_h(Therapy(long_acting=doses), start_min=0.0, end_min=DAY_MIN) == pytest.approx(0.83)
