"""The card of the shipped forecaster: what it was trained on, how it did on data that it has not seen, its limits.

Everything is read from what the training run wrote; no figure is typed by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from twin_core.forecast import artifact
from twin_core.forecast.evaluation import Score

PERSISTENCE = "persistence"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """The shipped forecaster.

    Attributes
    ----------
    rows
        Origins used, by block.
    scores
        Each model at each horizon, all on the same held-out rows.
    """

    version: str
    date: str
    command: str
    seed: int
    persons: int
    rows: Mapping[str, int]
    data_sha256: str
    weights_sha256: str
    protocol: str
    scores: tuple[Score, ...]

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
    return ModelCard(
        version=manifest["model_version"],
        date=manifest["date"],
        command=manifest["command"],
        seed=manifest["seed"],
        persons=manifest["persons"],
        rows=manifest["rows"],
        data_sha256=manifest["data_sha256"],
        weights_sha256=manifest["sha256"],
        protocol=_protocol(manifest["protocol"]),
        scores=tuple(_score(row) for row in manifest["held_out"]),
    )


def _protocol(written: Mapping[str, Any]) -> str:
    train, calibration = (round(100 * written[name]) for name in ("train_share", "calibration_share"))
    return (
        f"The first {train} % of each record train, the next {calibration} % calibrate the intervals, the last "
        f"{100 - train - calibration} % test, with {written['embargo_min']:.0f} min between them. A reading counts "
        "from the next 5-min slot, nothing is interpolated, and every model is scored on the same rows."
    )


def _score(row: Mapping[str, Any]) -> Score:
    """JSON keys are text; percentages are numbers."""
    by_percent = {
        name: None if row[name] is None else {int(percent): value for percent, value in row[name].items()}
        for name in ("coverage", "width")
    }
    return Score(**{**row, **by_percent})
