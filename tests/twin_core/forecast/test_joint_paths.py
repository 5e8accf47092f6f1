import numpy as np

from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import History
from twin_core.forecast import copula
from twin_core.forecast.forecaster import Forecaster


def made() -> tuple[Forecaster, History]:
    times = np.arange(0.0, 1441.0, 5.0)
    glucose = 150.0 + 40.0 * np.sin(times / 90.0)
    return Forecaster.load(), History(cgm_time_min=times, cgm_mg_dl=glucose)


def test_paths_have_the_quantiles_of_their_forecast() -> None:
    forecaster, history = made()
    forecast = forecaster.forecast(history, 1440.0)
    paths = forecaster.paths(forecast, 4000)
    assert paths.shape == (4000, len(HORIZONS_MIN))
    for level in (0.10, 0.25, 0.50, 0.75, 0.90):
        share = (paths <= forecast.quantile(level)).mean(axis=0)
        assert np.abs(share - level).max() < 0.03


def test_paths_are_the_same_each_time() -> None:
    forecaster, history = made()
    forecast = forecaster.forecast(history, 1440.0)
    assert np.array_equal(forecaster.paths(forecast, 50), forecaster.paths(forecast, 50))


def test_paths_agree_with_the_probability_of_a_low() -> None:
    forecaster, _ = made()
    times = np.arange(0.0, 1441.0, 5.0)
    forecast = forecaster.forecast(History(cgm_time_min=times, cgm_mg_dl=np.full(times.size, 82.0)), 1440.0)
    paths = forecaster.paths(forecast, 4000)
    falls = (paths[:, : HORIZONS_MIN.index(120.0) + 1] < copula.HYPOGLYCAEMIA_MG_DL).any(axis=1).mean()
    assert abs(falls - forecast.below_70_within_min[120]) < 0.03
