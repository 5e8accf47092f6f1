"""The filter is accepted on people whose truth is known; the whole protocol is `validation/filter_protocol.py`."""

from dataclasses import replace

import numpy as np
import pytest

from twin_core.domain.errors import BadInput
from twin_core.domain.forecasts import QUANTILE_LEVELS
from twin_core.domain.history import BasalRate, Bolus, FloatArray, History, Meal, Therapy
from twin_core.inference.ensemble import (
    DEFAULT,
    Ensemble,
    FilterSettings,
    advanced,
    begun,
    course_of,
    expected_reading,
    updated,
)
from twin_core.inference.ensemble_filter import (
    FilterRun,
    FilterStatus,
    Moment,
    filter_of,
    moments,
    run_filter,
    usable_readings,
)
from twin_core.inference.priors import population_prior
from twin_core.inference.twin import FitMetrics, FittedTwin, TwinKind, population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL, Parameters
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of

DAY_MIN = 1440.0
WEIGHT_KG, BASAL_U_H = 80.0, 1.1
MEALS = ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))
METRICS = FitMetrics(
    rmse_mg_dl=8.0,
    mard_percent=5.0,
    coverage_90_percent=90.0,
    n_readings=576,
    error_sd_mg_dl=9.0,
    error_correlation=0.9,
)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    kernel_of(MODEL).warm_up()


def lived(
    seed: int, *, sensitivity: float = 1.0, eaten: float = 1.0, hidden: tuple[Meal, ...] = ()
) -> tuple[FittedTwin, History]:
    """A virtual person of the prior over a day: their twin, nearly right, and readings with noise that lasts.

    What was eaten is `eaten` times what was counted, and `hidden` was not recorded.
    """
    prior, rng = population_prior(), np.random.default_rng(seed)
    z = np.clip(rng.normal(size=len(prior.names)), -1.5, 1.5)
    truth = prior.parameters(prior.theta(z), body_weight_kg=WEIGHT_KG, basal_u_h=BASAL_U_H)
    guess = prior.theta(z + 0.3 * rng.normal(size=len(z)))
    twin = FittedTwin(
        kind=TwinKind.FITTED,
        parameters=prior.parameters(guess, body_weight_kg=WEIGHT_KG, basal_u_h=BASAL_U_H),
        theta_mean=guess,
        theta_covariance=np.diag((0.3 * prior.sd) ** 2),
        metrics=METRICS,
        window_min=(-2.0 * DAY_MIN, 0.0),
    )
    counted = Therapy(
        meals=tuple(Meal(time_min=t, carbs_g=g, duration_min=5.0) for t, g in MEALS),
        boluses=tuple(Bolus(time_min=t, dose_u=g / 9.0) for t, g in MEALS),
        basal=(BasalRate(time_min=-600.0, rate_u_h=BASAL_U_H),),
    )
    meals = (*(replace(meal, carbs_g=eaten * meal.carbs_g) for meal in counted.meals), *hidden)
    steps = schedule_of(replace(counted, meals=meals), start_min=0.0, end_min=DAY_MIN)
    glucose = integrate_batch(MODEL, truth, steps.with_input("sensitivity", sensitivity), every_min=5.0)
    shown = glucose.output("glucose_mg_dl")[0] + lasting_noise(len(glucose.times_min), rng)
    return twin, History(cgm_time_min=glucose.times_min, cgm_mg_dl=np.clip(shown, 40.0, 400.0), therapy=counted)


def lasting_noise(n: int, rng: np.random.Generator) -> FloatArray:
    """SD 6 mg/dL, correlation 0.7 over 5 min."""
    noise = np.zeros(n)
    for i in range(1, n):
        noise[i] = 0.7 * noise[i - 1] + rng.normal(scale=6.0 * np.sqrt(1.0 - 0.49))
    return noise


def run(twin: FittedTwin, history: History, end_min: float = DAY_MIN, seed: int = 0) -> FilterRun:
    return run_filter(twin, history, start_min=0.0, end_min=end_min, rng=np.random.default_rng(seed))


