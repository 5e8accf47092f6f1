"""Updating from levels against what NONMEM, Monolix and nlmixr print, against WinNonlin, and against openpkflow.

(1) Four patients of mapbayr's examples with NONMEM's etas, covariances and objectives (Le Louedec 2021,
10.1002/psp4.12689). (2) The rows of posologyr's tests (Leven 2022, 10.3390/pharmaceutics14020442, folder
tests/testthat): estimates of Monolix, NONMEM and nlmixr, with full covariances, a lag, covariates that change in time
and variability between occasions; its own doses for a target. (3) The posterior's SD against a long Markov chain.
(4) Simulated people of every drug: is the search's end the best that a search of another kind finds? (5) Theoph by
WinNonlin's tables. (6) openpkflow 2.9.0 on what it can do: one dose, and a terminal slope. (7) Theoph's population by
FOCE with interaction against nlmixr2's printed fit of the same model (nlmixr2 documentation, "Modifying nlmixr2 models
by piping", first fit).
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from twin_core.domain.dosing import Candidate, FromNow, Level
from twin_core.domain.drugs import Dose, Drug, ErrorForm, Exposure, ResidualError, Route, Structure
from twin_core.domain.history import FloatArray
from twin_core.inference.dose_search import Responses, at_mode
from twin_core.inference.pk_fit import PkFit, fit_pk, most_probable
from twin_core.inference.pk_population import Occasions, Population, standard_deviation
from twin_core.inference.pk_posterior import ensemble_chain
from twin_core.inference.pk_search import Problem, curves
from twin_core.inference.pk_study import Subject, check_study, fit_study
from twin_core.metrics.nca import NcaMethod, nca
from twin_core.models.catalog import DRUGS
from twin_core.models.pk.piecewise import Carry, CovariateRecord, pieces_of
from twin_core.services.personal_dosing import Person, population_of
from validation.line import Line
from validation.peers import answer_of

PROFILES = 4000
"""Simulated people a drug: a quarter of an hour of one processor, nearly all of it the search of another kind."""
WINNONLIN = {
    "lambda_z_1_h": "Lambda_z",
    "lambda_z_points": "No_points_lambda_z",
    "lambda_z_adjusted_r2": "Rsq_adjusted",
    "half_life_h": "HL_Lambda_z",
    "c_max_mg_l": "Cmax",
    "t_max_h": "Tmax",
    "auc_last_mg_h_l": "AUClast",
    "auc_inf_mg_h_l": "AUCINF_obs",
    "auc_extrapolated_percent": "AUC_%Extrap_obs",
    "aumc_last_mg_h2_l": "AUMClast",
    "aumc_inf_mg_h2_l": "AUMCINF_obs",
    "mrt_h": "MRTINF_obs",
    "cl_over_f_l_h": "Cl_F_obs",
    "vz_over_f_l": "Vz_F_obs",
}
THEOPH_DOSE_MG = 320.0
"""The one that the reference runs used for everybody."""


def lines(data: Path) -> Iterator[Line]:
    """All parts, the slow one last."""
    folder = data.parent / "pk"
    yield from _nonmem(folder)
    yield from _printed_by_others()
    yield from _doses()
    yield from _winnonlin(folder)
    yield from _study(folder)
    yield from _openpkflow(folder)
    yield from _long_chain(folder)
    yield from _simulated()


def _at_most(what: str, seen: float, most: float, form: str = ".1e") -> Line:
    return Line(what=what, seen=f"{seen:{form}}", target=f"<= {most:g}", holds=seen <= most)


def _near(what: str, seen: float, expected: float, within: float) -> Line:
    return Line(
        what=what, seen=f"{seen:.6g}", target=f"{expected:g} +- {within:g}", holds=abs(seen - expected) <= within
    )


# --- NONMEM's four patients ------------------------------------------------------------------------------------------


ORAL = Population(
    structure=Structure.ONE_COMPARTMENT,
    typical={"CL_L_h": 4.0, "V1_L": 70.0, "k_a_h": 1.0},
    names=("CL_L_h", "V1_L", "k_a_h"),
    omega=0.2 * np.eye(3),
    residual=ResidualError(
        form=ErrorForm.PROPORTIONAL, proportional_sd=float(np.sqrt(0.05)), source="mapbayr run001.mod"
    ),
)


def _patients(folder: Path) -> Iterator[tuple[int, tuple[Dose, ...], tuple[Level, ...]]]:
    table = pd.read_csv(folder / "nonmem_map_4_patients_data.csv", na_values=".")
    for number, rows in table.groupby("ID"):
        doses = tuple(
            Dose(
                time_h=row.time,
                amount_mg=row.amt,
                route=Route.ORAL,
                interval_h=float(row.ii) or None,
                additional=int(row.addl),
            )
            for row in rows[rows.evid == 1].itertuples()
        )
        levels = tuple(
            Level(time_h=row.time, concentration_mg_l=row.DV)
            for row in rows[(rows.evid == 0) & (rows.mdv == 0)].itertuples()
        )
        yield int(str(number)), doses, levels


def _nonmem(folder: Path) -> Iterator[Line]:
    printed = pd.read_csv(folder / "nonmem_map_4_patients.csv").set_index("ID")
    worst = {"eta": 0.0, "covariance": 0.0, "objective": 0.0}
    slowest_ms = slowest_draws_ms = 0.0
    for number, doses, levels in _patients(folder):
        fit, map_ms = _timed(lambda d=doses, y=levels: most_probable(ORAL, d, y), 50)
        _, all_ms = _timed(lambda d=doses, y=levels: fit_pk(ORAL, d, y, np.random.default_rng(0)), 10)
        row = printed.loc[number].to_numpy()
        worst["eta"] = max(worst["eta"], float(np.abs(fit.eta - row[:3]).max()))
        mine = fit.covariance[np.tril_indices(3)]
        worst["covariance"] = max(worst["covariance"], float(np.abs(mine - row[3:9]).max()))
        worst["objective"] = max(worst["objective"], abs(fit.objective - float(row[9])))
        slowest_ms, slowest_draws_ms = max(slowest_ms, map_ms), max(slowest_draws_ms, all_ms - map_ms)
    for what, seen in worst.items():
        yield _at_most(f"NONMEM, 4 patients: largest difference of {what}", seen, 1e-6)
    yield _at_most("CPU ms a patient for eta, covariance, objective (slowest)", slowest_ms, 2.0, ".2f")
    yield _at_most("CPU ms for 4,000 posterior draws (slowest)", slowest_draws_ms, 25.0, ".1f")


def _timed(run: Any, repeats: int) -> tuple[Any, float]:
    """What a call gives, and CPU milliseconds a call once it is warm."""
    found = run()
    began = time.process_time()
    for _ in range(repeats):
        run()
    return found, 1000.0 * (time.process_time() - began) / repeats


def _long_chain(folder: Path) -> Iterator[Line]:
    """200 walkers, 10,000 steps after 500: some 50,000 effective draws, so that the chain's own error is below 1 %."""
    _, doses, levels = next(_patients(folder))
    fit = fit_pk(ORAL, doses, levels, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    start = fit.draws[rng.integers(len(fit.draws), size=200)] + 1e-3 * rng.standard_normal((200, 3))
    chain = ensemble_chain(Problem(ORAL, doses, levels), start, rng, 10_500)[500:]
    ratio = fit.draws.std(axis=0) / chain.reshape(-1, 3).std(axis=0)
    narrow = float(np.sqrt(fit.covariance[0, 0]) / chain[:, :, 0].std())
    yield _at_most(
        "posterior SD of patient 1 against a long chain, worst [%]", 100 * np.abs(ratio - 1).max(), 5.0, ".2f"
    )
    yield Line(what="its normal approximation's SD of clearance against the chain's", seen=f"{narrow:.2f}")
    yield Line(what="effective draws of 4,000", seen=f"{fit.ess:.0f}")


# --- what Monolix, NONMEM and nlmixr print ---------------------------------------------------------------------------


def _residual(form: ErrorForm, additive: float, proportional: float) -> ResidualError:
    return ResidualError(form=form, additive_sd_mg_l=additive, proportional_sd=proportional, source="posologyr's tests")


def _infusion(time_h: float, amount_mg: float, duration_h: float) -> Dose:
    return Dose(time_h=time_h, amount_mg=amount_mg, route=Route.IV_INFUSION, duration_h=duration_h)


def _levels(*pairs: tuple[float, float]) -> tuple[Level, ...]:
    return tuple(Level(time_h=time_h, concentration_mg_l=value) for time_h, value in pairs)


def _goti(creatinine_clearance: float, weight: float) -> Population:
    return Population(
        structure=Structure.TWO_COMPARTMENT,
        typical={
            "CL_L_h": 4.5 * (creatinine_clearance / 120.0) ** 0.8,
            "V1_L": 58.4 * weight / 70.0,
            "Q2_L_h": 6.5,
            "V2_L": 38.4,
        },
        names=("CL_L_h", "V1_L", "V2_L"),
        omega=np.diag([0.147, 0.510, 0.282]),
        residual=_residual(ErrorForm.COMBINED1, 3.4, 0.227),
    )


def _printed_by_others() -> Iterator[Line]:
    doses = (_infusion(0.0, 1900.0, 1.0), _infusion(22.2, 1750.0, 1.0))
    goti = most_probable(_goti(34.0, 62.0), doses, _levels((12.0, 14.8), (37.5, 22.5))).individual
    for name, printed, within in (("CL_L_h", 1.72, 0.005), ("V1_L", 59.8, 0.05), ("V2_L", 41.6, 0.05)):
        yield _near(f"vancomycin, Monolix: {name}", goti[name], printed, within)
    amikacin = _amikacin().individual
    for name, printed in (("CL_L_h", 2.62), ("V1_L", 11.01), ("V2_L", 14.57), ("Q2_L_h", 11.96)):
        yield _near(f"amikacin, full omega, nlmixr: {name}", amikacin[name], printed, 0.005)
    for place, printed in enumerate((0.396185952, 0.0370173441, 0.0825083501, -0.0967599813)):
        yield _near(f"oral with lag: eta {place + 1}", float(_with_lag().eta[place]), printed, 1e-6)
    for place, printed in enumerate((0.398845969, 0.0762201167)):
        yield _near(
            f"covariates carried back, NONMEM: eta {place + 1}", float(_carried_back().eta[place]), printed, 1e-6
        )
    fit = _piperacillin()
    clearances = [float(period["CL_L_h"][0]) for period in fit.population.periods(fit.eta[None])]
    for place, (printed, within) in enumerate(((10.58, 0.005), (24.0, 0.05), (18.4, 0.05), (26.3, 0.05))):
        yield _near(f"piperacillin, occasion {place + 1}, Monolix: CL_L_h", clearances[place], printed, within)


def _amikacin() -> PkFit:
    population = Population(
        structure=Structure.TWO_COMPARTMENT,
        typical={
            "CL_L_h": 4.3 * (50.0 / 82.0) ** 0.7,
            "V1_L": 15.9 * (62.0 / 78.0) ** 0.9,
            "V2_L": 21.4,
            "Q2_L_h": 12.1,
        },
        names=("CL_L_h", "V1_L", "V2_L", "Q2_L_h"),
        omega=np.array(
            [[0.1, 0.01, 0.01, -0.06], [0.01, 0.05, 0.02, 0.004], [0.01, 0.02, 0.2, 0.003], [-0.06, 0.004, 0.003, 0.08]]
        ),
        residual=_residual(ErrorForm.COMBINED2, 0.2, 0.1),
    )
    return most_probable(population, (_infusion(0.0, 1600.0, 0.5),), _levels((1.0, 75.0), (6.0, 32.0)))


def _with_lag() -> PkFit:
    population = replace(
        ORAL,
        typical={**ORAL.typical, "lag_h": 1.0},
        names=(*ORAL.names, "lag_h"),
        omega=0.2 * np.eye(4),
    )
    dose = Dose(time_h=0.0, amount_mg=10_000.0, route=Route.ORAL)
    return most_probable(population, (dose,), _levels((1.5, 67.4275), (4.4, 115.449), (7.1, 83.7768), (24.6, 21.8323)))


def _carried_back() -> PkFit:
    times = (0.0, 1.5, 4.4, 7.1, 24.6, 72.0)
    weights, women = (77.0, 113.0, 92.0, 132.0, 126.0, 128.0), (0.0, 0.0, 1.0, 0.0, 1.0, 1.0)
    records = [
        CovariateRecord(time_h=time_h, values={"weight": weight, "woman": woman})
        for time_h, weight, woman in zip(times, weights, women, strict=True)
    ]
    changes_h, known = pieces_of(records, Carry.BACKWARD)
    typical = [{"CL_L_h": 4.0 * (each["weight"] / 75.0) ** 1.5 * 0.75 ** each["woman"], "V1_L": 70.0} for each in known]
    population = Population(
        structure=Structure.ONE_COMPARTMENT,
        typical=typical[0],
        names=("CL_L_h", "V1_L"),
        omega=0.2 * np.eye(2),
        residual=ORAL.residual,
        later=tuple(zip((float(each) for each in changes_h), typical[1:], strict=True)),
        carry=Carry.BACKWARD,
    )
    levels = _levels((1.5, 107.267), (4.4, 100.995), (7.1, 54.0546), (24.6, 5.97081))
    return most_probable(population, (_infusion(0.0, 10_000.0, 1.0),), levels)


def _piperacillin() -> PkFit:
    """Eight-hour infusions without a break; the pump's lag of 0.07 h shifts them all (its eta is not estimated)."""
    population = Population(
        structure=Structure.TWO_COMPARTMENT,
        typical={"CL_L_h": 17.1 * 92.0 / 70.0, "V1_L": 7.2, "V2_L": 17.8, "Q2_L_h": 52.0},
        names=("CL_L_h", "V1_L", "V2_L", "Q2_L_h"),
        omega=np.diag([0.08507985, 0.0673745, 0.429067, 0.2247455]),
        residual=_residual(ErrorForm.COMBINED1, 3.2, 0.253),
        occasions=Occasions(names=("CL_L_h", "V1_L"), pi=np.diag([0.1934626, 0.05783106]), starts_h=(48.0, 72.0, 96.0)),
    )
    doses = tuple(_infusion(8.0 * each + 0.07, 4000.0, 8.0) for each in range(15))
    return most_probable(population, doses, _levels((47.9, 63.0), (71.9, 19.7), (95.9, 31.0), (120.0, 16.0)))


def _doses() -> Iterator[Line]:
    """Doses that bring posologyr's patient 4 to a target, 0.1 % as its own tests allow."""
    doses = (_infusion(0.0, 2000.0, 2.0), _infusion(24.2, 1400.0, 2.0))
    fit = most_probable(_goti(65.0, 70.0), doses, _levels((13.0, 12.0), (48.0, 10.5)))
    person = replace(at_mode(fit), doses=())
    way = Candidate(amount_mg=1.0, interval_h=24.0, route=Route.IV_INFUSION, duration_h=2.0)
    day, tenth = (FromNow(next_dose_h=0.0, from_h=start, until_h=start + 24.0) for start in (0.0, 216.0))
    for what, when, exposure, aim, printed in (
        ("area of the first day 400", day, Exposure.AUC24, 400.0, 2377.758),
        ("level after 24 h 11.04931", day, Exposure.TROUGH, 11.04931, 2530.699),
        ("area of the tenth day 400", tenth, Exposure.AUC24, 400.0, 1229.366),
    ):
        found = Responses(person, when).amount_mg(way, exposure, aim)
        yield _near(f"posologyr's dose for {what} [mg]", found, printed, 1e-3 * printed)


# --- WinNonlin and openpkflow ----------------------------------------------------------------------------------------


def _theoph(folder: Path) -> list[tuple[int, FloatArray, FloatArray]]:
    table = pd.read_csv(folder / "Theoph.csv")
    return [
        (int(str(number)), rows["Time"].to_numpy(dtype=float), rows["conc"].to_numpy(dtype=float))
        for number, rows in table.groupby("Subject")
    ]


def _winnonlin(folder: Path) -> Iterator[Line]:
    for method, name in ((NcaMethod.LINEAR, "Linear"), (NcaMethod.LINEAR_UP_LOG_DOWN, "Log")):
        printed = pd.read_csv(folder / f"Final_Parameters_Pivoted_Theoph_{name}.csv").set_index("Subject")
        apart = 0.0
        for number, times, levels in _theoph(folder):
            found = nca(times, levels, dose_mg=THEOPH_DOSE_MG, method=method)
            row = printed.loc[number]
            apart = max(apart, *(abs(getattr(found, ours) / row[theirs] - 1.0) for ours, theirs in WINNONLIN.items()))
        yield _at_most(f"WinNonlin, Theoph, {name}: worst of {len(WINNONLIN)} parameters, relative", apart, 1e-8)


def _openpkflow(folder: Path) -> Iterator[Line]:
    _, doses, levels = next(_patients(folder))
    printed = pd.read_csv(folder / "nonmem_map_4_patients.csv").iloc[0, 1:4].to_numpy(dtype=float)
    profiles = _theoph(folder)
    theirs = answer_of(
        "openpkflow",
        "openpkflow_answers.py",
        question={
            "single": {
                "times_h": [level.time_h for level in levels],
                "levels_mg_l": [level.concentration_mg_l for level in levels],
                "dose_mg": doses[0].amount_mg,
                "typical": list(ORAL.typical.values()),
                "eta_sd": float(np.sqrt(0.2)),
                "proportional_sd": ORAL.residual.proportional_sd,
            },
            "profiles": [{"times_h": times.tolist(), "levels_mg_l": level.tolist()} for _, times, level in profiles],
        },
    )
    ours, ours_ms = _timed(lambda: most_probable(ORAL, doses, levels), 50)
    yield Line(
        what="openpkflow's MAP, patient 1: largest difference of eta from NONMEM",
        seen=_apart(theirs["map_eta"], printed),
    )
    yield Line(what="openpkflow's FOCE inner loop: the same", seen=_apart(theirs["inner_eta"], printed))
    yield Line(what="ours: the same", seen=_apart(ours.eta, printed))
    yield Line(what="CPU ms: openpkflow's MAP", seen=f"{theirs['map_ms']:.1f}")
    yield Line(what="CPU ms: openpkflow's inner loop (no covariance)", seen=f"{theirs['inner_ms']:.1f}")
    yield Line(what="CPU ms: ours", seen=f"{ours_ms:.2f}")
    yield Line(what="patients 2 to 4 (fewer than 3 levels, or many doses)", seen="openpkflow cannot")
    printed_nca = pd.read_csv(folder / "Final_Parameters_Pivoted_Theoph_Linear.csv").set_index("Subject")
    apart = max(
        abs(each[name] / printed_nca.loc[number, WINNONLIN[name]] - 1.0)
        for each, (number, _, _) in zip(theirs["nca"], profiles, strict=True)
        for name in each
    )
    _, nca_ms = _timed(lambda: [nca(times, level, dose_mg=THEOPH_DOSE_MG) for _, times, level in profiles], 5)
    yield Line(what="openpkflow, Theoph: worst of 3 parameters against WinNonlin", seen=f"{apart:.1e}")
    yield Line(what="CPU ms a person of 3 parameters: openpkflow", seen=f"{theirs['nca_ms']:.2f}")
    yield Line(what="CPU ms a person of all parameters: ours", seen=f"{nca_ms / len(profiles):.2f}")


def _apart(eta: Sequence[float] | FloatArray, printed: FloatArray) -> str:
    return f"{np.abs(np.asarray(eta) - printed).max():.1e}"


# --- a study ---------------------------------------------------------------------------------------------------------


NLMIXR2_OBJECTIVE = 116.804
NLMIXR2 = {"k_a_h": (0.4663, 0.1911, 70.00), "CL_L_h": (1.012, 0.08366, 26.80), "V1_L": (3.460, 0.04654, 13.88)}
"""Logarithm of the typical value, its standard error, and CV between people [%]."""
NLMIXR2_ADDITIVE = (0.6947, 0.04951)


def _study(folder: Path) -> Iterator[Line]:
    table = pd.read_csv(folder / "Theoph.csv")
    subjects = [
        Subject(
            doses=(Dose(time_h=0.0, amount_mg=float((rows["Wt"] * rows["Dose"]).iloc[0]), route=Route.ORAL),),
            levels=_levels(*zip(rows["Time"], rows["conc"], strict=True)),
        )
        for _, rows in table.groupby("Subject")
    ]
    start = Population(
        structure=Structure.ONE_COMPARTMENT,
        typical={"k_a_h": float(np.exp(0.45)), "CL_L_h": float(np.exp(1.0)), "V1_L": float(np.exp(3.45))},
        names=("k_a_h", "CL_L_h", "V1_L"),
        omega=np.diag([0.6, 0.3, 0.1]),
        residual=_residual(ErrorForm.COMBINED1, 0.7, 0.0),
    )
    began = time.process_time()
    fit = fit_study(start, subjects)
    spent = time.process_time() - began
    yield _near("Theoph, FOCE-I objective against nlmixr2", fit.objective, NLMIXR2_OBJECTIVE, 1e-3)
    for name, (value, error, cv) in NLMIXR2.items():
        found, spread = fit.typical[name], 100.0 * float(np.sqrt(np.expm1(fit.spread[name].value ** 2)))
        yield _near(f"Theoph, ln {name} (a tenth of its error)", float(np.log(found.value)), value, 0.1 * error)
        yield _near(f"Theoph, standard error of ln {name} (2 %)", found.logarithm_se, error, 0.02 * error)
        yield _near(f"Theoph, CV of {name} between people (2 %)", spread, cv, 0.02 * cv)
    additive = fit.residual["additive_sd_mg_l"]
    yield _near("Theoph, residual SD", additive.value, NLMIXR2_ADDITIVE[0], 1e-3)
    yield _near("Theoph, its standard error (2 %)", additive.standard_error, NLMIXR2_ADDITIVE[1], 1e-3)
    checks = check_study(fit, np.random.default_rng(0))
    inside = 100.0 * checks.predictive.share_inside
    yield Line(what="Theoph, percentiles inside their simulated interval [%]", seen=f"{inside:.0f}")
    yield Line(what="CPU s for the fit with standard errors", seen=f"{spent:.1f}")


# --- simulated people ------------------------------------------------------------------------------------------------


def _simulated() -> Iterator[Line]:
    for drug in DRUGS:
        if not drug.omega:
            yield Line(what=f"{drug.name}: levels cannot be fitted, no parameter of its kinetics varies", seen="-")
            continue
        close, n, cpu_ms = _share_at_the_best(drug)
        share = 100.0 * close / n
        yield Line(
            what=f"{drug.name}: estimates within 0.1 % of the best found, {n} people [%]",
            seen=f"{share:.2f} ({cpu_ms:.1f} ms each)",
            target=">= 99",
            holds=share >= 99.0,
        )


def _share_at_the_best(drug: Drug) -> tuple[int, int, float]:
    """How many of the simulated people get parameters within 0.1 % of the best minimum that either search finds."""
    rng = np.random.default_rng(5)
    doses = drug.regimens[0].doses
    population = population_of(drug, Person(covariates={}, doses=doses))
    last_h = max(time_h for dose in doses for time_h in dose.times_h)
    root = np.linalg.cholesky(population.covariance)
    close, spent = 0, 0.0
    for _ in range(PROFILES):
        times = np.sort(last_h * rng.integers(2) + rng.uniform(0.5, 24.0, rng.integers(1, 5)))
        truth = curves(population, (root @ rng.standard_normal(len(root)))[None], doses, times)[0]
        sd, _, _ = standard_deviation(population.residual, truth)
        levels = _levels(
            *zip(times, np.maximum(truth + sd * rng.standard_normal(len(times)), 0.01 * truth), strict=True)
        )
        began = time.process_time()
        fit = most_probable(population, doses, levels)
        spent += time.process_time() - began
        eta, phi = _best_of_another_kind(Problem(population, doses, levels), rng)
        close += bool(fit.phi <= phi + 1e-9 or np.abs(np.expm1(fit.eta - eta)).max() <= 1e-3)
    return close, PROFILES, 1000.0 * spent / PROFILES


def _best_of_another_kind(problem: Problem, rng: np.random.Generator) -> tuple[FloatArray, float]:
    """The best of 2,000 people of the population, 1.5 times as varied, and L-BFGS from the three best of them."""
    from scipy.optimize import minimize

    n = problem.population.n_deviations
    cloud = 1.5 * rng.standard_normal((2000, n)) @ np.linalg.cholesky(problem.population.covariance).T
    order = np.argsort(problem.objective(cloud))[:3]
    steps = 1e-5 * np.concatenate((np.eye(n), -np.eye(n)))

    def with_slope(eta: FloatArray) -> tuple[float, FloatArray]:
        phi = problem.objective(np.concatenate((eta[None], eta + steps)))
        return float(phi[0]), (phi[1 : n + 1] - phi[n + 1 :]) / 2e-5

    ends = [minimize(with_slope, cloud[each], jac=True, method="L-BFGS-B", options={"gtol": 1e-8}) for each in order]
    best = min(ends, key=lambda end: float(end.fun))
    return np.asarray(best.x), float(best.fun)
