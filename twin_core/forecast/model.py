"""The trained model without tensorflow or lightgbm: a linear forecast, trees and network that correct it, intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.errors import DamagedArtifact
from twin_core.domain.forecasts import HORIZONS_MIN, QUANTILE_LEVELS
from twin_core.domain.history import FloatArray
from twin_core.forecast import artifact, copula
from twin_core.forecast.conformal import PAIRS, widened
from twin_core.forecast.context import CONTEXT_NAMES, Inputs, context_column
from twin_core.forecast.features import FEATURE_NAMES, network_inputs
from twin_core.forecast.lstm import LAYERS, N_HORIZONS, N_LEVELS, raw_outputs, spread
from twin_core.forecast.readiness import HIGHEST_MG_DL, LOWEST_MG_DL
from twin_core.forecast.ridge import ContextScaling, Ridge
from twin_core.forecast.scaling import Scaling
from twin_core.forecast.trees import Trees, known
from twin_core.metrics.forecast_scores import mean_of_quantiles

KNOTS_MIN = (15.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0)
"""Horizons at which the trees correct the linear forecast; between them the correction is a straight line."""
LOW_WITHIN_MIN = (30, 60, 120)
"""For which the trees say how likely a reading below 70 mg/dL is."""
REST_SD_MG_DL = (1.0, 3.0)
"""Standard deviations of a day below which glucose stays as it is, and above which it lives. In the training rows
less than one in a thousand lies between or below."""
LEAST_SPREAD = 0.1
"""The share of the spread that is left of a series at rest."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What each part of the model says of the change from now [mg/dL], shape `(n, n_horizons)` each.

    Attributes
    ----------
    network
        Mean of the linear forecast as the network corrects it.
    quantiles
        Shape `(n, n_horizons, n_levels)`: of the change, as the network gives them.
    low_log_odds
        Shape `(n, len(LOW_WITHIN_MIN))`: of a reading below 70 mg/dL, by the trees.
    life
        Shape `(n, 1)`: 0 for a series that does not move, 1 for a living one.
    """

    linear: FloatArray
    trees: FloatArray
    network: FloatArray
    quantiles: FloatArray
    low_log_odds: FloatArray
    life: FloatArray


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """Mean `(n, n_horizons)` and quantiles `(n, n_horizons, n_levels)` [mg/dL], within 40 to 400."""

    mean_mg_dl: FloatArray
    quantiles_mg_dl: FloatArray


@dataclass(frozen=True, kw_only=True)
class Model:
    """Weights and everything that turns inputs into calibrated quantiles.

    Attributes
    ----------
    layers
        Arrays of the network by the names in `lstm.LAYERS`.
    trees
        Corrections at `KNOTS_MIN`, then the log-odds of a low within `LOW_WITHIN_MIN`.
    correction_scale_mg_dl
        Shape `(n_horizons,)`: standard deviation of the linear forecast's error over the training rows.
    tree_share
        Shape `(n_horizons,)`: how much of the mean is the trees'; the rest is the network's.
    offsets_mg_dl
        Shape `(n_horizons, len(PAIRS))`, see `conformal.interval_offsets`.
    correlation
        Shape `(n_horizons, n_horizons)`, see `copula.correlation`.
    alarm_threshold
        The probability of a low within 30 min from which on an alarm is raised.
    """

    layers: Mapping[str, NDArray[np.float32]]
    window_scaling: Scaling
    context_scaling: ContextScaling
    ridge: Ridge
    trees: Trees
    correction_scale_mg_dl: FloatArray
    tree_share: FloatArray
    offsets_mg_dl: FloatArray
    correlation: FloatArray
    alarm_threshold: float
    version: str

    @classmethod
    def load(cls, folder: Path = artifact.SHIPPED) -> "Model":
        """The model of a folder; `DamagedArtifact` when its files are not what the manifest says."""
        arrays, manifest = artifact.load(folder)
        _check(arrays, manifest)
        return cls(
            layers={name: arrays[name] for name in LAYERS},
            window_scaling=Scaling(mean=arrays["feature_mean"], deviation=arrays["feature_deviation"]),
            context_scaling=ContextScaling(
                mean=arrays["context_mean"], deviation=arrays["context_deviation"], may_lack=arrays["context_may_lack"]
            ),
            ridge=Ridge(coefficients=arrays["ridge_coefficients"]),
            trees=Trees.of_arrays(arrays, "trees"),
            correction_scale_mg_dl=arrays["correction_scale_mg_dl"].astype(np.float64),
            tree_share=arrays["tree_share"].astype(np.float64),
            offsets_mg_dl=arrays["offsets_mg_dl"].astype(np.float64),
            correlation=arrays["correlation"].astype(np.float64),
            alarm_threshold=float(arrays["alarm_threshold"]),
            version=str(manifest["model_version"]),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `artifact.save` keeps."""
        return {
            **self.layers,
            **self.trees.arrays("trees"),
            "feature_mean": self.window_scaling.mean,
            "feature_deviation": self.window_scaling.deviation,
            "context_mean": self.context_scaling.mean,
            "context_deviation": self.context_scaling.deviation,
            "context_may_lack": self.context_scaling.may_lack,
            "ridge_coefficients": self.ridge.coefficients,
            "correction_scale_mg_dl": self.correction_scale_mg_dl.astype(np.float32),
            "tree_share": self.tree_share.astype(np.float32),
            "offsets_mg_dl": self.offsets_mg_dl.astype(np.float32),
            "correlation": self.correlation.astype(np.float32),
            "alarm_threshold": np.array(self.alarm_threshold, dtype=np.float32),
        }

    def predict(self, inputs: Inputs) -> Predicted:
        """Mean and calibrated quantiles."""
        return self.joined(inputs, self.parts(inputs))

    def parts(self, inputs: Inputs) -> Parts:
        """What linear forecast, trees and network say, each by itself."""
        scaled = self.context_scaling.apply(inputs.context)
        linear = self.ridge.change(scaled, inputs)
        summed = self.trees.predict(known(inputs.context))
        raw = raw_outputs(self.layers, network_inputs(self.window_scaling.apply(inputs.windows)), scaled)
        quantiles = linear[..., None] + self.correction_scale_mg_dl[:, None] * spread(raw).astype(np.float64)
        return Parts(
            linear=linear,
            trees=linear + summed[:, : len(KNOTS_MIN)] @ _BETWEEN_KNOTS,
            low_log_odds=summed[:, len(KNOTS_MIN) :],
            network=mean_of_quantiles(quantiles, QUANTILE_LEVELS),
            quantiles=quantiles,
            life=life(inputs),
        )

    def joined(self, inputs: Inputs, parts: Parts) -> Predicted:
        """Mean and calibrated quantiles from what the parts say."""
        quantiles, mean = self.uncalibrated(inputs, parts)
        narrow = np.maximum(parts.life, LEAST_SPREAD)[..., None]
        moved = widened(quantiles, self.offsets_mg_dl * narrow)
        return Predicted(mean_mg_dl=_clipped(mean), quantiles_mg_dl=_clipped(moved))

    def uncalibrated(self, inputs: Inputs, parts: Parts) -> tuple[FloatArray, FloatArray]:
        """Quantiles and mean [mg/dL] before intervals are widened and clipped.

        The mean is shared out between trees and network; the spread about it is the network's.
        """
        change = self.tree_share * parts.trees + (1.0 - self.tree_share) * parts.network
        about = (parts.quantiles - parts.network[..., None]) * np.maximum(parts.life, LEAST_SPREAD)[..., None]
        mean = inputs.now_mg_dl[:, None] + parts.life * change
        return mean[..., None] + about, mean

    def low_within(self, parts: Parts, quantiles_mg_dl: FloatArray) -> FloatArray:
        """Probability of a reading below 70 mg/dL within `LOW_WITHIN_MIN`, not decreasing; shape `(n, 3)`.

        Half-way, in log-odds, between the trees' and that of the joint paths. On the calibration block that is better
        than either alone, in Brier score and log loss, at all three spans.
        """
        share = parts.life * 0.5
        log_odds = share * parts.low_log_odds + (1.0 - share) * self._low_log_odds(quantiles_mg_dl)
        return _probability(log_odds)

    def low_moved(self, low: FloatArray, before_mg_dl: FloatArray, after_mg_dl: FloatArray) -> FloatArray:
        """Probabilities of a low within `LOW_WITHIN_MIN`, their normal scores moved as far as those of the joint paths.

        An action that moves nothing leaves them as they are; one that shifts a normal law by so many standard
        deviations shifts the score by as many, however small the probability.

        Parameters
        ----------
        low
            Shape `(n, 3)`, as `low_within` gives them for the forecast without the action.
        before_mg_dl, after_mg_dl
            Quantiles without and with the action, shape `(n, n_horizons, n_levels)`.
        """
        before, after = (_probability(self._low_log_odds(each)) for each in (before_mg_dl, after_mg_dl))
        return np.maximum.accumulate(_below(_score(low) + _score(after) - _score(before)), axis=1)

    def _low_log_odds(self, quantiles_mg_dl: FloatArray) -> FloatArray:
        """Of a path below 70 mg/dL within each of `LOW_WITHIN_MIN`; shape `(n, 3)`."""
        return _log_odds(copula.below_70_within(quantiles_mg_dl, self._joint_scores, LOW_WITHIN_MIN))

    @cached_property
    def _joint_scores(self) -> FloatArray:
        return copula.draws(self.correlation, LOW_WITHIN_MIN[-1])


