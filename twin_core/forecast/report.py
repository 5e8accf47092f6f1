"""How the shipped forecaster did on what it had not seen: written by the training run, read by pages and model card."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from twin_core.domain.errors import DamagedArtifact
from twin_core.domain.history import History
from twin_core.forecast import artifact, evaluation
from twin_core.forecast.alarms import AlarmScore
from twin_core.forecast.damped_trend import DampedTrend
from twin_core.forecast.evaluation import GroupRow, PersonRow, RangeRow, Score
from twin_core.forecast.explanation import EXPLAINED_MIN, reliance
from twin_core.forecast.model import Model

REPORT_FILE = "evaluation.json"
_RELIANCE_STRIDE, _RELIANCE_SEED = 10, 1
PROTOCOL = (
    "Per person the first 70 % of the readings train, the next 10 % calibrate, the last 20 % are scored; 4.5 h between "
    "the blocks belong to none. Every 5-min origin, real readings only, the same rows for all models."
)


@dataclass(frozen=True, kw_only=True)
class AlarmRow:
    """How one alarm rule did, see `alarms`; None where nothing could be counted."""

    rule: str
    events: int
    days: float
    sensitivity: float | None
    precision: float | None
    false_per_day: float | None
    lead_median_min: float | None


@dataclass(frozen=True, kw_only=True)
class SeedRow:
    """Pooled RMSE of the whole training with one seed [mg/dL]."""

    seed: int
    horizon_min: float
    rmse: float


@dataclass(frozen=True, kw_only=True)
class LeftOutRow:
    """RMSE on one person's test block by a model that has never seen the person [mg/dL]."""

    person: str
    horizon_min: float
    rmse: float
    persistence_rmse: float


@dataclass(frozen=True, kw_only=True)
class PersonalRow:
    """RMSE on one person's test block before and after personalisation [mg/dL]."""

    person: str
    horizon_min: float
    population_rmse: float
    personal_rmse: float
    adopted: bool


@dataclass(frozen=True, kw_only=True)
class RelianceRow:
    """By how much the RMSE grows when one kind of knowledge is shuffled between rows [mg/dL]."""

    kind: str
    horizon_min: float
    rmse_growth: float


@dataclass(frozen=True, kw_only=True)
class EvaluationReport:
    """Everything that was measured of one set of weights; the last three are empty where they were not measured."""

    model_version: str
    rows: Mapping[str, int]
    protocol: str
    scores: tuple[Score, ...]
    persons: tuple[PersonRow, ...]
    ranges: tuple[RangeRow, ...]
    groups: tuple[GroupRow, ...]
    hypo: tuple[AlarmRow, ...]
    hyper: tuple[AlarmRow, ...]
    reliance: tuple[RelianceRow, ...]
    seeds: tuple[SeedRow, ...]
    left_out: tuple[LeftOutRow, ...] = ()
    personalised: tuple[PersonalRow, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it beside the weights."""
        (folder / REPORT_FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def score(self, model: str, horizon_min: float) -> Score:
        """The score of one model at one horizon."""
        return next(row for row in self.scores if (row.model, row.horizon_min) == (model, horizon_min))


@cache
def shipped_report() -> EvaluationReport:
    """The report of the shipped weights."""
    return load(artifact.SHIPPED)


def load(folder: Path) -> EvaluationReport:
    """The report of a folder; `DamagedArtifact` when it cannot be read or speaks of other weights."""
    try:
        told = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
        known: dict[str, Any] = {
            field.name: _rows(field.name, told[field.name]) if field.name in _ROWS else told[field.name]
            for field in fields(EvaluationReport)
        }
        report = EvaluationReport(**known)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedArtifact(f"{folder / REPORT_FILE} cannot be read: {error}. Train anew.") from error
    weights = artifact.manifest_of(folder)["model_version"]
    if report.model_version != weights:
        raise DamagedArtifact(f"{REPORT_FILE} is of {report.model_version}, the weights are {weights}. Train anew.")
    return report


def report_of(
    histories: Mapping[str, History], model: Model, damped: DampedTrend, rows: Mapping[str, int], seed: int
) -> EvaluationReport:
    """Score a model on the held-out blocks of some persons."""
    held = evaluation.held_out(histories, model, damped)
    scores = evaluation.scores(held.sample, held.predicted)
    return EvaluationReport(
        model_version=model.version,
        rows={"train": rows["train"], "validation": rows["calibration"], "test": len(held.sample.persons)},
        protocol=PROTOCOL,
        scores=scores,
        persons=evaluation.person_rows(held),
        ranges=evaluation.range_rows(held),
        groups=evaluation.group_rows(held, histories),
        hypo=tuple(map(_alarm_row, evaluation.alarm_rows(held, histories, model.alarm_threshold))),
        hyper=tuple(map(_alarm_row, evaluation.high_alarm_rows(held, histories))),
        reliance=reliance_rows(held, model),
        seeds=seed_rows(seed, scores),
    )


def reliance_rows(held: evaluation.HeldOut, model: Model) -> tuple[RelianceRow, ...]:
    """What the forecast leans on, over every tenth held-out row, each shuffled by the same seed."""
    sample = held.sample.rows(np.arange(0, len(held.sample.persons), _RELIANCE_STRIDE))
    found = reliance(model, sample.inputs, sample.observed_mg_dl, np.random.default_rng(_RELIANCE_SEED))
    return tuple(
        RelianceRow(kind=kind, horizon_min=horizon, rmse_growth=growth)
        for kind, growths in found.items()
        for horizon, growth in zip(EXPLAINED_MIN, growths, strict=True)
    )


def seed_rows(seed: int, scores: tuple[Score, ...]) -> tuple[SeedRow, ...]:
    """The pooled errors of the shipped model under one seed."""
    return tuple(
        SeedRow(seed=seed, horizon_min=row.horizon_min, rmse=row.rmse)
        for row in scores
        if row.model == evaluation.SHIPPED and row.horizon_min in evaluation.PERSON_HORIZONS_MIN
    )


def _alarm_row(scored: AlarmScore) -> AlarmRow:
    return AlarmRow(
        rule=scored.rule,
        events=scored.events,
        days=scored.days,
        sensitivity=scored.sensitivity if scored.events else None,
        precision=scored.precision if scored.episodes else None,
        false_per_day=scored.false_per_day if scored.days else None,
        lead_median_min=scored.lead_median_min,
    )


_ROWS: dict[str, Any] = {
    "scores": Score,
    "persons": PersonRow,
    "ranges": RangeRow,
    "groups": GroupRow,
    "hypo": AlarmRow,
    "hyper": AlarmRow,
    "reliance": RelianceRow,
    "seeds": SeedRow,
    "left_out": LeftOutRow,
    "personalised": PersonalRow,
}


def _rows(name: str, told: list[dict[str, Any]]) -> tuple[Any, ...]:
    return tuple(_ROWS[name](**{key: _by_percent(value) for key, value in row.items()}) for row in told)


def _by_percent(value: Any) -> Any:
    """JSON's text keys as the numbers that they were."""
    return {int(key): share for key, share in value.items()} if isinstance(value, dict) else value