def some_ensemble(seed: int = 0, time_min: float = 300.0) -> tuple[Ensemble, FittedTwin, History]:
    twin, history = lived(seed)
    course = course_of(MODEL, history.therapy, start_min=time_min, end_min=DAY_MIN)
    return begun(twin, history, course, time_min, np.random.default_rng(seed)), twin, history


# What it finds -------------------------------------------------------------------------------------------------


def forecasts_of(seed: int, horizon_min: float = 60.0) -> FloatArray:
    """Low, middle and high forecasts, what was read then, and the last reading; shape `(n, 5)`."""
    twin, history = lived(seed, sensitivity=0.8)
    rng = np.random.default_rng(seed)
    filtering = filter_of(twin, history, start_min=0.0, end_min=DAY_MIN, ahead_min=60.0)
    rows = []
    for moment in moments(filtering, rng):
        now_min = moment.ensemble.time_min
        if now_min % 30.0 == 0.0 and 120.0 <= now_min <= DAY_MIN - horizon_min:
            then, now = np.searchsorted(history.cgm_time_min, (now_min + horizon_min, now_min))
            (quantiles,) = filtering.forecast(moment, (horizon_min,), rng).quantiles_mg_dl
            rows.append((*quantiles[[0, 3, 6]], history.cgm_mg_dl[then], history.cgm_mg_dl[now]))
    return np.array(rows)


def test_an_hour_ahead_it_beats_the_last_reading_and_its_intervals_hold() -> None:
    """Over twelve people medians of 11.8 against 24.4 mg/dL and a coverage of 0.92 were measured."""
    low, middle, high, seen, last = np.concatenate([forecasts_of(seed) for seed in range(3)]).T
    assert np.sqrt(np.mean((middle - seen) ** 2)) < 0.7 * np.sqrt(np.mean((last - seen) ** 2))
    assert 0.82 <= np.mean((low <= seen) & (seen <= high)) <= 0.98


@pytest.mark.parametrize("seed", range(3))
def test_weaker_insulin_is_told_from_stronger(seed: int) -> None:
    weaker, stronger = (run(*lived(seed, sensitivity=factor)) for factor in (0.6, 1.6))
    late = np.arange(len(weaker.updates)) > 100
    assert np.median(weaker.sensitivity[late, 1]) < 0.93 < 1.07 < np.median(stronger.sensitivity[late, 1])


@pytest.mark.parametrize("seed", range(3))
def test_meals_counted_too_low_are_told_from_meals_counted_too_high(seed: int) -> None:
    more, less = (run(*lived(seed, eaten=factor)) for factor in (1.5, 0.6))
    assert [meal.counted_g for meal in more.meals] == [g for _, g in MEALS]
    assert np.median([meal.p50 for meal in more.meals]) > 1.1
    assert np.median([meal.p50 for meal in less.meals]) < 0.9
    for meal in (*more.meals, *less.meals):
        assert meal.p05 < meal.p50 < meal.p95


def test_a_snack_nobody_recorded_raises_the_flow_into_the_blood() -> None:
    """By 0.11 to 0.22 mg/kg/min over three hours; the rest is taken for carbohydrate still in the gut."""
    rises = []
    for seed in (0, 3, 4):
        told, secret = (run(*lived(seed, hidden=h)) for h in ((), (Meal(time_min=660.0, carbs_g=60.0),)))
        after = np.array([660.0 < update.time_min < 840.0 for update in told.updates])
        rises.append((secret.flow_mg_kg_min - told.flow_mg_kg_min)[after, 1].mean())
    assert min(rises) > 0.0
    assert np.mean(rises) > 0.08


def test_forecasts_widen_for_a_person_who_lives_otherwise_than_recorded() -> None:
    snacks = tuple(Meal(time_min=t, carbs_g=70.0) for t in (60.0, 330.0, 600.0, 720.0, 1020.0, 1200.0))
    as_recorded, otherwise = (run(*lived(2, hidden=hidden)).moment for hidden in ((), snacks))
    assert as_recorded is not None
    assert otherwise is not None
    assert otherwise.widening > 1.5 * as_recorded.widening


# The update ----------------------------------------------------------------------------------------------------


