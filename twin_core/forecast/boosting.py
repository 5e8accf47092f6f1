"""The fit of boosted trees: the only file that imports lightgbm, and only when it is called."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin_core.domain.errors import BadInput
from twin_core.domain.history import FloatArray

TREES = 150
THREADS = 2
_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.06,
    "num_leaves": 63,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 20.0,
    "use_missing": False,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
"""Chosen on the calibration block among a dozen neighbours, most of which lie within 0.3 mg/dL at every horizon."""


def fit(
    inputs: NDArray[np.float32],
    targets: FloatArray,
    *,
    objective: str,
    seed: int,
    trees: int = TREES,
    level: float = 0.5,
) -> Any:
    """What LightGBM's `dump_model` says of trees fitted to `targets` `(n,)`; NaN is no target.

    Parameters
    ----------
    inputs
        Shape `(n, n_features)` without NaN.
    objective
        `l2`; `binary` for targets 0 and 1; `quantile`.
    level
        Which quantile; the other objectives do not look at it.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise BadInput("Training needs lightgbm, which is not installed: pip install 'biotwin[train]'.") from error
    exists = np.isfinite(targets)
    rows = lightgbm.Dataset(inputs[exists], targets[exists], params={"verbose": -1})
    settings = {**_SETTINGS, "objective": objective, "boost_from_average": False, "seed": seed, "num_threads": THREADS}
    if objective == "quantile":
        settings |= {"alpha": level}
    settings["min_data_in_leaf"] = min(settings["min_data_in_leaf"], max(1, int(exists.sum()) // 10))
    return lightgbm.train(settings, rows, trees).dump_model()
