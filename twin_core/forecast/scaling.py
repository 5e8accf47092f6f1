"""Windows in units that a network likes, by statistics of the training rows only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin_core.forecast.features import FEATURES, Feature, WindowArray, column

_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Mean and standard deviation of every feature over the rows where it is known, shape `(n_features,)`."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def of(cls, windows: WindowArray) -> "Scaling":
        """The statistics of training windows; flags are left as they are."""
        pairs = np.array([_statistics(windows, feature) for feature in FEATURES], dtype=np.float32)
        return cls(mean=pairs[:, 0], deviation=pairs[:, 1])

    def apply(self, windows: WindowArray) -> WindowArray:
        """Scaled windows of the same shape; what is not known becomes 0, the mean."""
        scaled = (windows - self.mean) / self.deviation
        for place, feature in enumerate(FEATURES):
            if feature.known_by is not None:
                scaled[..., place] *= windows[..., column(feature.known_by)]
        return scaled


def _statistics(windows: WindowArray, feature: Feature) -> tuple[float, float]:
    if feature.unit == "flag":
        return 0.0, 1.0
    values = windows[..., column(feature.name)]
    if feature.known_by is not None:
        values = values[windows[..., column(feature.known_by)] > 0]
    if values.size == 0:
        return 0.0, 1.0
    return float(values.mean(dtype=np.float64)), max(float(values.std(dtype=np.float64)), _LEAST_DEVIATION)
