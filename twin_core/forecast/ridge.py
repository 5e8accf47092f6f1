"""A linear forecast from the same windows: what the network corrects, and the baseline that it must beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.history import FloatArray
from twin_core.forecast.features import FEATURES, N_STEPS, WindowArray, column

PENALTY = 10.0
N_INPUTS = 1 + len(FEATURES) + N_STEPS - 1


@dataclass(frozen=True, kw_only=True)
class Ridge:
    """Coefficients of the change of glucose, shape `(N_INPUTS, n_horizons)` [mg/dL]."""

    coefficients: NDArray[np.float32]

    @classmethod
    def fitted(cls, scaled_windows: WindowArray, change_mg_dl: FloatArray) -> "Ridge":
        """Least squares with a penalty on every coefficient but the constant, horizon by horizon.

        Parameters
        ----------
        scaled_windows
            Shape `(n, n_steps, n_features)`, see `Scaling`.
        change_mg_dl
            Shape `(n, n_horizons)`; rows with NaN are left out of that horizon's fit.
        """
        inputs = _inputs(scaled_windows)
        penalty = PENALTY * np.eye(N_INPUTS)
        penalty[0, 0] = 0.0
        columns = [_solve(inputs, change, penalty) for change in change_mg_dl.T]
        return cls(coefficients=np.column_stack(columns).astype(np.float32))

    def change(self, scaled_windows: WindowArray) -> FloatArray:
        """Forecast change of glucose from now [mg/dL], shape `(n, n_horizons)`."""
        return _inputs(scaled_windows) @ self.coefficients.astype(np.float64)


def _solve(inputs: FloatArray, change: FloatArray, penalty: FloatArray) -> FloatArray:
    exists = np.isfinite(change)
    rows = inputs[exists]
    return np.asarray(np.linalg.solve(rows.T @ rows + penalty, rows.T @ change[exists]))


def _inputs(scaled: WindowArray) -> FloatArray:
    """A constant, the newest slot, and glucose relative to now at every earlier slot, shape `(n, N_INPUTS)`."""
    earlier = scaled[:, :-1, column("glucose_from_now")]
    return np.concatenate([np.ones((len(scaled), 1)), scaled[:, -1], earlier], axis=1)
