"""What is assumed of a person before their data: published means and how far people differ from them.

Coordinates: a fitted parameter is the logarithm (positive parameters) or logit (shares `b` and `c`) of the model's;
in *whitened* coordinates each has prior mean 0 and SD 1. Means are the model's defaults (Dalla Man 2007 table 1 and
GIM; basal glucose and its production as in S2013). The SDs on the log scale were chosen by the project, so that
virtual people of another simulator are covered; they are not published numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from twin_core.domain.history import FloatArray
from twin_core.domain.models import OdeModel, quantities
from twin_core.models.glucose import dalla_man_2014
from twin_core.models.glucose.dalla_man_2014 import Parameters

ASSUMED_BODY_WEIGHT_KG = 75.0
"""Taken where the weight is not known; the fit says so."""

PLAUSIBLE_SDS = 3.5
"""A fitted parameter stays within so many prior SDs of its prior mean."""

M4_PER_M2 = 0.4
"""Peripheral over hepatic clearance of insulin in all published sets of this model (0.194 / 0.484)."""


class Scale(StrEnum):
    """On which scale a parameter is normally distributed."""

    LOG = "log"
    LOGIT = "logit"


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Independent normal priors on transformed parameters.

    Attributes
    ----------
    names
        Fitted parameters, `n` of them.
    scales
        The scale of each.
    centre, sd
        Shape `(n,)`: mean and SD on that scale.
    """

    model: OdeModel
    names: tuple[str, ...]
    scales: tuple[Scale, ...]
    centre: FloatArray
    sd: FloatArray = field(repr=False)

    def theta(self, whitened: FloatArray) -> FloatArray:
        """Transformed parameters of whitened ones, any shape `(..., n)`."""
        return self.centre + self.sd * whitened

    def natural(self, theta: FloatArray) -> FloatArray:
        """The model's own values of transformed parameters, any shape `(..., n)`."""
        logit = np.array([scale is Scale.LOGIT for scale in self.scales])
        return np.where(logit, 1.0 / (1.0 + np.exp(-theta)), np.exp(np.where(logit, 0.0, theta)))

    def parameters(self, theta: FloatArray, *, body_weight_kg: float, basal_u_h: float) -> Parameters:
        """The model's parameters: floats for `theta` of shape `(n,)`, arrays `(n_draws,)` for `(n_draws, n)`."""
        columns = self.natural(theta).T
        values: dict[str, Any] = dict(zip(self.names, columns if theta.ndim > 1 else columns.tolist(), strict=True))
        values["m4"] = M4_PER_M2 * values["m2"]
        everyone = np.ones(theta.shape[:-1]) if theta.ndim > 1 else 1.0
        given = {"BW": body_weight_kg, "basal_u_h": basal_u_h}
        values = {name: values.get(name, given.get(name, default)) for name, default in _defaults().items()}
        return Parameters(**{name: value * everyone for name, value in values.items()})

    def moments(self, theta_mean: FloatArray, theta_sd: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and SD of each parameter in the model's unit, by Gauss-Hermite quadrature with 20 nodes."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(20)
        values = self.natural(theta_mean + nodes[:, None] * theta_sd)
        mean = weights @ values / weights.sum()
        variance = weights @ (values - mean) ** 2 / weights.sum()
        return mean, np.sqrt(variance)

    def units(self) -> tuple[str, ...]:
        """The unit of each fitted parameter."""
        declared = quantities(self.model.parameters)
        return tuple(declared[name].unit for name in self.names)


def _defaults() -> dict[str, float]:
    return Parameters._field_defaults


_LOG_SD: Mapping[str, float] = {
    "kabs": 0.5,
    "kmax": 0.4,
    "kmin": 0.4,
    "VG": 0.12,
    "VI": 0.12,
    "Vmx": 0.5,
    "Km0": 0.15,
    "k1": 0.25,
    "k2": 0.3,
    "p2u": 0.4,
    "m1": 0.3,
    "m2": 0.3,
    "ki": 0.35,
    "kp2": 0.4,
    "kp3": 0.5,
    "kd": 0.2,
    "ksc": 0.3,
    "ka1": 0.5,
    "ka2": 0.25,
    "Gb": 0.15,
    "EGPb": 0.2,
}
_LOGIT_SD: Mapping[str, float] = {"b": 0.5, "c": 0.8}


def population_prior() -> Prior:
    """The prior of the type 1 diabetes twin: 21 log and 2 logit parameters."""
    names = (*_LOG_SD, *_LOGIT_SD)
    mean = np.array([_defaults()[name] for name in names])
    scales = (*(Scale.LOG for _ in _LOG_SD), *(Scale.LOGIT for _ in _LOGIT_SD))
    shares = mean[len(_LOG_SD) :]
    return Prior(
        model=dalla_man_2014.MODEL,
        names=names,
        scales=scales,
        centre=np.concatenate((np.log(mean[: len(_LOG_SD)]), np.log(shares / (1.0 - shares)))),
        sd=np.array([*_LOG_SD.values(), *_LOGIT_SD.values()]),
    )
