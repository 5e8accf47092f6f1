"""How long the twin's fit takes: `OMP_NUM_THREADS=1 python -m benchmarks fit`.

With more threads the matrices, which are small, cost more CPU seconds than they save.
"""

import time

import numpy as np

from twin_core.domain.history import BasalRate, Bolus, FloatArray, History, Meal, Therapy
from twin_core.inference.map_fit import fit_twin
from twin_core.inference.structures import structure_named
from twin_core.inference.twin import FittedTwin
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import schedule_of

MEALS = ((180.0, 45.0), (480.0, 70.0), (840.0, 80.0))
BASAL_U_H, WEIGHT_KG = 1.1, 80.0
TARGETS_S = {1: 1.0, 3: None, 14: 20.0}


def therapy(days: int, rng: np.random.Generator, *, counted: bool) -> Therapy:
    """Three meals a day; what is counted differs from what is eaten."""
    meals = [(1440.0 * day + t, g) for day in range(days) for t, g in MEALS]
    errors = np.exp(0.25 * rng.normal(size=len(meals)))
    return Therapy(
        meals=tuple(
            Meal(time_min=t, carbs_g=g * (e if counted else 1.0)) for (t, g), e in zip(meals, errors, strict=True)
        ),
        boluses=tuple(Bolus(time_min=t, dose_u=g / 9.0) for t, g in meals),
        basal=tuple(BasalRate(time_min=1440.0 * day - 600.0, rate_u_h=BASAL_U_H) for day in range(days + 1)),
    )


def record(structure: str, days: int) -> History:
    """Days of somebody drawn from the prior, with an error that lasts."""
    known = structure_named(structure)
    rng = np.random.default_rng(4)
    z = np.clip(rng.normal(size=len(known.prior.names)), -1.5, 1.5)
    p = known.prior.parameters(known.prior.theta(z), body_weight_kg=WEIGHT_KG, basal_u_h=BASAL_U_H)
    eaten = therapy(days, np.random.default_rng(5), counted=False)
    schedule = schedule_of(eaten, start_min=0.0, end_min=1440.0 * days)
    glucose = integrate_batch(known.model, p, schedule, every_min=5.0).output("glucose_mg_dl")[0]
    return History(
        cgm_time_min=5.0 * np.arange(len(glucose)),
        cgm_mg_dl=np.clip(np.round(glucose + lasting(rng, len(glucose))), 40.0, 400.0),
        therapy=therapy(days, np.random.default_rng(5), counted=True),
        utc_offset_min=240.0,
    )


def lasting(rng: np.random.Generator, n: int) -> FloatArray:
    """An error of SD 8 mg/dL and correlation 0.85 between neighbours."""
    error = 8.0 * rng.normal(size=n)
    for i in range(1, n):
        error[i] = 0.85 * error[i - 1] + np.sqrt(1.0 - 0.85**2) * error[i]
    return error


def main() -> None:
    """Measure and print."""
    for structure in ("uva_padova_t1d", "hovorka_t1d"):
        kernel_of(structure_named(structure).model).warm_up()
        for days, target_s in TARGETS_S.items():
            history = record(structure, days)
            wall, cpu = time.perf_counter(), time.process_time()
            twin = fit_twin(
                history, now_min=1440.0 * days, days=float(days), body_weight_kg=WEIGHT_KG, structure=structure
            )
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            assert isinstance(twin, FittedTwin)
            assert twin.metrics is not None
            aim = "" if target_s is None else f", target {target_s:g} s of CPU"
            print(
                f"{structure:15} {days:3d} days  {wall:6.2f} s wall, {cpu:6.2f} s CPU{aim}; "
                f"RMSE {twin.metrics.rmse_mg_dl:.1f} mg/dL"
            )


if __name__ == "__main__":
    main()
