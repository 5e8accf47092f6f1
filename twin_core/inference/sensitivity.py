"""Which parameters a day's glucose depends on: Morris screening first, then Sobol indices of the most influential.

Every parameter is moved within the central 95 % of what is not known about it, on its transformed scale: of the
twin's posterior, or of the prior, which is how people differ. Parameters are moved independently of each other, so
that what the posterior knows of them *together* is left out and the spread of the outcome is an upper one.

Screening: elementary effects (Morris 1991, doi 10.1080/00401706.1991.10484804), ranked by the mean of their sizes
mu* (Campolongo, Cariboni, Saltelli 2007, doi 10.1016/j.envsoft.2006.10.004). Indices: first S_i = V[E(Y|x_i)]/V(Y)
and total ST_i = E[V(Y|x_~i)]/V(Y) by the estimators of Saltelli et al. 2010 (doi 10.1016/j.cpc.2009.09.018) on a
scrambled Sobol' sequence. Both are SALib's (MIT; Herman, Usher 2017, doi 10.21105/joss.00097). The course of the
total index over time uses the same estimator for all instants at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from twin_core.domain.errors import DamagedArtifact, SimulationFailed
from twin_core.domain.history import Bolus, FloatArray, Meal, Therapy
from twin_core.domain.models import OdeModel
from twin_core.domain.units import MINUTES_PER_DAY
from twin_core.inference.priors import PLAUSIBLE_SDS
from twin_core.inference.twin import FittedTwin
from twin_core.metrics.cgm import LIMITS, Preset
from twin_core.solve.rk4 import integrate_batch
from twin_core.solve.schedule import Schedule, schedule_of

Progress = Callable[[float, str], object]
"""Called with the fraction done and a sentence."""
Evaluate = Callable[[FloatArray], FloatArray]
"""From quantiles `(n_runs, n_parameters)` in (0, 1) to outcomes `(n_runs, n_outcomes)`."""

OUTCOMES = ("mean_mg_dl", "minimum_mg_dl", "in_range_percent")
SAMPLES = 1024
KEPT = 12
TRAJECTORIES = 20
LEVELS = 4
QUANTILES = (0.025, 0.975)
"""Within which a parameter is moved."""
CONFIDENCE = 0.95
STANDARD_MEALS = ((420.0, 45.0), (720.0, 70.0), (1080.0, 80.0))
"""Minute after midnight and carbohydrate [g] of the standard day (the day of simglucose, at its 5 g/min)."""
EATEN_G_MIN = 5.0
BASAL_SHARE = 0.5
"""Basal insulin's share of the daily dose, with which the 500 rule is meant to be used (50 to 60 %)."""
RULE_OF_500_G = 500.0
"""A unit covers 500 g over the total daily dose (Walsh, Roberts: Using Insulin; diabetesnet.com, "500 rule")."""

_SAVED_MIN = 5.0
_SHOWN_MIN = 15.0
_AT_ONCE = 2048
_SAME = 1e-12
"""Relative to the mean square, a variance below this is rounding."""


class Spread(StrEnum):
    """Within what the parameters are moved."""

    POSTERIOR = "posterior"
    PRIOR = "prior"


