"""Errors of sensors: published numbers come out, a seed makes a path, arms share it."""

from pathlib import Path

import numpy as np
import pytest

from twin_core.domain.errors import BadInput, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.models.glucose.cgm_errors import SENSORS, Autoregression, SensorModel, errors, sensor_named

EVERY_5_MIN = np.arange(0.0, 60.0 * 1440.0, 5.0)
every_sensor = pytest.mark.parametrize("sensor", SENSORS, ids=lambda sensor: sensor.name)


def noise_of(sensor: SensorModel, seed: int = 1) -> FloatArray:
    path = errors(sensor, EVERY_5_MIN, np.random.default_rng(seed), faults=False)
    days = EVERY_5_MIN / 1440.0 % sensor.renewed_days
    return path.added_mg_dl - np.polynomial.polynomial.polyval(days, sensor.offset_mg_dl)


@pytest.mark.parametrize("name", ["vettoretti_2018", "vettoretti_2019_ten_days"])
def test_the_autoregression_that_went_in_is_found_again(name: str) -> None:
    sensor = sensor_named(name)
    assert isinstance(sensor.noise, tuple)
    v = noise_of(sensor)
    coefficients, rest, *_ = np.linalg.lstsq(np.column_stack((v[1:-1], v[:-2])), v[2:], rcond=None)
    np.testing.assert_allclose(coefficients, sensor.noise[0].coefficients, atol=0.03)
    assert rest[0] / (len(v) - 2) == pytest.approx(sensor.noise[0].variance, rel=0.05)


@pytest.mark.parametrize("name", [sensor.name for sensor in SENSORS if isinstance(sensor.noise, tuple)])
def test_noise_has_the_stationary_variance_of_its_parts_from_the_first_reading_on(name: str) -> None:
    sensor = sensor_named(name)
    assert isinstance(sensor.noise, tuple)
    expected = sum(part.stationary_variance for part in sensor.noise)
    assert noise_of(sensor).var() == pytest.approx(expected, rel=0.1)
    first = [
        errors(sensor, np.array([0.0, 5.0]), np.random.default_rng(seed), faults=False).added_mg_dl[0]
        for seed in range(800)
    ]
    assert np.var(first) == pytest.approx(expected, rel=0.15)


def test_the_stationary_variance_is_that_of_a_long_series() -> None:
    """The textbook formula against a first-order series: variance/(1 - p^2)."""
    assert Autoregression(coefficients=(0.6, 0.0), variance=2.0).stationary_variance == pytest.approx(2.0 / 0.64)


def test_the_navigators_error_has_its_published_mean_and_sd() -> None:
    """Breton and Kovatchev 2008: errors of mean 0.76 and SD 11 mg/dL; their model itself has 11.7, by its moments."""
    sensor = sensor_named("breton_kovatchev_2008")
    each = np.concatenate([noise_of(sensor, seed)[::3] for seed in range(12)])
    assert each.mean() == pytest.approx(0.76, abs=0.5)
    assert each.std() == pytest.approx(11.0, rel=0.1)
    assert np.corrcoef(each[1:], each[:-1])[0, 1] == pytest.approx(0.7, abs=0.03)


def test_drift_follows_the_published_polynomials_and_begins_anew() -> None:
    """Vettoretti 2019 table 1: a = 1.048 - 0.033 t + 0.002 t^2, b = -6.398 + 6.179 t - 0.448 t^2; ten days."""
    days = np.array([0.0, 5.0, 9.0, 15.0])
    path = errors(sensor_named("vettoretti_2019"), 1440.0 * days, np.random.default_rng(0), faults=False)
    np.testing.assert_allclose(path.gain, [1.048, 0.933, 0.913, 0.933])
    five = errors(sensor_named("vettoretti_2018"), np.array([0.0, 360.0, 719.0, 721.0]), np.random.default_rng(0))
    assert five.gain[0] < five.gain[1] < five.gain[2] > five.gain[3]


