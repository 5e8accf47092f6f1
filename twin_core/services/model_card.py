"""The card of the shipped forecaster: what it was trained on, how it did on data that it has not seen, its limits.

Everything is read from what the training run wrote; no figure is typed by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from twin_core.forecast import artifact
from twin_core.forecast.evaluation import Score
from twin_core.forecast.report import AlarmRow, EvaluationReport, load

__all__ = ["PERSISTENCE", "AlarmRow", "ModelCard", "model_card"]

PERSISTENCE = "persistence"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The shipped forecaster.

    Attributes
    ----------
    report
        Its evaluation on records that it has not seen.
    """

    version: str
    date: str
    command: str
    seed: int
    persons: int
    data_sha256: str
    weights_sha256: str
    report: EvaluationReport

    @property
    def scores(self) -> tuple[Score, ...]:
        """Each model at each horizon, all on the same held-out rows."""
        return self.report.scores

    @property
    def rows(self) -> Mapping[str, int]:
        """Origins used, by block."""
        return self.report.rows

    @property
    def protocol(self) -> str:
        """How it was scored, in a sentence."""
        return self.report.protocol

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Names of the models, the served one first."""
        return tuple(dict.fromkeys(score.model for score in self.scores))

    @cached_property
    def horizons_min(self) -> tuple[float, ...]:
        """Horizons at which there are scores."""
        return tuple(dict.fromkeys(score.horizon_min for score in self.scores))

    def score(self, model: str, horizon_min: float) -> Score:
        """One model at one horizon; `KeyError` when there is none."""
        return {(each.model, each.horizon_min): each for each in self.scores}[model, horizon_min]

    def of(self, model: str) -> tuple[Score, ...]:
        """One model at every horizon."""
        return tuple(each for each in self.scores if each.model == model)


def model_card(folder: Path = artifact.SHIPPED) -> ModelCard:
    """The card of a folder of weights; `DamagedArtifact` when they are not what their manifest says."""
    _, manifest = artifact.load(folder)
    report = load(folder)
    return ModelCard(
        version=manifest["model_version"],
        date=manifest["date"],
        command=manifest["command"],
        seed=manifest["seed"],
        persons=manifest["persons"],
        data_sha256=manifest["data_sha256"],
        weights_sha256=manifest["sha256"],
        report=report,
    )
