"""How much the readings speak for each of several structures that were fitted to the same ones.

Bayesian model averaging (Hoeting et al. 1999, Stat Sci 14(4):382) with equal odds beforehand: a structure's share is
its marginal likelihood, by Laplace's approximation (Kass and Raftery 1995, J Am Stat Assoc 90(430):773,
doi 10.1080/01621459.1995.10476572), over that of all. An answer weighed so is the mean of theirs by share.
"""

from collections.abc import Sequence

import numpy as np

from twin_core.domain.history import FloatArray
from twin_core.inference.twin import FittedTwin


def evidence_shares(twins: Sequence[FittedTwin]) -> FloatArray | None:
    """The share of each twin's structure, shape `(n_twins,)`; None if they were not fitted to the same readings."""
    records = {(twin.window_min, twin.metrics.n_readings) for twin in twins if twin.metrics is not None}
    found = [twin.metrics.log_evidence for twin in twins if twin.metrics is not None]
    evidence = np.array([value for value in found if value is not None])
    if len(records) != 1 or len(evidence) < len(twins):
        return None
    odds = np.exp(evidence - evidence.max())
    return np.asarray(odds / odds.sum())
