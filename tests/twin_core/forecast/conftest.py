"""Made-up records to forecast from, and the shipped forecaster."""

from collections.abc import Callable

import numpy as np
import pytest

from twin_core.domain.history import BasalRate, Bolus, History, LongActingDose, Meal, Therapy
from twin_core.forecast.forecaster import Forecaster

Record = Callable[..., History]


@pytest.fixture(scope="session")
def record() -> Record:
    """`record(days, seed)`: glucose that swings with three meals a day, every 5 min at a crooked phase."""

    def made(days: float = 3.0, seed: int = 1) -> History:
        rng = np.random.default_rng(seed)
        time = 1000.0 + 5.0 * np.arange(int(days * 288)) + rng.uniform(0.0, 4.9, int(days * 288))
        glucose = 140 + 40 * np.sin(time / 90) + 15 * np.sin(time / 23) + np.cumsum(rng.normal(0, 0.8, time.size))
        eaten = 1000.0 + 1440 * np.arange(int(days))[:, None] + np.array([430.0, 760.0, 1100.0])
        steps_at = np.arange(1000.0, 1000.0 + days * 1440, 15.0)
        return History(
            cgm_time_min=time,
            cgm_mg_dl=np.clip(glucose, 45, 390).round(),
            therapy=Therapy(
                meals=tuple(Meal(time_min=t, carbs_g=50.0) for t in eaten.ravel()),
                boluses=tuple(Bolus(time_min=t - 10, dose_u=5.0) for t in eaten.ravel()),
                basal=tuple(BasalRate(time_min=t, rate_u_h=0.8 + 0.1 * (t % 3)) for t in time[::20]),
                long_acting=tuple(LongActingDose(time_min=t, dose_u=12.0) for t in eaten[:, 2]),
            ),
            activity_time_min=steps_at,
            activity_steps=rng.integers(0, 900, steps_at.size).astype(float),
            utc_offset_min=60.0,
        )

    return made


@pytest.fixture(scope="session")
def flat() -> Record:
    """`flat(level)`: a day and a half of one constant value, every 5 min, nothing else."""

    def made(level_mg_dl: float, hours: float = 36.0) -> History:
        time = 5.0 * np.arange(int(hours * 12))
        return History(cgm_time_min=time, cgm_mg_dl=np.full(time.size, level_mg_dl))

    return made


@pytest.fixture(scope="session")
def shipped() -> Forecaster:
    return Forecaster.load()
