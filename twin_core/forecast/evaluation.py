"""The honest test: every model on the same rows of the last 20 % of each person's record.

End-point scores at each horizon, over origins every 5 min, targets only where a real reading exists, pooled over
persons with the mean of per-person RMSE beside it. RMSE and bias are of the mean forecast, MAE and MARD of the
median where a model has one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.errors import BadInput
from twin_core.domain.forecasts import HORIZONS_MIN, INTERVALS, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, History
from twin_core.forecast import adaptive, alarms
from twin_core.forecast.context import Inputs, inputs_of
from twin_core.forecast.copula import HYPOGLYCAEMIA_MG_DL
from twin_core.forecast.damped_trend import DampedTrend
from twin_core.forecast.model import LOW_WITHIN_MIN, Model
from twin_core.forecast.readiness import HIGHEST_MG_DL, LOWEST_MG_DL
from twin_core.forecast.targets import blocks, observed
from twin_core.metrics import forecast_scores
from twin_core.metrics.glucose_alarms import HYPERGLYCEMIA

TRAIN_STRIDE = 2
"""Every second origin of the training block is used: neighbours say nearly the same."""
TABLE_HORIZONS_MIN = (15.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0)
_HEADINGS = (
    *("model", "horizon min", "n", "RMSE", "RMSE per person", "MAE", "MARD %", "bias", "skill", "pinball"),
    *("coverage 50/80/90 %", "width 50/80/90"),
)
PERSON_HORIZONS_MIN = (30.0, 60.0, 120.0)
SLOW_SAMPLING_MIN = 10.0
SHIPPED = "shipped"
PARTS = ("boosted trees", "LSTM")
"""What the shipped stack is made of."""
BASELINES = ("ridge", "damped trend", "persistence")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Windows of some persons with what was observed after them.

    Attributes
    ----------
    persons
        Shape `(n,)`: whose window it is.
    origins_min
        Shape `(n,)`.
    inputs
        What a model reads at each origin.
    observed_mg_dl
        Shape `(n, n_horizons)`; NaN where there was no reading.
    """

    persons: NDArray[np.str_]
    origins_min: FloatArray
    inputs: Inputs
    observed_mg_dl: FloatArray

    @property
    def now_mg_dl(self) -> FloatArray:
        """The reading at each origin, shape `(n,)`."""
        return self.inputs.now_mg_dl

    @property
    def low_within(self) -> FloatArray:
        """1 where a reading below 70 mg/dL came within 30, 60, 120 min, NaN where none came; shape `(n, 3)`."""
        return np.stack([_low_within(self.observed_mg_dl, within) for within in LOW_WITHIN_MIN], axis=1)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Sample":
        """Some of the rows."""
        return Sample(
            persons=self.persons[chosen],
            origins_min=self.origins_min[chosen],
            inputs=self.inputs.rows(chosen),
            observed_mg_dl=self.observed_mg_dl[chosen],
        )

    @property
    def change_mg_dl(self) -> FloatArray:
        """What was observed minus the reading at the origin, shape `(n, n_horizons)`."""
        return self.observed_mg_dl - self.now_mg_dl[:, None]


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What a model said on the rows of a sample; only a probabilistic one has quantiles."""

    model: str
    mean_mg_dl: FloatArray
    median_mg_dl: FloatArray
    quantiles_mg_dl: FloatArray | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """One model at one horizon [mg/dL, %, shares]; interval scores only of a probabilistic model."""

    model: str
    horizon_min: float
    count: int
    rmse: float
    mae: float
    mard_percent: float
    bias: float
    rmse_per_person: float
    skill: float
    """Share of persistence's RMSE that is gone."""
    pinball: float | None = None
    coverage: Mapping[int, float] | None = None
    """By nominal percent: 50, 80, 90."""
    width: Mapping[int, float] | None = None