def _log_odds(probability: FloatArray) -> FloatArray:
    """Finite for a share of the draws that is 0 or 1: as if half a draw had fallen on the other side."""
    certain = np.clip(probability, 0.5 / copula.N_DRAWS, 1.0 - 0.5 / copula.N_DRAWS)
    return np.asarray(np.log(certain / (1.0 - certain)))


_score = np.vectorize(NormalDist().inv_cdf, otypes=[np.float64])
_below = np.vectorize(NormalDist().cdf, otypes=[np.float64])


def _probability(log_odds: FloatArray) -> FloatArray:
    return np.asarray(np.maximum.accumulate(0.5 * (1.0 + np.tanh(0.5 * log_odds)), axis=1))


def life(inputs: Inputs) -> FloatArray:
    """0 for a record of 6 h and more whose last day does not move, 1 for a living one, shape `(n, 1)`."""
    low, high = REST_SD_MG_DL
    deviation = inputs.context[:, context_column("sd_24h")].astype(np.float64)
    long_enough = np.isfinite(inputs.context[:, context_column("change_360")])
    return np.where(long_enough, np.clip((deviation - low) / (high - low), 0.0, 1.0), 1.0)[:, None]


def _clipped(glucose_mg_dl: FloatArray) -> FloatArray:
    return np.clip(glucose_mg_dl, LOWEST_MG_DL, HIGHEST_MG_DL)


