"""How long a forecast takes: `OMP_NUM_THREADS=1 python benchmarks/forecast_latency.py`.

A made-up record of 70 days with a reading every 5 min, three meals and boluses a day and a basal rate every hour.
"""

import time
from collections.abc import Callable

import numpy as np

from twin_core.domain.history import BasalRate, Bolus, History, Meal, Therapy
from twin_core.forecast.context import inputs_of
from twin_core.forecast.forecaster import Forecaster

DAYS = 70
BATCH = 500


def record() -> History:
    time_min = 5.0 * np.arange(DAYS * 288)
    eaten = (1440 * np.arange(DAYS)[:, None] + np.array([430.0, 760.0, 1100.0])).ravel()
    return History(
        cgm_time_min=time_min,
        cgm_mg_dl=150 + 50 * np.sin(time_min / 90),
        therapy=Therapy(
            meals=tuple(Meal(time_min=t, carbs_g=50.0) for t in eaten),
            boluses=tuple(Bolus(time_min=t, dose_u=5.0) for t in eaten),
            basal=tuple(BasalRate(time_min=t, rate_u_h=0.8) for t in time_min[::12]),
        ),
    )


def median_ms(call: Callable[[], object], repeats: int) -> float:
    call()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return 1e3 * float(np.median(taken))


def main() -> None:
    history, forecaster = record(), Forecaster.load()
    now = float(history.cgm_time_min[-1])
    everywhere = history.cgm_time_min
    batch = inputs_of(history, everywhere[-BATCH:])
    one = median_ms(lambda: forecaster.forecast(history, now), 200)
    network = median_ms(lambda: forecaster.model.predict(batch.rows(slice(1))), 200)
    many = median_ms(lambda: forecaster.model.predict(batch), 20)
    all_windows = median_ms(lambda: inputs_of(history, everywhere), 3)
    print(f"load weights                     {median_ms(Forecaster.load, 20):8.2f} ms")
    print(f"one forecast, features included  {one:8.2f} ms")
    print(f"model only, one origin           {network:8.2f} ms")
    print(f"model only, batch   of {BATCH}       {many:8.2f} ms = {1e3 * many / BATCH:.0f} us each")
    print(f"inputs of {DAYS} days                 {all_windows:8.0f} ms = {everywhere.size} origins")
    print(f"coverage of 14 days              {median_ms(lambda: forecaster.coverage(history, now), 5):8.0f} ms")


if __name__ == "__main__":
    main()