@dataclass(frozen=True, kw_only=True)
class PersonRow:
    """One person's held-out rows at one horizon [mg/dL, shares by nominal percent]."""

    person: str
    horizon_min: float
    count: int
    rmse: float
    persistence_rmse: float
    coverage: Mapping[int, float]
    width: Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class RangeRow:
    """The rows whose observation lay in one range of glucose, at one horizon [mg/dL]."""

    name: str
    horizon_min: float
    count: int
    rmse: float
    mae: float
    bias: float


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """The rows of the people of one group at one horizon [mg/dL, shares by nominal percent]."""

    group: str
    name: str
    persons: int
    horizon_min: float
    count: int
    rmse: float
    persistence_rmse: float
    bias: float
    coverage: Mapping[int, float]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What the model said of rows that no fit has seen, with intervals that followed each person online.

    Attributes
    ----------
    predicted
        Of the shipped model, then of each baseline, all on the rows of `sample`.
    low_within_30
        Probability of a reading below 70 mg/dL within 30 min by which the alarm goes, shape `(n,)`.
    """

    sample: Sample
    predicted: tuple[Predicted, ...]
    low_within_30: FloatArray

    @property
    def shipped(self) -> Predicted:
        """The stack as it is served."""
        return self.predicted[0]


def training_sample(histories: Mapping[str, History]) -> Sample:
    """Every second origin of the first 70 % of each record."""
    return sample_of(histories, {person: blocks(h).train[::TRAIN_STRIDE] for person, h in histories.items()})


def calibration_sample(histories: Mapping[str, History]) -> Sample:
    """Every origin of the 10 % that follow."""
    return sample_of(histories, {person: blocks(h).calibration for person, h in histories.items()})


def held_out_sample(histories: Mapping[str, History]) -> Sample:
    """Every origin of the last 20 % of each record, which no fit has seen."""
    return sample_of(histories, {person: blocks(h).test for person, h in histories.items()})


def held_out(
    histories: Mapping[str, History], model: Model, damped: DampedTrend, origins: Mapping[str, FloatArray] | None = None
) -> HeldOut:
    """The model and its baselines on held-out rows; intervals have followed each person since the calibration block.

    Parameters
    ----------
    origins
        By person; None means the test block of each record, with the calibration block to warm up the intervals.
    """
    warm_up = {person: blocks(h).calibration if origins is None else np.empty(0) for person, h in histories.items()}
    scored = {person: blocks(h).test for person, h in histories.items()} if origins is None else origins
    sample = sample_of(histories, {person: np.concatenate([warm_up[person], scored[person]]) for person in histories})
    parts = model.parts(sample.inputs)
    said = model.joined(sample.inputs, parts)
    now = sample.now_mg_dl[:, None]
    everything = (
        Predicted(
            model=SHIPPED,
            mean_mg_dl=said.mean_mg_dl,
            median_mg_dl=said.quantiles_mg_dl[..., QUANTILE_LEVELS.index(0.50)],
            quantiles_mg_dl=_following(sample, said.quantiles_mg_dl),
        ),
        *(
            _point(name, now + change)
            for name, change in (
                *zip(PARTS, (parts.trees, parts.network), strict=True),
                *zip(
                    BASELINES,
                    (parts.linear, damped.change(sample.inputs), np.zeros_like(parts.linear)),
                    strict=True,
                ),
            )
        ),
    )
    chosen = np.concatenate([np.arange(warm_up[p].size + scored[p].size) >= warm_up[p].size for p in histories])
    return HeldOut(
        sample=sample.rows(chosen),
        predicted=tuple(_rows(each, chosen) for each in everything),
        low_within_30=model.low_within(parts, said.quantiles_mg_dl)[chosen, 0],
    )


def person_rows(held: HeldOut) -> tuple[PersonRow, ...]:
    """Every person's own scores at 30, 60 and 120 min."""
    sample = held.sample
    return tuple(
        _person_row(str(person), horizon, sample.rows(own), _rows(held.shipped, own))
        for person in np.unique(sample.persons)
        for own in (np.flatnonzero(sample.persons == person),)
        for horizon in PERSON_HORIZONS_MIN
    )


def range_rows(held: HeldOut) -> tuple[RangeRow, ...]:
    """Scores of the shipped model by the range in which the observation lay."""
    return tuple(_range_row(each, horizon, held) for each in forecast_scores.RANGES for horizon in PERSON_HORIZONS_MIN)


def group_rows(held: HeldOut, histories: Mapping[str, History]) -> tuple[GroupRow, ...]:
    """Scores of the shipped model by what the records tell of their people: therapy and sampling."""
    sample = held.sample
    groups = {"therapy": _therapy_of, "sampling": _sampling_of}
    rows = []
    for group, of in groups.items():
        by_person = {person: of(history) for person, history in histories.items()}
        for name in sorted(set(by_person.values())):
            members = [person for person, own in by_person.items() if own == name]
            chosen = np.flatnonzero(np.isin(sample.persons, members))
            for horizon in PERSON_HORIZONS_MIN if chosen.size else ():
                row = _person_row(name, horizon, sample.rows(chosen), _rows(held.shipped, chosen))
                place = HORIZONS_MIN.index(horizon)
                rows.append(
                    GroupRow(
                        group=group,
                        name=name,
                        persons=len(members),
                        horizon_min=horizon,
                        count=row.count,
                        rmse=row.rmse,
                        persistence_rmse=row.persistence_rmse,
                        bias=forecast_scores.bias(
                            sample.observed_mg_dl[chosen, place], held.shipped.mean_mg_dl[chosen, place]
                        ),
                        coverage=row.coverage,
                    )
                )
    return tuple(rows)