def test_the_update_is_kalmans_where_reading_and_state_are_linear() -> None:
    """Mean m + V/(V + R) (y - m) and variance V R/(V + R), for members with one set of parameters."""
    ensemble, _, history = some_ensemble()
    alike = Parameters(*(np.full_like(column, column[0]) for column in ensemble.parameters))
    ensemble = replace(ensemble, parameters=alike)
    course = course_of(MODEL, history.therapy, start_min=300.0, end_min=DAY_MIN)
    mean, sd = expected_reading(ensemble)
    R = DEFAULT.reading_sd_mg_dl**2
    V = sd**2 - R
    after = updated(ensemble, mean + 9.0, course)
    new_mean, new_sd = expected_reading(after)
    assert new_mean == pytest.approx(mean + V / (V + R) * 9.0, rel=1e-9)
    assert new_sd**2 - R == pytest.approx(V * R / (V + R), rel=1e-6)


def test_insulin_takes_a_share_of_the_gain_and_glucose_all_of_it() -> None:
    ensemble, _, history = some_ensemble()
    course = course_of(MODEL, history.therapy, start_min=300.0, end_min=DAY_MIN)
    mean, _ = expected_reading(ensemble)
    names = [state.name for state in MODEL.states]
    moved = {
        share: (
            updated(ensemble, mean + 5.0, course, FilterSettings(insulin_share=share)).states - ensemble.states
        ).mean(axis=0)
        for share in (0.0, 0.3, 1.0)
    }
    for name in ("Ip", "X", "XL", "Isc2"):
        i = names.index(name)
        assert moved[0.0][i] == pytest.approx(0.0, abs=1e-9)
        assert moved[0.3][i] == pytest.approx(0.3 * moved[1.0][i])
    assert moved[0.0][names.index("Gp")] == pytest.approx(moved[1.0][names.index("Gp")])


def test_a_wild_reading_moves_the_ensemble_no_farther_than_one_at_the_limit() -> None:
    ensemble, _, history = some_ensemble()
    course = course_of(MODEL, history.therapy, start_min=300.0, end_min=DAY_MIN)
    mean, sd = expected_reading(ensemble)
    at_limit = updated(ensemble, mean + DEFAULT.wild * sd, course)
    beyond = updated(ensemble, 600.0, course)
    np.testing.assert_allclose(beyond.states, at_limit.states)
    assert expected_reading(beyond)[0] > mean


def test_members_that_have_become_alike_are_spread_again() -> None:
    ensemble, _, history = some_ensemble()
    course = course_of(MODEL, history.therapy, start_min=300.0, end_min=DAY_MIN)
    centre = ensemble.states.mean(axis=0)
    alike = Parameters(*(np.full_like(column, column[0]) for column in ensemble.parameters))
    collapsed = replace(ensemble, parameters=alike, states=centre + 1e-3 * (ensemble.states - centre))
    once = updated(collapsed, expected_reading(collapsed)[0], course)
    twice = updated(once, expected_reading(once)[0], course)
    assert twice.glucose_mg_dl.std() > 1.2 * collapsed.glucose_mg_dl.std()


def test_no_state_that_cannot_be_negative_ever_is_whatever_is_read() -> None:
    twin, history = lived(5)
    wild = np.random.default_rng(0).choice([25.0, 40.0, 150.0, 400.0, 590.0], size=len(history.cgm_mg_dl))
    signed = np.array([state.name in MODEL.signed_states for state in MODEL.states])
    filtering = filter_of(twin, replace(history, cgm_mg_dl=wild), start_min=0.0, end_min=DAY_MIN)
    for moment in moments(filtering, np.random.default_rng(0)):
        assert np.isfinite(moment.ensemble.states).all()
        assert (moment.ensemble.states[:, ~signed] >= 0.0).all()
        assert (np.abs(moment.ensemble.log_sensitivity) <= np.log(10.0)).all()


# What may go wrong ---------------------------------------------------------------------------------------------


