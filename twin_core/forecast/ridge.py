"""A linear forecast from window and context: what trees and network correct, and a baseline that they must beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray
from twin_core.forecast.context import CONTEXT_NAMES, ContextArray, Inputs
from twin_core.forecast.features import N_STEPS, column

PENALTY = 300.0
FARTHEST_DEVIATIONS = 4.0
LAG_SCALE_MG_DL = 40.0
_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True, kw_only=True)
class ContextScaling:
    """Mean and deviation of the context over training rows, and which columns may be unknown.

    Attributes
    ----------
    mean, deviation
        Shape `(n_context,)`.
    may_lack
        Columns that were unknown in some training row; each gets a flag.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    may_lack: NDArray[np.int32]

    @classmethod
    def of(cls, context: ContextArray) -> "ContextScaling":
        """The statistics of training rows; a column that is never known has mean 0."""
        exists = np.isfinite(context)
        count = np.maximum(exists.sum(axis=0), 1)
        filled = np.where(exists, context, 0.0).astype(np.float64)
        mean = filled.sum(axis=0) / count
        spread = np.sqrt((np.where(exists, context - mean, 0.0) ** 2).sum(axis=0) / count)
        return cls(
            mean=mean.astype(np.float32),
            deviation=np.maximum(spread, _LEAST_DEVIATION).astype(np.float32),
            may_lack=np.flatnonzero(~exists.all(axis=0)).astype(np.int32),
        )

    @property
    def width(self) -> int:
        """How many columns `apply` gives."""
        return len(CONTEXT_NAMES) + len(self.may_lack)

    def apply(self, context: ContextArray) -> NDArray[np.float32]:
        """Scaled context with 0 for the unknown, then a flag for each column that may be unknown."""
        scaled = np.clip((context - self.mean) / self.deviation, -FARTHEST_DEVIATIONS, FARTHEST_DEVIATIONS)
        exists = np.isfinite(scaled)
        flags = (~exists[:, self.may_lack]).astype(np.float32)
        return np.concatenate([np.where(exists, scaled, np.float32(0.0)), flags], axis=1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """Coefficients of the change of glucose, shape `(n_inputs, n_horizons)` [mg/dL]."""

    coefficients: NDArray[np.float32]

    @classmethod
    def fitted(cls, scaled: NDArray[np.float32], inputs: Inputs, change_mg_dl: FloatArray) -> "Ridge":
        """Least squares with a penalty on every coefficient but the constant, horizon by horizon.

        Parameters
        ----------
        scaled
            What `ContextScaling.apply` gives for the inputs.
        change_mg_dl
            Shape `(n, n_horizons)`; rows with NaN are left out of that horizon's fit.
        """
        columns = _columns(scaled, inputs)
        penalty = PENALTY * np.eye(columns.shape[1])
        penalty[0, 0] = 0.0
        solved = [_solve(columns, change, penalty) for change in change_mg_dl.T]
        return cls(coefficients=np.column_stack(solved).astype(np.float32))

    def change(self, scaled: NDArray[np.float32], inputs: Inputs) -> FloatArray:
        """Forecast change of glucose from now [mg/dL], shape `(n, n_horizons)`."""
        return (_columns(scaled, inputs) @ self.coefficients).astype(np.float64)


def _solve(columns: NDArray[np.float32], change: FloatArray, penalty: FloatArray) -> FloatArray:
    exists = np.isfinite(change)
    rows = columns[exists].astype(np.float64)
    return np.asarray(np.linalg.solve(rows.T @ rows + penalty, rows.T @ change[exists]))


def _columns(scaled: NDArray[np.float32], inputs: Inputs) -> NDArray[np.float32]:
    """A constant, the context, and glucose relative to now at every earlier slot, shape `(n, n_inputs)`."""
    earlier = inputs.windows[:, : N_STEPS - 1, column("glucose_from_now")] / np.float32(LAG_SCALE_MG_DL)
    return np.concatenate([np.ones((len(scaled), 1), dtype=np.float32), scaled, earlier], axis=1)
