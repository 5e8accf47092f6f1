"""How fast and how exact the glucose model and its fit are: `python -m benchmarks mechanistic`."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from twin_core.domain.history import BasalRate, Bolus, FloatArray, History, Meal, Therapy
from twin_core.inference.map_fit import fit_twin
from twin_core.inference.state import current_state, response
from twin_core.inference.twin import FittedTwin, population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL, S2013, Parameters
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate, integrate_batch
from twin_core.solve.schedule import Schedule, schedule_of

PATIENTS = 10_000
MEALS = ((420.0, 45.0), (720.0, 70.0), (1080.0, 80.0))
DAY = Therapy(
    meals=tuple(Meal(time_min=t, carbs_g=g, duration_min=g / 5.0) for t, g in MEALS),
    boluses=tuple(Bolus(time_min=t, dose_u=g / 10.0) for t, g in MEALS),
)


def best_of(repeats: int, run: Callable[[], object]) -> tuple[float, float]:
    """Shortest wall and CPU seconds of a call."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def a_day(therapy: Therapy, step_min: float = 1.0) -> Schedule:
    return schedule_of(therapy, start_min=0.0, end_min=1440.0, step_min=step_min)


def compile_time() -> None:
    wall, cpu = best_of(1, kernel_of(MODEL).warm_up)
    print(f"compile both kernels          {wall:8.2f} s wall, {cpu:.2f} s CPU")


def single_patient() -> None:
    p, day = Parameters(), a_day(DAY)
    wall, cpu = best_of(50, lambda: integrate(MODEL, p, day))
    print(f"one patient-day, 1-min steps  {1e3 * wall:8.3f} ms wall, {1e3 * cpu:.3f} ms CPU")


def population() -> None:
    draws = population_twin().draws(PATIENTS, np.random.default_rng(0))
    wall, cpu = best_of(3, lambda: integrate_batch(MODEL, draws, a_day(DAY), every_min=5.0))
    print(f"batch of {PATIENTS} patient-days  {PATIENTS / wall:8.0f} /s wall, {PATIENTS / cpu:.0f} /s of CPU")


def thirty_people() -> None:
    people = population_twin().draws(30, np.random.default_rng(0))
    day = a_day(DAY)
    wall, cpu = best_of(50, lambda: integrate_batch(MODEL, people, day, every_min=5.0))
    print(f"30 people x 24 h, one core    {1e3 * wall:8.2f} ms wall, {1e3 * cpu:.2f} ms CPU (target 10)")


def hypoglycemia() -> None:
    people = population_twin().draws(PATIENTS, np.random.default_rng(0))
    compile_s, _ = best_of(1, kernel_of(S2013).warm_up)
    parameters = S2013.parameters(*people)
    wall, cpu = best_of(3, lambda: integrate_batch(S2013, parameters, a_day(DAY), every_min=5.0))
    print(
        f"the same, low-glucose risk    {PATIENTS / wall:8.0f} /s wall, {PATIENTS / cpu:.0f} /s of CPU; "
        f"compiled in {compile_s:.1f} s"
    )


def accuracy() -> None:
    people = population_twin().draws(100, np.random.default_rng(0))

    def curves(step_min: float) -> FloatArray:
        return integrate_batch(MODEL, people, a_day(DAY, step_min), every_min=1.0).output("glucose_mg_dl")

    fine = curves(0.05)
    for step_min in (1.0, 0.5):
        error = np.abs(curves(step_min) - fine).max()
        print(f"error of {step_min:3.1f}-min steps         {error:8.4f} mg/dL against 3-s steps, worst of 100 people")
    p = Parameters()
    drift = np.abs(integrate(MODEL, p, a_day(Therapy())).output("glucose_mg_dl") - p.Gb).max()
    print(f"drift at rest over 24 h       {drift:8.1e} mg/dL")


def what_if() -> None:
    basal = Therapy(basal=(BasalRate(time_min=-1000.0, rate_u_h=1.0),))
    bolus = Therapy(basal=basal.basal, boluses=(Bolus(time_min=0.0, dose_u=1.0),))
    history = History(cgm_time_min=np.array([0.0]), cgm_mg_dl=np.array([150.0]), therapy=basal)
    twin = population_twin(body_weight_kg=75.0, basal_u_h=1.0)
    for n, hours, target in ((1, 4, ""), (50, 4, ""), (200, 8, " (target 50)")):
        p = twin.draws(n, np.random.default_rng(0)) if n > 1 else twin.parameters
        state = current_state(p, history, 0.0)
        wall, cpu = best_of(50, partial(response, p, state, bolus, basal, now_min=0.0, horizon_min=60.0 * hours))
        spent = f"{1e3 * wall:8.3f} ms wall, {1e3 * cpu:.3f} ms CPU"
        print(f"what-if, {hours} h, {n:3d} draws       {spent} for both curves{target}")


def fit() -> None:
    truth = population_twin(body_weight_kg=80.0, basal_u_h=1.1).draws(1, np.random.default_rng(4))
    therapy = Therapy(meals=DAY.meals, boluses=DAY.boluses, basal=(BasalRate(time_min=-600.0, rate_u_h=1.1),))
    glucose = integrate_batch(MODEL, truth, a_day(therapy), every_min=5.0).output("glucose_mg_dl")[0]
    noisy = np.round(glucose + np.random.default_rng(5).normal(scale=6.0, size=glucose.shape))
    history = History(cgm_time_min=np.arange(0.0, 1441.0, 5.0), cgm_mg_dl=noisy.astype(np.float64), therapy=therapy)
    wall, cpu = best_of(3, lambda: fit_twin(history, now_min=1440.0, days=1.0, body_weight_kg=80.0))
    twin = fit_twin(history, now_min=1440.0, days=1.0, body_weight_kg=80.0)
    assert isinstance(twin, FittedTwin)
    assert twin.metrics is not None
    print(
        f"fit of one day                {wall:8.2f} s wall, {cpu:.2f} s CPU, RMSE {twin.metrics.rmse_mg_dl:.1f} mg/dL"
    )


def main() -> None:
    """Measure and print."""
    compile_time()
    single_patient()
    thirty_people()
    population()
    hypoglycemia()
    accuracy()
    what_if()
    fit()


if __name__ == "__main__":
    main()