def test_the_spread_grows_over_a_gap_and_the_filter_goes_on() -> None:
    twin, history = lived(1)
    silent = (history.cgm_time_min > 500.0) & (history.cgm_time_min < 740.0)
    gap = replace(history, cgm_time_min=history.cgm_time_min[~silent], cgm_mg_dl=history.cgm_mg_dl[~silent])
    through = run(twin, gap)
    last_before, first_after = (
        next(update for update in through.updates if update.time_min == time_min) for time_min in (500.0, 740.0)
    )
    assert first_after.expected_sd_mg_dl > 1.5 * last_before.expected_sd_mg_dl
    assert through.status is FilterStatus.OK
    assert "Once nothing was measured for more than an hour" in through.sentence
    assert through.updates[-1].time_min == DAY_MIN
    assert through.updates[-1].expected_sd_mg_dl < first_after.expected_sd_mg_dl


def test_the_spread_grows_while_nothing_is_read() -> None:
    ensemble, _, history = some_ensemble()
    course = course_of(MODEL, history.therapy, start_min=300.0, end_min=DAY_MIN)
    later = [advanced(ensemble, course, 300.0 + m, np.random.default_rng(0)) for m in (30.0, 120.0, 900.0)]
    spreads = [expected_reading(each)[1] for each in (ensemble, *later)]
    assert spreads == sorted(spreads)
    assert [each.time_min for each in later] == [330.0, 420.0, 1200.0]


def test_doubles_and_impossible_readings_are_left_out_and_counted() -> None:
    times = np.array([10.0, 0.0, 5.0, 5.2, 15.0, 20.0, 25.0, 27.0])
    values = np.array([110.0, 100.0, 105.0, 300.0, np.nan, 5.0, 900.0, 130.0])
    readings = usable_readings(History(cgm_time_min=times, cgm_mg_dl=values), start_min=0.0, end_min=30.0)
    assert readings.time_min.tolist() == [0.0, 5.0, 10.0, 27.0]
    assert readings.glucose_mg_dl.tolist() == [100.0, 105.0, 110.0, 130.0]
    assert readings.left_out == 4


def test_doubled_and_impossible_readings_change_nothing() -> None:
    twin, history = lived(1)
    worse = replace(
        history,
        cgm_time_min=np.concatenate((history.cgm_time_min, history.cgm_time_min[50:60], [301.0, 302.0])),
        cgm_mg_dl=np.concatenate((history.cgm_mg_dl, history.cgm_mg_dl[50:60], [1e4, -3.0])),
    )
    clean, spoiled = run(twin, history), run(twin, worse)
    np.testing.assert_array_equal(clean.sensitivity, spoiled.sensitivity)
    assert (clean.left_out, spoiled.left_out) == (0, 12)


def test_half_an_hour_of_wild_readings_resets_to_the_twin_and_says_so() -> None:
    twin, history = lived(3)
    jumped = history.cgm_mg_dl.copy()
    jumped[150:170] = np.where(jumped[150:170] > 200.0, 40.0, 400.0)
    through = run(twin, replace(history, cgm_mg_dl=jumped))
    assert through.status is FilterStatus.RESET
    assert "began again from the last good twin" in through.sentence
    assert 750.0 <= through.resets_min[0] <= 790.0
    assert through.glucose_mg_dl[-1, 1] == pytest.approx(history.cgm_mg_dl[-1], abs=30.0)


def test_one_wild_reading_resets_nothing() -> None:
    twin, history = lived(3)
    jumped = history.cgm_mg_dl.copy()
    jumped[150] = 40.0
    assert run(twin, replace(history, cgm_mg_dl=jumped)).status is FilterStatus.OK


def test_lost_members_are_replaced_and_a_lost_ensemble_begins_again() -> None:
    ensemble, twin, history = some_ensemble(time_min=300.0)
    filtering = filter_of(twin, history, start_min=300.0, end_min=DAY_MIN)
    for lost, was_reset in ((slice(0, 7), False), (slice(None), True)):
        states = ensemble.states.copy()
        states[lost, 3] = np.inf
        broken = Moment(ensemble=replace(ensemble, states=states, log_carbs=np.zeros((100, 3))))
        with np.errstate(invalid="ignore"):
            after = filtering.after(broken, 305.0, 130.0, np.random.default_rng(0))
        assert after.was_reset is was_reset
        assert np.isfinite(after.ensemble.states).all()


