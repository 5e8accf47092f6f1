"""How long a sensitivity analysis takes: `python -m benchmarks sensitivity`."""

import time

import numpy as np

from twin_core.inference.sensitivity import KEPT, SAMPLES, Spread, sensitivity_of, sobol_indices
from twin_core.inference.twin import population_twin
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.solve.compiled import kernel_of

REPEATS = 3


def main() -> None:
    """Screening, Sobol indices with bootstrap intervals, and the indices over time, for one twin."""
    kernel_of(MODEL).warm_up()
    twin = population_twin(body_weight_kg=80.0, basal_u_h=1.1)
    sobol_indices(np.random.default_rng(0).normal(size=4 * 16), 2, rng=np.random.default_rng(1))  # imports SALib
    walls, cpus = [], []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        found = sensitivity_of(twin, spread=Spread.PRIOR, rng=np.random.default_rng(1))
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    print(
        f"Morris, then Sobol with N = {SAMPLES:,}, {KEPT} parameters: {found.n_runs:,} days of 24 h at 1-min steps, "
        f"bootstrap and heat map included: {min(walls):.2f} s wall, {min(cpus):.2f} s CPU (target: at most 3 s)"
    )
    width = max(float(each.total_half_width.max()) for each in found.indices)
    print(f"widest 95 % interval of a total index: +- {width:.3f}")


if __name__ == "__main__":
    main()