@dataclass(frozen=True, kw_only=True)
class Indices:
    """Sobol indices of one outcome, with the half widths of their 95 % bootstrap intervals; each of shape `(n,)`."""

    first: FloatArray
    first_half_width: FloatArray
    total: FloatArray
    total_half_width: FloatArray


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What a day's glucose depends on.

    Attributes
    ----------
    screened, influence
        All fitted parameters with the largest mu*/SD over the outcomes, most influential first.
    names
        The parameters with indices, most influential first; the others rest at their middle.
    indices
        One for each of `OUTCOMES`.
    outcome_quantiles
        Shape `(n_outcomes, 3)`: 5, 50 and 95 % of each outcome over all runs.
    time_min
        Shape `(n_times,)`: minutes after midnight.
    total_over_time
        Shape `(n_names, n_times)`: total index of glucose at each instant, NaN where glucose does not vary.
    spread_over_time_mg_dl
        Shape `(n_times,)`: SD of glucose over the runs, which tells how much there is to share out.
    """

    spread: Spread
    screened: tuple[str, ...]
    influence: FloatArray
    names: tuple[str, ...]
    indices: tuple[Indices, ...]
    outcome_quantiles: FloatArray
    time_min: FloatArray
    total_over_time: FloatArray
    spread_over_time_mg_dl: FloatArray
    n_runs: int

    def to_payload(self) -> dict[str, Any]:
        """As JSON; `from_payload` reads it back without loss."""
        return {
            "spread": self.spread.value,
            "screened": list(self.screened),
            "names": list(self.names),
            "indices": [{name: values.tolist() for name, values in vars(each).items()} for each in self.indices],
            "n_runs": self.n_runs,
            **{name: getattr(self, name).tolist() for name in _ARRAYS},
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "Sensitivity":
        """What `to_payload` wrote; `DamagedArtifact` when a field is missing or malformed."""
        try:
            return cls(
                spread=Spread(payload["spread"]),
                screened=tuple(payload["screened"]),
                names=tuple(payload["names"]),
                indices=tuple(
                    Indices(**{name: np.array(values, dtype=np.float64) for name, values in each.items()})
                    for each in payload["indices"]
                ),
                n_runs=int(payload["n_runs"]),
                **{name: np.array(payload[name], dtype=np.float64) for name in _ARRAYS},
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise DamagedArtifact(f"This is no sensitivity analysis: {error!r}. Compute it again.") from error


_ARRAYS = ("influence", "outcome_quantiles", "time_min", "total_over_time", "spread_over_time_mg_dl")


def morris_influence(
    evaluate: Evaluate, n_parameters: int, *, trajectories: int = TRAJECTORIES, rng: np.random.Generator
) -> FloatArray:
    """Mean size of the elementary effects over the outcome's SD, shape `(n_parameters, n_outcomes)`.

    An outcome that never varies has no influence upon it: zeros.
    """
    # SALib is imported inside functions: only the worker that computes needs it and scipy, not the web process
    from SALib.analyze import morris as analysis  # type: ignore[import-untyped]
    from SALib.sample import morris as sampling  # type: ignore[import-untyped]

    problem = _problem(n_parameters)
    runs = sampling.sample(problem, trajectories, num_levels=LEVELS, seed=_seed(rng))
    outcomes = evaluate(runs)
    columns = []
    for outcome in outcomes.T:
        if _constant(outcome):
            columns.append(np.zeros(n_parameters))
            continue
        found = analysis.analyze(problem, runs, outcome, num_levels=LEVELS, num_resamples=2, seed=_seed(rng))
        columns.append(np.asarray(found["mu_star"], dtype=np.float64) / outcome.std())
    return np.stack(columns, axis=1)


def sobol_runs(n_parameters: int, *, samples: int = SAMPLES, rng: np.random.Generator) -> FloatArray:
    """Saltelli's design without second order, shape `(samples (n_parameters + 2), n_parameters)`, within `QUANTILES`.

    `samples` must be a power of two, for the balance of the Sobol' sequence.
    """
    from SALib.sample import sobol as sampling

    runs: FloatArray = sampling.sample(_problem(n_parameters), samples, calc_second_order=False, seed=_seed(rng))
    return runs


def sobol_indices(outcome: FloatArray, n_parameters: int, *, rng: np.random.Generator) -> Indices:
    """Indices of one outcome, shape `(samples (n_parameters + 2),)`, of the runs of `sobol_runs`, by SALib."""
    from SALib.analyze import sobol as analysis

    if _constant(outcome):
        nothing = np.zeros(n_parameters)
        return Indices(first=nothing, first_half_width=nothing, total=nothing, total_half_width=nothing)
    found = analysis.analyze(
        _problem(n_parameters), outcome, calc_second_order=False, conf_level=CONFIDENCE, seed=_seed(rng)
    )
    return Indices(
        first=found["S1"], first_half_width=found["S1_conf"], total=found["ST"], total_half_width=found["ST_conf"]
    )


def total_indices(outcomes: FloatArray, n_parameters: int) -> FloatArray:
    """Total index of many outcomes at once, shape `(n_parameters, n_outcomes)`; NaN where an outcome is constant.

    Parameters
    ----------
    outcomes
        Shape `(samples (n_parameters + 2), n_outcomes)`, of the runs of `sobol_runs`.

    Notes
    -----
    ST_i = sum (f(A) - f(A_B^i))^2 / (2 N V): Jansen's estimator, table 2 (f) of Saltelli 2010, with V over A and B.
    """
    blocks = outcomes.reshape(-1, n_parameters + 2, outcomes.shape[1])
    first, mixed, second = blocks[:, 0], blocks[:, 1:-1], blocks[:, -1]
    both = np.concatenate((first, second))
    variance = both.var(axis=0)
    variance[variance <= _SAME * (both**2).mean(axis=0)] = np.nan
    return np.asarray(0.5 * ((mixed - first[:, None]) ** 2).mean(axis=0) / variance)


def sensitivity_of(
    twin: FittedTwin,
    *,
    spread: Spread = Spread.POSTERIOR,
    samples: int = SAMPLES,
    kept: int = KEPT,
    rng: np.random.Generator,
    progress: Progress = lambda _fraction, _sentence: None,
) -> Sensitivity:
    """What the glucose of a standard day depends on: screen all fitted parameters, then index the `kept` first.

    The day is that of `standard_day`, sensed glucose counted every 5 min.

    Raises
    ------
    SimulationFailed
        A run left the finite numbers.
    """
    unknown = _Unknown.of(twin, spread)
    day = schedule_of(standard_day(twin.parameters.basal_u_h), start_min=0.0, end_min=MINUTES_PER_DAY)
    progress(0.0, "Screening all parameters.")
    every = np.arange(len(unknown.names))
    influence = morris_influence(
        lambda runs: outcomes_of(unknown.glucose(every, runs, day)), len(unknown.names), rng=rng
    ).max(axis=1)
    order = np.argsort(-influence, kind="stable")
    chosen = order[:kept]
    runs = sobol_runs(len(chosen), samples=samples, rng=rng)
    glucose = unknown.glucose(chosen, runs, day, progress)
    progress(0.9, "Sharing out the variance.")
    outcomes = outcomes_of(glucose)
    shown = slice(None, None, int(_SHOWN_MIN / _SAVED_MIN))
    return Sensitivity(
        spread=spread,
        screened=tuple(unknown.names[i] for i in order),
        influence=influence[order],
        names=tuple(unknown.names[i] for i in chosen),
        indices=tuple(sobol_indices(outcome, len(chosen), rng=rng) for outcome in outcomes.T),
        outcome_quantiles=np.quantile(outcomes, (0.05, 0.5, 0.95), axis=0).T,
        time_min=np.arange(glucose.shape[1], dtype=np.float64)[shown] * _SAVED_MIN,
        total_over_time=total_indices(glucose[:, shown], len(chosen)),
        spread_over_time_mg_dl=glucose[:, shown].std(axis=0),
        n_runs=len(runs),
    )


def standard_day(basal_u_h: float) -> Therapy:
    """Three meals with their boluses by the 500 rule, and the person's own basal insulin at the model's rest."""
    daily_u = 24.0 * basal_u_h / BASAL_SHARE
    return Therapy(
        meals=tuple(Meal(time_min=t, carbs_g=g, duration_min=g / EATEN_G_MIN) for t, g in STANDARD_MEALS),
        boluses=tuple(Bolus(time_min=t, dose_u=min(g * daily_u / RULE_OF_500_G, 100.0)) for t, g in STANDARD_MEALS),
    )


def outcomes_of(glucose_mg_dl: FloatArray) -> FloatArray:
    """`OUTCOMES` of days `(n_runs, n_times)`, shape `(n_runs, 3)`."""
    limits = LIMITS[Preset.STANDARD]
    inside = (glucose_mg_dl >= limits.low) & (glucose_mg_dl <= limits.high)
    return np.stack((glucose_mg_dl.mean(axis=1), glucose_mg_dl.min(axis=1), 100.0 * inside.mean(axis=1)), axis=1)


@dataclass(frozen=True, kw_only=True)
class _Unknown:
    """The fitted parameters as independent normals on their transformed scale."""

    model: OdeModel
    names: tuple[str, ...]
    centre: FloatArray
    sd: FloatArray
    parameters: Callable[[FloatArray], Any]

    @classmethod
    def of(cls, twin: FittedTwin, spread: Spread) -> "_Unknown":
        prior, p = twin.structure.prior, twin.parameters
        reach = PLAUSIBLE_SDS * prior.sd

        def parameters(theta: FloatArray) -> Any:
            plausible = np.clip(theta, prior.centre - reach, prior.centre + reach)
            return prior.parameters(plausible, body_weight_kg=p.BW, basal_u_h=p.basal_u_h)

        known = spread is Spread.POSTERIOR
        return cls(
            model=prior.model,
            names=prior.names,
            centre=twin.theta_mean if known else prior.centre,
            sd=np.sqrt(np.diag(twin.theta_covariance)) if known else prior.sd,
            parameters=parameters,
        )

    def glucose(
        self, moved: Any, runs: FloatArray, day: Schedule, progress: Progress = lambda _fraction, _sentence: None
    ) -> FloatArray:
        """Sensed glucose every 5 min, shape `(n_runs, n_times)`, with the parameters `moved` at the runs' quantiles."""
        from scipy.special import ndtri

        theta = np.tile(self.centre, (len(runs), 1))
        theta[:, moved] += self.sd[moved] * ndtri(runs)
        courses = []
        for begin in range(0, len(runs), _AT_ONCE):
            progress(0.05 + 0.85 * begin / len(runs), f"Simulating {len(runs):,} days.")
            people = self.parameters(theta[begin : begin + _AT_ONCE])
            solution = integrate_batch(self.model, people, day, every_min=_SAVED_MIN)
            if not solution.finite.all():
                raise SimulationFailed(
                    f"{int((~solution.finite).sum())} of {len(solution.finite)} days left the finite numbers: "
                    "the twin's parameters are too uncertain. Fit it again, to more days."
                )
            courses.append(solution.output("glucose_mg_dl"))
        return np.concatenate(courses)


def _problem(n_parameters: int) -> dict[str, Any]:
    names: Sequence[str] = [f"x{i}" for i in range(n_parameters)]
    return {"num_vars": n_parameters, "names": names, "bounds": [list(QUANTILES)] * n_parameters}


def _seed(rng: np.random.Generator) -> int:
    """A positive seed: SALib takes 0 for none, and then the global random state."""
    return int(rng.integers(1, 2**31))


def _constant(outcome: FloatArray) -> bool:
    return bool(outcome.var() <= _SAME * np.mean(outcome**2))