def _between_knots() -> FloatArray:
    """Weights that draw straight lines from 0 at now through the knots, shape `(n_knots, n_horizons)`."""
    unit = np.eye(len(KNOTS_MIN))
    return np.stack([np.interp(HORIZONS_MIN, (0.0, *KNOTS_MIN), (0.0, *row)) for row in unit])


_BETWEEN_KNOTS = _between_knots()


def _check(arrays: Mapping[str, NDArray[Any]], manifest: Mapping[str, Any]) -> None:
    if tuple(manifest["features"]) != (*FEATURE_NAMES, *CONTEXT_NAMES):
        raise DamagedArtifact("The weights were trained on other features than this version makes. Train anew.")
    wanted = {
        "feature_mean": (len(FEATURE_NAMES),),
        "feature_deviation": (len(FEATURE_NAMES),),
        "context_mean": (len(CONTEXT_NAMES),),
        "context_deviation": (len(CONTEXT_NAMES),),
        "trees_first_tree": (len(KNOTS_MIN) + len(LOW_WITHIN_MIN) + 1,),
        "correction_scale_mg_dl": (N_HORIZONS,),
        "tree_share": (N_HORIZONS,),
        "offsets_mg_dl": (N_HORIZONS, len(PAIRS)),
        "correlation": (N_HORIZONS, N_HORIZONS),
        "quantiles_bias": (N_HORIZONS * N_LEVELS,),
        "alarm_threshold": (),
    }
    for name in (*LAYERS, "ridge_coefficients", "context_may_lack", *wanted):
        shape = arrays[name].shape if name in arrays else None
        if shape is None or shape != wanted.get(name, shape):
            raise DamagedArtifact(f"The weights' array {name} has shape {shape}, not {wanted.get(name)}. Train anew.")