def _therapy_of(history: History) -> str:
    therapy = history.therapy
    if len(therapy.basal) > len(therapy.long_acting):
        return "insulin pump"
    return "injections" if therapy.long_acting else "no basal insulin recorded"


def _sampling_of(history: History) -> str:
    between_min = history.sampling_min
    is_fast = between_min is not None and between_min < SLOW_SAMPLING_MIN
    return "under 10 min between readings" if is_fast else "10 min and more between readings"


def high_alarm_rows(held: HeldOut, histories: Mapping[str, History]) -> tuple[alarms.AlarmScore, ...]:
    """Alarms of high glucose by plain rules on the forecast; no page goes by them."""
    sample, now = held.sample, held.sample.now_mg_dl
    quantiles = held.shipped.quantiles_mg_dl
    assert quantiles is not None
    at_30 = quantiles[:, HORIZONS_MIN.index(30.0)]
    rules = {
        f"{percent} % quantile at 30 min above 180": at_30[:, QUANTILE_LEVELS.index(percent / 100)]
        > HYPERGLYCEMIA.level_mg_dl
        for percent in (50, 75, 90)
    } | {"glucose now above 160": now > 160.0}
    return tuple(
        alarms.score(name, histories, sample.persons, sample.origins_min, now, raised, HYPERGLYCEMIA)
        for name, raised in rules.items()
    )


def alarm_rows(held: HeldOut, histories: Mapping[str, History], threshold: float) -> tuple[alarms.AlarmScore, ...]:
    """The alarm as it ships beside plain rules."""
    sample, now = held.sample, held.sample.now_mg_dl
    quantiles = held.shipped.quantiles_mg_dl
    assert quantiles is not None
    at_30 = quantiles[:, HORIZONS_MIN.index(30.0)]
    rules = {
        f"P(below 70 within 30 min) at least {threshold:.3f}": held.low_within_30 >= threshold,
        "10 % quantile at 30 min below 70": at_30[:, QUANTILE_LEVELS.index(0.10)] < HYPOGLYCAEMIA_MG_DL,
        "25 % quantile at 30 min below 70": at_30[:, QUANTILE_LEVELS.index(0.25)] < HYPOGLYCAEMIA_MG_DL,
        "glucose now below 80": now < 80.0,
    }
    return tuple(
        alarms.score(name, histories, sample.persons, sample.origins_min, now, raised) for name, raised in rules.items()
    )


def _point(name: str, glucose_mg_dl: FloatArray) -> Predicted:
    clipped = np.clip(glucose_mg_dl, LOWEST_MG_DL, HIGHEST_MG_DL)
    return Predicted(model=name, mean_mg_dl=clipped, median_mg_dl=clipped)


