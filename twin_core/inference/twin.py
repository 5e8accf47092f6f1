"""A person's twin: a model's parameters with what is not known about them, and where they come from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from twin_core.domain.errors import DamagedArtifact, OutOfRange, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.inference.error_model import ErrorModel
from twin_core.inference.priors import ASSUMED_BODY_WEIGHT_KG, PLAUSIBLE_SDS
from twin_core.inference.structures import GIVEN, Structure, structure_named

UVA_PADOVA = "uva_padova_t1d"
"""The structure of a twin unless another is asked for."""


class TwinKind(StrEnum):
    """Where a twin's numbers come from."""

    FITTED = "fitted"
    GLUCOSE_AND_MEALS = "glucose_and_meals"
    """Fitted, but without insulin in record and model: it has no answer about insulin."""
    POPULATION = "population"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One parameter before and after the data, in the model's unit."""

    name: str
    unit: str
    prior_mean: float
    prior_sd: float
    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class WindowSensitivity:
    """How insulin acted in one window of one day: the log of a factor, 0 as the parameters say."""

    start_min: float
    log_mean: float
    log_sd: float


@dataclass(frozen=True, kw_only=True)
class CarbScale:
    """How much of a meal's carbohydrate there seems to have been: the log of a factor, 0 as recorded."""

    time_min: float
    log_mean: float
    log_sd: float


@dataclass(frozen=True, kw_only=True)
class FitMetrics:
    """How well the fitted curve meets the readings it was fitted to; no proof of a good what-if.

    `error_sd_mg_dl`, `error_correlation` (between neighbouring readings), `error_model_share` and `error_lasting_min`
    are the error model's; an interval of 90 % covered `coverage_90_percent` of these readings. `log_evidence` is the
    log marginal likelihood of the readings (Laplace), to compare structures fitted to the same ones; None in twins
    that were fitted before it was kept.
    """

    rmse_mg_dl: float
    mard_percent: float
    coverage_90_percent: float
    n_readings: int
    error_sd_mg_dl: float
    error_correlation: float
    error_model_share: float = ErrorModel.model_share
    error_lasting_min: float = ErrorModel.lasting_min
    log_evidence: float | None = None

    @property
    def error(self) -> ErrorModel:
        """The error of the fitted curve."""
        return ErrorModel(
            sd_mg_dl=self.error_sd_mg_dl, model_share=self.error_model_share, lasting_min=self.error_lasting_min
        )


