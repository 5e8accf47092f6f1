"""How much the readings speak for each structure."""

from dataclasses import replace

import numpy as np
import pytest

from twin_core.inference.twin import FitMetrics, FittedTwin, population_twin
from twin_core.inference.weights import evidence_shares


def fitted(log_evidence: float | None, *, n_readings: int = 288) -> FittedTwin:
    metrics = FitMetrics(
        rmse_mg_dl=10.0,
        mard_percent=5.0,
        coverage_90_percent=90.0,
        n_readings=n_readings,
        error_sd_mg_dl=9.0,
        error_correlation=0.9,
        log_evidence=log_evidence,
    )
    return replace(population_twin(), metrics=metrics, window_min=(0.0, 1435.0))


def test_shares_are_the_marginal_likelihoods_over_their_sum() -> None:
    shares = evidence_shares((fitted(-1000.0), fitted(-1000.0 + np.log(3.0))))
    assert shares == pytest.approx([0.25, 0.75])


def test_a_far_better_structure_gets_all_without_overflow() -> None:
    assert evidence_shares((fitted(-5000.0), fitted(-1.0))) == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("other", [fitted(-1.0, n_readings=200), fitted(None), population_twin()])
def test_structures_of_different_readings_are_not_compared(other: FittedTwin) -> None:
    assert evidence_shares((fitted(-1.0), other)) is None
