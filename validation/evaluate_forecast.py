"""The shipped forecaster on the last fifth of each record, which training has not seen, beside its baselines.

Blocks in time with 4.5 h between them; every 5-min origin; real readings only; the same rows for every model. The same
figures as `python -m twin_core evaluate-forecast FOLDER`, held against what was asked of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from twin_core.bootstrap import read_folder
from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.domain.history import FloatArray, History
from twin_core.forecast import artifact, evaluation
from twin_core.forecast.context import inputs_of
from twin_core.forecast.damped_trend import DampedTrend
from twin_core.forecast.features import held_glucose
from twin_core.forecast.model import Model
from twin_core.forecast.targets import blocks, observed
from validation.line import Line

MOST_RMSE = {30.0: 21.5, 60.0: 33.8, 120.0: 46.0}
COVERAGE_90, LEAST_OF_A_PERSON = (0.88, 0.92), 0.86
FRESH_MIN, LONGEST_FILLED_MIN = 5.0, 240.0
LEAST_SENSITIVITY, MOST_FALSE_A_DAY, LEAST_LEAD_MIN = 0.90, 1.2, 25.0


def lines(data: Path) -> Iterator[Line]:
    """Errors beside the best baseline, coverage pooled and of the worst person, alarms."""
    histories = read_folder(data).histories
    model, manifest = Model.load(artifact.SHIPPED), artifact.manifest_of(artifact.SHIPPED)
    held = evaluation.held_out(histories, model, DampedTrend(fading_min=float(manifest["damped_trend_fading_min"])))
    scores = {(each.model, each.horizon_min): each for each in evaluation.scores(held.sample, held.predicted)}
    for horizon, most in MOST_RMSE.items():
        own = scores[evaluation.SHIPPED, horizon]
        errors = {name: scores[name, horizon].rmse for name in evaluation.BASELINES}
        best = min(errors, key=errors.__getitem__)
        yield Line(
            what=f"{horizon:.0f} min, {own.count} rows: pooled RMSE [mg/dL]",
            seen=f"{own.rmse:.2f}",
            target=f"<= {most:g}",
            holds=own.rmse <= most,
        )
        yield Line(
            what=f"{horizon:.0f} min: best baseline on the same rows, {best}",
            seen=f"{errors[best]:.2f}",
            target="ours ahead",
            holds=own.rmse < errors[best],
        )
        parts = ", ".join(f"{name} {scores[name, horizon].rmse:.2f}" for name in evaluation.PARTS)
        yield Line(what=f"{horizon:.0f} min: its parts alone", seen=parts)
        assert own.coverage is not None
        assert own.width is not None
        persons = [row for row in evaluation.person_rows(held) if row.horizon_min == horizon]
        for percent in (50, 80, 90):
            least = min(row.coverage[percent] for row in persons)
            share = own.coverage[percent]
            asked = percent == 90
            yield Line(
                what=f"{horizon:.0f} min: {percent} % interval holds; worst person; mean width [mg/dL]",
                seen=f"{share:.3f}; {least:.3f}; {own.width[percent]:.0f}",
                target="0.88-0.92; >= 0.86" if asked else "",
                holds=COVERAGE_90[0] <= share <= COVERAGE_90[1] and least >= LEAST_OF_A_PERSON if asked else None,
            )
    yield from interpolated_copy(histories, model)
    alarm = evaluation.alarm_rows(held, histories, model.alarm_threshold)[0]
    lead = np.nan if alarm.lead_median_min is None else alarm.lead_median_min
    yield Line(
        what=f"{alarm.rule}: {alarm.events} lows found, false a day, median lead",
        seen=f"{alarm.sensitivity:.3f}, {alarm.false_per_day:.2f}, {lead:.1f} min",
        target=f">= {LEAST_SENSITIVITY}, <= {MOST_FALSE_A_DAY}, >= {LEAST_LEAD_MIN:.0f} min",
        holds=bool(
            alarm.sensitivity >= LEAST_SENSITIVITY
            and alarm.false_per_day <= MOST_FALSE_A_DAY
            and lead >= LEAST_LEAD_MIN
        ),
    )


def interpolated_copy(histories: Mapping[str, History], model: Model) -> Iterator[Line]:
    """The same origins, with gaps of the past drawn through: held against the same real readings.

    Where the last reading is some minutes old, the line drawn to the next one looks into the future and must win; what
    counts is where a reading has just come.
    """
    errors: dict[tuple[str, float], list[FloatArray]] = {}
    for history in histories.values():
        origins = blocks(history).test
        if origins.size == 0:
            continue
        just_come = held_glucose(history, origins)[1] <= FRESH_MIN
        seen = observed(history, origins)
        for name, record in (("real", history), ("copy", filled(history))):
            missed = seen - model.predict(inputs_of(record, origins)).mean_mg_dl
            for horizon in MOST_RMSE:
                errors.setdefault((name, horizon), []).append(missed[just_come, HORIZONS_MIN.index(horizon)])
    for horizon in MOST_RMSE:
        real, copy = (
            float(np.sqrt(np.nanmean(np.concatenate(errors[name, horizon]) ** 2))) for name in ("real", "copy")
        )
        yield Line(
            what=f"{horizon:.0f} min: a copy with its gaps drawn through, over the record itself",
            seen=f"{copy:.2f} / {real:.2f}",
            target="not better",
            holds=copy >= real,
        )


def filled(history: History) -> History:
    """Straight lines every 5 min through gaps of up to four hours."""
    times, glucose = history.cgm_time_min, history.cgm_mg_dl
    gaps = np.diff(times)
    between = [
        np.arange(times[i] + 5.0, times[i + 1] - 2.5, 5.0)
        for i in np.flatnonzero((gaps > 7.5) & (gaps <= LONGEST_FILLED_MIN))
    ]
    added = np.concatenate(between) if between else np.empty(0)
    together = np.concatenate((times, added))
    order = np.argsort(together, kind="stable")
    values = np.concatenate((glucose, np.interp(added, times, glucose)))
    return replace(history, cgm_time_min=together[order], cgm_mg_dl=values[order])
