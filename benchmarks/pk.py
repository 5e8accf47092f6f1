"""How fast the pharmacokinetic engine is: `python -m benchmarks pk`."""

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.drugs import Dose, Drug, Route
from twin_core.domain.history import FloatArray
from twin_core.models.catalog import DRUGS
from twin_core.models.pk.compartments import concentration
from twin_core.models.pk.curve import Curve
from twin_core.models.pk.piecewise import concentration_in_pieces

PATIENTS = 100_000
DAY_H = np.linspace(0.0, 24.0, 97)
LEVELS_H = (2.0, 6.0, 14.0, 23.0)
TARGET_S = 0.1
TWICE = {
    Route.IV_INFUSION: Dose(
        time_h=0.0, amount_mg=1000.0, route=Route.IV_INFUSION, duration_h=1.0, interval_h=12.0, additional=1
    ),
    Route.ORAL: Dose(time_h=0.0, amount_mg=100.0, route=Route.ORAL, interval_h=12.0, additional=1),
}


def best_of(repeats: int, run: Callable[[], object]) -> tuple[float, float]:
    """Shortest wall and CPU seconds of a call."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def drug_named(name: str) -> Drug:
    return next(drug for drug in DRUGS if drug.name == name)


def people(drug: Drug, n: int) -> dict[str, ArrayLike]:
    """Parameters of `n` people with the default covariates."""
    names, omega = drug.omega_matrix()
    eta = np.random.default_rng(0).multivariate_normal(np.zeros(len(names)), omega, n).T
    return drug.person(drug.individual(drug.covariates_with({})), dict(zip(names, eta, strict=True)))


def population() -> None:
    print(f"{PATIENTS} patients x 24 h x {DAY_H.size} points (target {TARGET_S} s)")
    for name, route in (("vancomycin", Route.IV_INFUSION), ("caffeine", Route.ORAL), ("midazolam", Route.ORAL)):
        drug = drug_named(name)
        parameters = people(drug, PATIENTS)
        wall, cpu = best_of(7, partial(concentration, drug.structure, parameters, [TWICE[route]], DAY_H))
        print(f"  {name:<12} {drug.structure:<18} {wall:6.3f} s wall, {cpu:.3f} s CPU")
    floor, _ = best_of(7, partial(np.full, (DAY_H.size, PATIENTS), 1.0))
    print(f"  writing so many numbers         {floor:6.3f} s wall")


def one_by_one_against_the_batch() -> None:
    drug = drug_named("vancomycin")
    parameters = people(drug, 500)
    together = concentration(drug.structure, parameters, [TWICE[Route.IV_INFUSION]], DAY_H)
    alone = np.stack([each_alone(drug, parameters, person) for person in range(500)])
    seen = alone > 0.0
    print(f"  batch against one by one: {np.abs(together[seen] / alone[seen] - 1.0).max():.1e} relative, 500 patients")


def each_alone(drug: Drug, parameters: Mapping[str, ArrayLike], person: int) -> FloatArray:
    single = {name: np.broadcast_to(np.asarray(value), 500)[person] for name, value in parameters.items()}
    return np.asarray(concentration(drug.structure, single, [TWICE[Route.IV_INFUSION]], DAY_H)[0])


def small_calls() -> None:
    print(f"7 people x {len(LEVELS_H)} levels (target 80 us), and 4,000 draws")
    for name, route in (("caffeine", Route.ORAL), ("vancomycin", Route.IV_INFUSION), ("tacrolimus", Route.ORAL)):
        drug = drug_named(name)
        doses = [TWICE[route]]
        few, many = people(drug, 7), people(drug, 4_000)
        curve = Curve(drug.structure, doses, LEVELS_H)
        small, _ = best_of(500, partial(curve.at, few))
        checked, _ = best_of(200, partial(concentration, drug.structure, few, doses, LEVELS_H))
        large, _ = best_of(10, partial(curve.at, many))
        print(
            f"  {name:<12} {drug.structure:<18} {1e6 * small:5.0f} us by Curve, {1e6 * checked:5.0f} us checked; "
            f"{1e3 * large:.1f} ms for 4,000"
        )


def pieces() -> None:
    drug = drug_named("vancomycin")
    few = people(drug, 7)
    run = partial(concentration_in_pieces, drug.structure, [few] * 3, [5.0, 13.0], [TWICE[Route.IV_INFUSION]], LEVELS_H)
    wall, _ = best_of(50, run)
    print(f"7 people, parameters that change twice {1e3 * wall:6.2f} ms")


def effect() -> None:
    drug = drug_named("warfarin")
    assert drug.effect is not None
    covariates = drug.covariates_with({})
    spread = np.exp(np.sqrt(0.2712) * np.random.default_rng(0).standard_normal(1_000))
    sensitivity = drug.effect.individual(covariates)
    for n in (1, 1_000):
        given: dict[str, ArrayLike] = {**sensitivity, "EC50_mg_l": sensitivity["EC50_mg_l"] * spread[:n]}
        course = partial(drug.effect.course, drug.individual(covariates), given, drug.regimens[0].doses)
        wall, _ = best_of(5, partial(course, np.linspace(0.0, 672.0, 113)))
        print(f"INR of {n:5d} people over 4 weeks        {1e3 * wall:6.1f} ms")


def main() -> None:
    """Measure and print."""
    population()
    one_by_one_against_the_batch()
    small_calls()
    pieces()
    effect()


if __name__ == "__main__":
    main()
