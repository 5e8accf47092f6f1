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
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray, History
from twin_core.forecast.features import WindowArray, column, windows
from twin_core.forecast.quantile_lstm import QuantileLstm
from twin_core.forecast.targets import blocks, observed
from twin_core.metrics import forecast_scores

TRAIN_STRIDE = 2
"""Every second origin of the training block is used: neighbours say nearly the same."""
TABLE_HORIZONS_MIN = (15.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0)
_HEADINGS = (
    *("model", "horizon min", "n", "RMSE", "RMSE per person", "MAE", "MARD %", "bias", "skill", "pinball"),
    *("coverage 50/80/90 %", "width 50/80/90"),
)
INTERVALS = {50: (0.25, 0.75), 80: (0.10, 0.90), 90: (0.05, 0.95)}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Windows of some persons with what was observed after them.

    Attributes
    ----------
    persons
        Shape `(n,)`: whose window it is.
    windows
        Shape `(n, n_steps, n_features)`.
    observed_mg_dl
        Shape `(n, n_horizons)`; NaN where there was no reading.
    """

    persons: NDArray[np.str_]
    windows: WindowArray
    observed_mg_dl: FloatArray

    @property
    def now_mg_dl(self) -> FloatArray:
        """The reading at each origin, shape `(n,)`."""
        return self.windows[:, -1, column("glucose")].astype(np.float64)

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
class PersonScore:
    """RMSE of one person's held-out rows at one horizon [mg/dL], of the model and of persistence."""

    person: str
    horizon_min: float
    model_rmse: float
    persistence_rmse: float


def training_sample(histories: Mapping[str, History]) -> Sample:
    """Every second origin of the first 70 % of each record."""
    return _sample(histories, {person: blocks(h).train[::TRAIN_STRIDE] for person, h in histories.items()})


def calibration_sample(histories: Mapping[str, History]) -> Sample:
    """Every origin of the 10 % that follow."""
    return _sample(histories, {person: blocks(h).calibration for person, h in histories.items()})


def held_out_sample(histories: Mapping[str, History]) -> Sample:
    """Every origin of the last 20 % of each record, which no fit has seen."""
    return _sample(histories, {person: blocks(h).test for person, h in histories.items()})


def evaluate(histories: Mapping[str, History], model: QuantileLstm) -> tuple[Score, ...]:
    """The model, the linear forecast in it and persistence, all on the held-out rows."""
    test = held_out_sample(histories)
    quantiles, ridge = model.predict(test.windows), model.linear(test.windows)
    same = np.repeat(test.now_mg_dl[:, None], len(HORIZONS_MIN), axis=1)
    return scores(
        test,
        (
            Predicted(
                model="LSTM",
                mean_mg_dl=forecast_scores.mean_of_quantiles(quantiles, QUANTILE_LEVELS),
                median_mg_dl=quantiles[..., QUANTILE_LEVELS.index(0.50)],
                quantiles_mg_dl=quantiles,
            ),
            Predicted(model="ridge", mean_mg_dl=ridge, median_mg_dl=ridge),
            Predicted(model="persistence", mean_mg_dl=same, median_mg_dl=same),
        ),
    )


def person_scores(
    histories: Mapping[str, History], model: QuantileLstm, horizons_min: Sequence[float]
) -> tuple[PersonScore, ...]:
    """The model beside persistence on every person's own held-out rows."""
    test = held_out_sample(histories)
    mean = forecast_scores.mean_of_quantiles(model.predict(test.windows), QUANTILE_LEVELS)
    return tuple(
        PersonScore(
            person=str(person),
            horizon_min=horizon,
            model_rmse=forecast_scores.rmse(test.observed_mg_dl[own, place], mean[own, place]),
            persistence_rmse=forecast_scores.rmse(test.observed_mg_dl[own, place], test.now_mg_dl[own]),
        )
        for person in np.unique(test.persons)
        for own in (test.persons == person,)
        for horizon, place in ((each, HORIZONS_MIN.index(each)) for each in horizons_min)
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


def _sample(histories: Mapping[str, History], origins: Mapping[str, FloatArray]) -> Sample:
    if sum(each.size for each in origins.values()) == 0:
        raise BadInput(
            f"None of {len(histories)} histories holds an origin for this block; a record of some days is needed."
        )
    return Sample(
        persons=np.repeat(np.array(list(origins), dtype=np.str_), [each.size for each in origins.values()]),
        windows=np.concatenate([windows(histories[person], each) for person, each in origins.items()]),
        observed_mg_dl=np.concatenate([observed(histories[person], each) for person, each in origins.items()]),
    )


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