def test_too_little_data_is_a_value_that_says_what_is_missing() -> None:
    twin, history = lived(0)
    few = run(twin, history, end_min=50.0)
    assert few.status is FilterStatus.TOO_LITTLE_DATA
    assert few.moment is None
    assert "There are 11 usable glucose readings" in few.sentence
    nothing = run(twin, replace(history, cgm_time_min=np.empty(0), cgm_mg_dl=np.empty(0)))
    assert nothing.status is FilterStatus.TOO_LITTLE_DATA


def test_the_same_seed_gives_the_same_answer_and_later_readings_change_nothing() -> None:
    twin, history = lived(0)
    first, again, other = (run(twin, history, end_min=700.0, seed=seed) for seed in (1, 1, 2))
    cut = history.cgm_time_min <= 700.0
    earlier = replace(history, cgm_time_min=history.cgm_time_min[cut], cgm_mg_dl=history.cgm_mg_dl[cut])
    np.testing.assert_array_equal(first.sensitivity, again.sensitivity)
    np.testing.assert_array_equal(first.sensitivity, run(twin, earlier, end_min=700.0, seed=1).sensitivity)
    assert not np.array_equal(first.sensitivity, other.sensitivity)


# Forecasts and structures --------------------------------------------------------------------------------------


def test_an_announced_meal_raises_the_forecast_and_quantiles_increase() -> None:
    twin, history = lived(0)
    meals = (*history.therapy.meals, Meal(time_min=720.0, carbs_g=50.0))
    announced = replace(history, therapy=replace(history.therapy, meals=meals))
    curves = []
    for record in (history, announced):
        through = run(twin, record, end_min=700.0)
        assert through.moment is not None
        forecast = through.filter.forecast(through.moment, np.arange(5.0, 485.0, 5.0), np.random.default_rng(1))
        assert forecast.quantiles_mg_dl.shape == (96, len(QUANTILE_LEVELS))
        assert (np.diff(forecast.quantiles_mg_dl, axis=1) >= 0.0).all()
        curves.append(forecast.quantile(0.50))
    assert np.abs(curves[1][:3] - curves[0][:3]).max() < 3.0
    assert curves[1][15] > curves[0][15] + 20.0


@pytest.mark.parametrize("horizons", [(0.0,), (-5.0,), (2000.0,)])
def test_a_horizon_outside_the_course_is_refused(horizons: tuple[float, ...]) -> None:
    twin, history = lived(0)
    through = run(twin, history, end_min=700.0)
    assert through.moment is not None
    with pytest.raises(BadInput, match="Horizons"):
        through.filter.forecast(through.moment, horizons, np.random.default_rng(0))


def test_meals_keep_their_part_in_the_course() -> None:
    """What the members scale adds up to what the schedule brings, also where two meals touch."""
    therapy = Therapy(
        meals=(Meal(time_min=60.0, carbs_g=30.0), Meal(time_min=75.0, carbs_g=20.0), Meal(time_min=300.0, carbs_g=9.0))
    )
    course = course_of(MODEL, therapy, start_min=0.0, end_min=480.0)
    for name, parts in (("carbs_mg_min", course.carbs_mg_min), ("eaten_mg", course.eaten_mg)):
        np.testing.assert_allclose(parts.sum(axis=0), course.schedule.input(name), atol=1e-6)
    np.testing.assert_allclose(course.carbs_mg_min @ course.schedule.widths_min, [30_000.0, 20_000.0, 9_000.0])


def test_the_second_structure_and_the_population_run_too() -> None:
    _, history = lived(0)
    for structure in ("uva_padova_t1d", "hovorka_t1d"):
        twin = population_twin(body_weight_kg=WEIGHT_KG, basal_u_h=BASAL_U_H, structure=structure)
        through = run(twin, history, end_min=300.0)
        assert through.status is not FilterStatus.TOO_LITTLE_DATA
        assert np.isfinite(through.glucose_mg_dl).all()