@every_sensor
def test_the_same_seed_makes_the_same_path_and_another_does_not(sensor: SensorModel) -> None:
    one, same, other = (errors(sensor, EVERY_5_MIN[:3000], np.random.default_rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.added_mg_dl, same.added_mg_dl)
    np.testing.assert_array_equal(one.missing, same.missing)
    assert np.abs(one.added_mg_dl - other.added_mg_dl).max() > 1.0


@every_sensor
def test_a_longer_path_begins_as_the_shorter_one(sensor: SensorModel) -> None:
    long, short = (errors(sensor, EVERY_5_MIN[:n], np.random.default_rng(4)) for n in (4000, 1000))
    np.testing.assert_allclose(long.added_mg_dl[:999], short.added_mg_dl[:999], atol=1e-9)
    np.testing.assert_array_equal(long.missing[:1000], short.missing)


def test_readings_between_two_values_of_the_noise_lie_between_them() -> None:
    sensor = sensor_named("vettoretti_2018")
    fine, coarse = (
        errors(sensor, np.arange(0.0, 300.1, width), np.random.default_rng(2), faults=False) for width in (1.0, 5.0)
    )
    np.testing.assert_allclose(fine.added_mg_dl[::5], coarse.added_mg_dl)
    np.testing.assert_allclose(fine.added_mg_dl[2], 0.6 * coarse.added_mg_dl[0] + 0.4 * coarse.added_mg_dl[1])


def test_arms_of_a_comparison_share_their_errors() -> None:
    path = errors(sensor_named("facchinetti_2014"), EVERY_5_MIN[:300], np.random.default_rng(1))
    arms = np.array([[150.0], [160.0]]) + np.zeros(300)
    shown = path.applied(arms)
    difference = shown[1] - shown[0]
    np.testing.assert_allclose(difference[~path.missing], 10.0 * path.gain[~path.missing])


def test_a_sensor_shows_40_to_400_and_nothing_in_a_gap() -> None:
    path = errors(sensor_named("vettoretti_2019"), EVERY_5_MIN, np.random.default_rng(1))
    seen = path.applied(np.linspace(0.0, 600.0, len(EVERY_5_MIN)))
    np.testing.assert_array_equal(np.isnan(seen), path.missing)
    assert path.missing.any()
    assert (np.nanmin(seen), np.nanmax(seen)) == (40.0, 400.0)


def test_gaps_are_short_and_mostly_by_day() -> None:
    """Facchinetti 2016: about 90 % of the disconnections lasted less than 20 min, more of them by day."""
    times = np.arange(0.0, 1000.0 * 1440.0, 5.0)
    missing = errors(sensor_named("vettoretti_2019"), times, np.random.default_rng(3)).missing
    begins = np.flatnonzero(missing & ~np.append(False, missing[:-1]))
    ends = np.flatnonzero(missing & ~np.append(missing[1:], False))
    assert np.mean(ends - begins + 1 < 4) == pytest.approx(0.9, abs=0.03)
    hour = times[begins] / 60.0 % 24.0
    assert 0.75 < np.mean((hour >= 7.0) & (hour < 23.0)) < 0.85


def test_compression_lowers_readings_at_night_by_the_published_depth_and_length() -> None:
    """Facchinetti 2016, medians: 24 mg/dL, 45 min."""
    times = np.arange(0.0, 600.0 * 1440.0, 5.0)
    with_faults, without = (
        errors(sensor_named("vettoretti_2019"), times, np.random.default_rng(3), faults=faults)
        for faults in (True, False)
    )
    lowered = without.added_mg_dl - with_faults.added_mg_dl
    assert lowered.min() > -1e-9
    hour = times / 60.0 % 24.0
    assert lowered[(hour >= 10.0) & (hour < 22.0)].max() < 2.0
    begins = np.flatnonzero((lowered > 1.0) & ~np.append(False, lowered[:-1] > 1.0))
    depths = np.array([lowered[begin : begin + 24].max() for begin in begins])
    assert np.median(depths) == pytest.approx(24.0, rel=0.15)
    above_half = [5.0 * np.sum(lowered[b : b + 40] > 0.5 * d) for b, d in zip(begins, depths, strict=True)]
    assert np.median(above_half) == pytest.approx(45.0, abs=8.0)


def test_nights_follow_local_time() -> None:
    times = np.arange(0.0, 200.0 * 1440.0, 5.0)
    with_faults, without = (
        errors(sensor_named("vettoretti_2019"), times, np.random.default_rng(3), utc_offset_min=720.0, faults=faults)
        for faults in (True, False)
    )
    hour = times / 60.0 % 24.0
    deep = without.added_mg_dl - with_faults.added_mg_dl > 5.0
    assert deep.any()
    assert ((hour[deep] > 10.9) & (hour[deep] < 22.0)).all()


@pytest.mark.parametrize("times", [[], [0.0, 0.0], [5.0, 0.0], [[0.0]]])
def test_times_that_are_no_times_are_refused(times: list[float]) -> None:
    with pytest.raises(BadInput, match="increasing"):
        errors(SENSORS[0], np.array(times), np.random.default_rng(0))


def test_an_unknown_sensor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="vettoretti_2019"):
        sensor_named("libre")


def test_every_sensor_has_its_source_and_stands_in_the_documents() -> None:
    text = (Path(__file__).parents[4] / "docs/explanation/cgm-errors.md").read_text()
    assert len({sensor.name for sensor in SENSORS}) == len(SENSORS)
    for sensor in SENSORS:
        assert sensor.source
        assert f"| `{sensor.name}` |" in text