@dataclass(frozen=True, kw_only=True)
class FittedTwin:
    """Parameters, their posterior, and how they came about.

    Attributes
    ----------
    parameters
        The most probable ones.
    theta_mean, theta_covariance
        Shape `(n,)` and `(n, n)`: normal posterior (Laplace) of the transformed parameters of the structure's prior.
    model
        The name of its structure, see `structures`.
    metrics
        None for the population.
    notes
        Sentences for the reader: what was assumed, what is on a bound, what the data did not tell.
    window_min
        Begin and end of the readings used [min], None for the population.
    windows
        How sensitivity differed from `parameters`, by day and window (from 04, 11 and 17 h local time).
    carb_scales
        How much the carbohydrate of each meal seems to have differed from the record.
    experiments
        Sentences: which small experiment would tell most of what the data could not.
    """

    kind: TwinKind
    parameters: Any
    theta_mean: FloatArray
    theta_covariance: FloatArray
    model: str = UVA_PADOVA
    metrics: FitMetrics | None = None
    notes: tuple[str, ...] = ()
    window_min: tuple[float, float] | None = None
    data_hash: str = ""
    windows: tuple[WindowSensitivity, ...] = ()
    carb_scales: tuple[CarbScale, ...] = ()
    experiments: tuple[str, ...] = ()

    @property
    def structure(self) -> Structure:
        """The twin's equations and what is assumed of people."""
        return structure_named(self.model)

    @property
    def basal_u_h(self) -> float:
        """The person's basal insulin [U/h]; 0 for a model that takes none."""
        return float(getattr(self.parameters, "basal_u_h", 0.0))

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Prior and posterior of every fitted parameter."""
        prior = self.structure.prior
        before = prior.moments(prior.centre, prior.sd)
        after = prior.moments(self.theta_mean, np.sqrt(np.diag(self.theta_covariance)))
        own = prior.per_person(self.parameters.BW, self.basal_u_h)
        factors = np.array([own.get(name, 1.0) for name in prior.names])
        columns = (prior.names, prior.units(), *((factors * column).tolist() for column in (*before, *after)))
        return tuple(
            Estimate(name=name, unit=unit, prior_mean=prior_mean, prior_sd=prior_sd, mean=mean, sd=sd)
            for name, unit, prior_mean, prior_sd, mean, sd in zip(*columns, strict=True)
        )

    def draws(self, n: int, rng: np.random.Generator) -> Any:
        """`n` parameter sets from the posterior, as arrays of shape `(n,)`, kept within plausible bounds."""
        prior = self.structure.prior
        theta = rng.multivariate_normal(self.theta_mean, self.theta_covariance, size=n, method="cholesky")
        reach = PLAUSIBLE_SDS * prior.sd
        theta = np.clip(theta, prior.centre - reach, prior.centre + reach)
        return prior.parameters(theta, body_weight_kg=self.parameters.BW, basal_u_h=self.basal_u_h)

    def to_payload(self) -> dict[str, Any]:
        """As JSON; `from_payload` reads it back without loss."""
        return {
            "model": self.model,
            "kind": self.kind.value,
            "parameters": self.parameters._asdict(),
            "theta_names": list(self.structure.prior.names),
            "theta_mean": self.theta_mean.tolist(),
            "theta_covariance": self.theta_covariance.tolist(),
            "metrics": None if self.metrics is None else asdict(self.metrics),
            "notes": list(self.notes),
            "window_min": None if self.window_min is None else list(self.window_min),
            "data_hash": self.data_hash,
            "windows": [asdict(window) for window in self.windows],
            "carb_scales": [asdict(scale) for scale in self.carb_scales],
            "experiments": list(self.experiments),
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "FittedTwin":
        """The twin that `to_payload` wrote.

        Twins written before there were windows, carb scales and experiments have none; model parameters that came
        later take their default.

        Raises
        ------
        DamagedArtifact
            A field is missing or malformed, or the twin is of another model or other parameters.
        """
        try:
            structure = structure_named(str(payload["model"]))
            twin = cls(
                kind=TwinKind(payload["kind"]),
                model=structure.model.name,
                parameters=_parameters(structure, payload["parameters"]),
                theta_mean=np.array(payload["theta_mean"], dtype=np.float64),
                theta_covariance=np.array(payload["theta_covariance"], dtype=np.float64),
                metrics=None if payload["metrics"] is None else FitMetrics(**payload["metrics"]),
                notes=tuple(str(note) for note in payload["notes"]),
                window_min=_window(payload["window_min"]),
                data_hash=str(payload["data_hash"]),
                windows=tuple(WindowSensitivity(**window) for window in payload.get("windows", ())),
                carb_scales=tuple(CarbScale(**scale) for scale in payload.get("carb_scales", ())),
                experiments=tuple(str(sentence) for sentence in payload.get("experiments", ())),
            )
            names = tuple(payload["theta_names"])
        except (UnknownName, OutOfRange, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DamagedArtifact(f"This is not a twin: {type(error).__name__} {error}. Fit it again.") from error
        _check_form(twin, names)
        return twin


def _parameters(structure: Structure, values: Mapping[str, float]) -> Any:
    """The model's parameters, each within its declared range; no fitted or given one may be left out."""
    given = set(GIVEN) & set(structure.prior.defaults())
    missing = {*structure.prior.names, *structure.prior.tied, *given} - set(values)
    if missing:
        raise ValueError(f"parameters lack {', '.join(sorted(missing))}")
    return structure.model.parameters_with({name: float(value) for name, value in values.items()})


def _window(values: Any) -> tuple[float, float] | None:
    return None if values is None else (float(values[0]), float(values[1]))


def _check_form(twin: FittedTwin, names: tuple[str, ...]) -> None:
    prior = twin.structure.prior
    n = len(prior.names)
    if names != prior.names:
        raise DamagedArtifact(f"A twin of {twin.model} with other parameters cannot be used here. Fit it again.")
    if twin.theta_mean.shape != (n,) or twin.theta_covariance.shape != (n, n):
        raise DamagedArtifact(f"A twin needs {n} means and a {n} x {n} covariance; got {twin.theta_mean.shape}.")
    if not (np.isfinite(twin.theta_mean).all() and np.isfinite(twin.theta_covariance).all()):
        raise DamagedArtifact("A twin's posterior is not finite. Fit it again.")
    if np.linalg.eigvalsh(twin.theta_covariance)[0] <= 0.0:
        raise DamagedArtifact("A twin's covariance is not positive definite. Fit it again.")


def population_twin(
    *, body_weight_kg: float | None = None, basal_u_h: float | None = None, structure: str = UVA_PADOVA
) -> FittedTwin:
    """The twin of somebody of whom nothing is known but, at most, weight and basal insulin.

    Without a basal rate it follows the weight, as in the model's default person.
    """
    prior = structure_named(structure).prior
    weight_kg = ASSUMED_BODY_WEIGHT_KG if body_weight_kg is None else body_weight_kg
    default = prior.defaults()
    basal = default.get("basal_u_h", 0.0) * weight_kg / default["BW"] if basal_u_h is None else basal_u_h
    return FittedTwin(
        kind=TwinKind.POPULATION,
        model=structure,
        parameters=prior.parameters(prior.centre, body_weight_kg=weight_kg, basal_u_h=basal),
        theta_mean=prior.centre,
        theta_covariance=np.diag(prior.sd**2),
        notes=(
            "This twin knows nothing of the person's own readings.",
            "It is the published average, and its draws are the spread between people.",
            *weight_notes(body_weight_kg),
        ),
    )


def weight_notes(body_weight_kg: float | None) -> tuple[str, ...]:
    """The sentence for an assumed weight."""
    if body_weight_kg is not None:
        return ()
    return (f"The body weight is not known; {ASSUMED_BODY_WEIGHT_KG:g} kg was assumed.",)
