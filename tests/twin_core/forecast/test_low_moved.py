import numpy as np
import pytest

from twin_core.domain.forecasts import HORIZONS_MIN
from twin_core.forecast.model import Model

LOW = np.array([[0.05, 0.10, 0.20]])


def quantiles(centre_mg_dl: float) -> np.ndarray:
    points = 20.0 * np.array([-1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449])
    return np.broadcast_to(centre_mg_dl + points, (1, len(HORIZONS_MIN), 7))


def test_an_action_that_moves_nothing_leaves_the_chances_of_a_low() -> None:
    assert Model.load().low_moved(LOW, quantiles(110.0), quantiles(110.0)) == pytest.approx(LOW)


def test_lower_quantiles_make_a_low_likelier_and_higher_ones_less_likely() -> None:
    lower, higher = (Model.load().low_moved(LOW, quantiles(110.0), quantiles(centre)) for centre in (95.0, 125.0))
    assert (lower > LOW).all()
    assert (higher < LOW).all()
    assert (np.diff(lower) >= 0.0).all()