def _rows(predicted: Predicted, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Predicted:
    quantiles = predicted.quantiles_mg_dl
    return Predicted(
        model=predicted.model,
        mean_mg_dl=predicted.mean_mg_dl[chosen],
        median_mg_dl=predicted.median_mg_dl[chosen],
        quantiles_mg_dl=None if quantiles is None else quantiles[chosen],
    )


def _following(sample: Sample, quantiles_mg_dl: FloatArray) -> FloatArray:
    """Quantiles with intervals widened, person by person, by what had been seen until each origin; as pages show them.

    Raw quantiles `(n, n_horizons, n_levels)` on the rows of a sample whose origins increase for each person.
    """
    widened = quantiles_mg_dl.copy()
    for person in np.unique(sample.persons):
        own = np.flatnonzero(sample.persons == person)
        misses = adaptive.scores(sample.observed_mg_dl[own], quantiles_mg_dl[own])
        factors = adaptive.factors_over_time(sample.origins_min[own], misses)
        widened[own] = adaptive.widened_by(quantiles_mg_dl[own], adaptive.smoothed(factors))
    return np.clip(widened, LOWEST_MG_DL, HIGHEST_MG_DL)


def _person_row(person: str, horizon_min: float, sample: Sample, said: Predicted) -> PersonRow:
    place = HORIZONS_MIN.index(horizon_min)
    seen, quantiles = sample.observed_mg_dl[:, place], said.quantiles_mg_dl
    assert quantiles is not None
    intervals = _interval_scores(seen, quantiles[:, place])
    return PersonRow(
        person=person,
        horizon_min=horizon_min,
        count=int(np.isfinite(seen).sum()),
        rmse=forecast_scores.rmse(seen, said.mean_mg_dl[:, place]),
        persistence_rmse=forecast_scores.rmse(seen, sample.now_mg_dl),
        coverage=intervals["coverage"],
        width=intervals["width"],
    )


def _range_row(own: forecast_scores.GlucoseRange, horizon_min: float, held: HeldOut) -> RangeRow:
    place = HORIZONS_MIN.index(horizon_min)
    seen, said = held.sample.observed_mg_dl[:, place], held.shipped
    inside = own.holds(seen)
    return RangeRow(
        name=own.name,
        horizon_min=horizon_min,
        count=int(inside.sum()),
        rmse=forecast_scores.rmse(seen[inside], said.mean_mg_dl[inside, place]),
        mae=forecast_scores.mae(seen[inside], said.median_mg_dl[inside, place]),
        bias=forecast_scores.bias(seen[inside], said.mean_mg_dl[inside, place]),
    )


def scores(sample: Sample, predictions: Sequence[Predicted]) -> tuple[Score, ...]:
    """Scores of each model at each horizon of the table, all on the same rows."""
    return tuple(_score(sample, predicted, horizon) for predicted in predictions for horizon in TABLE_HORIZONS_MIN)


def table_markdown(rows: Sequence[Score]) -> str:
    """The scores as a Markdown table, a line for each model and horizon."""
    rule = "|---" * len(_HEADINGS) + "|"
    return "\n".join(["| " + " | ".join(_HEADINGS) + " |", rule, *map(_line, rows)])


def _line(row: Score) -> str:
    pinball = "-" if row.pinball is None else f"{row.pinball:.2f}"
    covered = "-" if row.coverage is None else " / ".join(f"{100 * share:.1f}" for share in row.coverage.values())
    wide = "-" if row.width is None else " / ".join(f"{width:.0f}" for width in row.width.values())
    cells = (
        *(row.model, f"{row.horizon_min:.0f}", f"{row.count}", f"{row.rmse:.2f}", f"{row.rmse_per_person:.2f}"),
        *(f"{row.mae:.2f}", f"{row.mard_percent:.1f}", f"{row.bias:+.2f}", f"{row.skill:.3f}"),
        *(pinball, covered, wide),
    )
    return "| " + " | ".join(cells) + " |"


def sample_of(histories: Mapping[str, History], origins: Mapping[str, FloatArray]) -> Sample:
    """Inputs and observations at some origins of each person; `BadInput` when there is none."""
    if sum(each.size for each in origins.values()) == 0:
        raise BadInput(
            f"None of {len(histories)} histories holds an origin for this block; a record of some days is needed."
        )
    inputs = [inputs_of(histories[person], each) for person, each in origins.items()]
    return Sample(
        persons=np.repeat(np.array(list(origins), dtype=np.str_), [each.size for each in origins.values()]),
        origins_min=np.concatenate(list(origins.values())),
        inputs=Inputs(
            windows=np.concatenate([each.windows for each in inputs]),
            context=np.concatenate([each.context for each in inputs]),
        ),
        observed_mg_dl=np.concatenate([observed(histories[person], each) for person, each in origins.items()]),
    )


def _low_within(observed_mg_dl: FloatArray, within_min: float) -> FloatArray:
    seen = observed_mg_dl[:, [horizon <= within_min for horizon in HORIZONS_MIN]]
    known = np.isfinite(seen)
    low = (np.where(known, seen, np.inf) < HYPOGLYCAEMIA_MG_DL).any(axis=1)
    return np.where(known.any(axis=1), low.astype(np.float64), np.nan)


def _score(sample: Sample, predicted: Predicted, horizon_min: float) -> Score:
    place = HORIZONS_MIN.index(horizon_min)
    seen = sample.observed_mg_dl[:, place]
    mean, median = predicted.mean_mg_dl[:, place], predicted.median_mg_dl[:, place]
    error = forecast_scores.rmse(seen, mean)
    score = Score(
        model=predicted.model,
        horizon_min=horizon_min,
        count=int(np.isfinite(seen).sum()),
        rmse=error,
        mae=forecast_scores.mae(seen, median),
        mard_percent=forecast_scores.mard(seen, median),
        bias=forecast_scores.bias(seen, mean),
        rmse_per_person=forecast_scores.mean_per_person(forecast_scores.rmse, sample.persons, seen, mean),
        skill=forecast_scores.skill(error, forecast_scores.rmse(seen, sample.now_mg_dl)),
    )
    if predicted.quantiles_mg_dl is None:
        return score
    return replace(score, **_interval_scores(seen, predicted.quantiles_mg_dl[:, place]))


def _interval_scores(seen: FloatArray, quantiles: FloatArray) -> dict[str, Any]:
    ends = {
        percent: (quantiles[:, QUANTILE_LEVELS.index(low)], quantiles[:, QUANTILE_LEVELS.index(high)])
        for percent, (low, high) in INTERVALS.items()
    }
    return {
        "pinball": forecast_scores.pinball(seen, quantiles, QUANTILE_LEVELS),
        "coverage": {percent: forecast_scores.coverage(seen, *pair) for percent, pair in ends.items()},
        "width": {percent: forecast_scores.width(seen, *pair) for percent, pair in ends.items()},
    }
