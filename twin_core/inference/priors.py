"""What is assumed of a person before their data: published means and how far people differ from them.

Coordinates: a fitted parameter is the logarithm (positive parameters) or logit (shares `b` and `c`) of the model's;
in *whitened* coordinates each has prior mean 0 and SD 1. Means are the models' defaults (UVA/Padova: Dalla Man 2007
table 1 and GIM; basal glucose and its production as in S2013. Hovorka: the published nominal values, with the same
basal glucose). The SDs on the log scale were chosen by the project, so that virtual people of other simulators are
covered; they are not published numbers.

In the Hovorka model the three sensitivities of the prior's mean belong to somebody whose basal insulin holds basal
glucose while production without insulin is the published one; sensitivity times insulin is all that counts at rest, so
that somebody with twice the basal insulin is taken to be half as sensitive (`per_person`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from twin_core.domain.history import FloatArray
from twin_core.domain.models import OdeModel, quantities
from twin_core.models.glucose import dalla_man_2014, edes, hovorka_2004

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
    tied
        Parameters that follow a fitted one: its name and the factor.
    per_person
        `per_person(body_weight_kg, basal_u_h)`: factors from the coordinates' values to a person's own parameters.
    """

    model: OdeModel
    names: tuple[str, ...]
    scales: tuple[Scale, ...]
    centre: FloatArray
    sd: FloatArray = field(repr=False)
    tied: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    per_person: Callable[[float, float], Mapping[str, float]] = lambda _weight_kg, _basal_u_h: {}

    def theta(self, whitened: FloatArray) -> FloatArray:
        """Transformed parameters of whitened ones, any shape `(..., n)`."""
        return self.centre + self.sd * whitened

    def natural(self, theta: FloatArray) -> FloatArray:
        """The values of transformed parameters in the model's units, any shape `(..., n)`, before `per_person`."""
        logit = np.array([scale is Scale.LOGIT for scale in self.scales])
        return np.where(logit, 1.0 / (1.0 + np.exp(-theta)), np.exp(np.where(logit, 0.0, theta)))

    def parameters(self, theta: FloatArray, *, body_weight_kg: float, basal_u_h: float) -> Any:
        """The model's parameters: floats for `theta` of shape `(n,)`, arrays `(n_draws,)` for `(n_draws, n)`."""
        columns = self.natural(theta).T
        values: dict[str, Any] = dict(zip(self.names, columns if theta.ndim > 1 else columns.tolist(), strict=True))
        values |= {name: factor * values[leader] for name, (leader, factor) in self.tied.items()}
        values |= {name: factor * values[name] for name, factor in self.per_person(body_weight_kg, basal_u_h).items()}
        everyone = np.ones(theta.shape[:-1]) if theta.ndim > 1 else 1.0
        given = {"BW": body_weight_kg, "basal_u_h": basal_u_h}
        values = {name: values.get(name, given.get(name, default)) for name, default in self.defaults().items()}
        return self.model.parameters(**{name: value * everyone for name, value in values.items()})

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

    def defaults(self) -> dict[str, float]:
        """The model's default parameters."""
        return dict(self.model.parameters._field_defaults)  # type: ignore[attr-defined]


_UVA_PADOVA_LOG_SD: Mapping[str, float] = {
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
_UVA_PADOVA_LOGIT_SD: Mapping[str, float] = {"b": 0.5, "c": 0.8}

_HOVORKA_LOG_SD: Mapping[str, float] = {
    # Resalat 2019 draws SIT, SID, SIE with CVs of 0.28, 0.39, 0.26 and EGP0 with 0.10
    "SIT": 0.4,
    "SID": 0.5,
    "SIE": 0.35,
    "F01": 0.2,
    "k12": 0.35,
    "ka1": 0.5,
    "ka2": 0.5,
    "ka3": 0.5,
    "ke": 0.2,
    "VI": 0.12,
    "VG": 0.15,
    "tI": 0.25,
    "tG": 0.3,
    "ts": 0.3,
    "Gb": 0.15,
}
_HOVORKA_LOGIT_SD: Mapping[str, float] = {"AG": 0.4}
_HOVORKA_GB_MG_DL = 120.0


def population_prior() -> Prior:
    """The prior of the UVA/Padova type 1 diabetes twin: 21 log and 2 logit parameters."""
    return _prior(
        dalla_man_2014.MODEL,
        dalla_man_2014.Parameters._field_defaults,
        _UVA_PADOVA_LOG_SD,
        _UVA_PADOVA_LOGIT_SD,
        tied={"m4": ("m2", M4_PER_M2)},
    )


def hovorka_prior() -> Prior:
    """The prior of the Hovorka type 1 diabetes twin: 15 log and 1 logit parameters."""
    return _prior(
        hovorka_2004.MODEL,
        {**hovorka_2004.Parameters._field_defaults, "Gb": _HOVORKA_GB_MG_DL},
        _HOVORKA_LOG_SD,
        _HOVORKA_LOGIT_SD,
        per_person=_hovorka_sensitivity,
    )


_EDES_LOG_SD: Mapping[str, float] = {"k1": 0.4, "k5": 0.6, "k6": 0.6, "tau_g": 0.4, "Gb": 0.2}
_EDES_GB_MG_DL = 100.0
"""Between normal fasting glucose and type 2 diabetes; two SDs above it is 149 mg/dL (a choice)."""


def edes_prior() -> Prior:
    """The prior of the twin for glucose and meals alone: E-DES with its four free parameters and basal glucose."""
    means = {**edes.Parameters._field_defaults, "Gb": _EDES_GB_MG_DL}
    return _prior(edes.MODEL, means, _EDES_LOG_SD, {})


def _hovorka_sensitivity(body_weight_kg: float, basal_u_h: float) -> Mapping[str, float]:
    """How much more sensitive than nominal somebody is whose basal rate holds the prior's mean basal glucose."""
    nominal = hovorka_2004.Parameters(BW=body_weight_kg, Gb=_HOVORKA_GB_MG_DL)
    factor = float(hovorka_2004.basal_rate_for(nominal)) / basal_u_h
    return dict.fromkeys(("SIT", "SID", "SIE"), factor)


def _prior(
    model: OdeModel, means: Mapping[str, float], log_sd: Mapping[str, float], logit_sd: Mapping[str, float], **more: Any
) -> Prior:
    shares = np.array([means[name] for name in logit_sd])
    return Prior(
        model=model,
        names=(*log_sd, *logit_sd),
        scales=(*(Scale.LOG for _ in log_sd), *(Scale.LOGIT for _ in logit_sd)),
        centre=np.concatenate((np.log([means[name] for name in log_sd]), np.log(shares / (1.0 - shares)))),
        sd=np.array([*log_sd.values(), *logit_sd.values()]),
        **more,
    )
