"""The scenarios `error_grid` and `nca`: figures of given numbers, without a model."""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import Field

from twin_core.metrics.error_grid import Grid, shares_percent, zones
from twin_core.metrics.nca import NcaMethod, NcaRoute, nca
from twin_core.services.scenarios import AnswerModel, NotNegative, Positive, ScenarioKind, ScenarioModel

_MOST_NUMBERS = 500_000


class ErrorGridInput(ScenarioModel):
    """Pairs of reference and predicted (or measured) glucose."""

    kind: Literal["error_grid"]
    grid: Literal["clarke", "parkes_t1", "parkes_t2", "dts"]
    reference_mg_dl: Annotated[list[float], Field(max_length=_MOST_NUMBERS)]
    predicted_mg_dl: Annotated[list[float], Field(max_length=_MOST_NUMBERS)]


class ErrorGridOutput(AnswerModel):
    """The zone of every pair, and the share of each zone; null without any pair."""

    zones: list[str]
    zone_percent: dict[str, float | None]


def run_error_grid(scenario: ErrorGridInput) -> ErrorGridOutput:
    """Answer `error_grid`."""
    found = zones(Grid(scenario.grid), scenario.reference_mg_dl, scenario.predicted_mg_dl)
    return ErrorGridOutput(zones=found.tolist(), zone_percent=dict(shares_percent(found)))


class NcaInput(ScenarioModel):
    """Concentrations after one dose at time 0."""

    kind: Literal["nca"]
    times_h: Annotated[list[float], Field(max_length=_MOST_NUMBERS)]
    concentration_mg_l: Annotated[list[float], Field(max_length=_MOST_NUMBERS)]
    dose_mg: Positive
    route: Literal["extravascular", "iv_bolus", "iv_infusion"] = "extravascular"
    duration_h: NotNegative | None = Field(default=None, description="length of an infusion")
    method: Literal["linear", "linear_up_log_down"] = "linear"


class NcaOutput(AnswerModel):
    """null where there is no terminal slope."""

    lambda_z_1_h: float | None
    lambda_z_points: int
    lambda_z_adjusted_r2: float | None
    half_life_h: float | None
    c_max_mg_l: float
    t_max_h: float
    c_last_mg_l: float
    t_last_h: float
    auc_last_mg_h_l: float
    auc_inf_mg_h_l: float | None
    auc_extrapolated_percent: float | None
    aumc_last_mg_h2_l: float
    aumc_inf_mg_h2_l: float | None
    aumc_extrapolated_percent: float | None
    mrt_h: float | None
    cl_over_f_l_h: float | None
    vz_over_f_l: float | None


def run_nca(scenario: NcaInput) -> NcaOutput:
    """Answer `nca`."""
    found = nca(
        scenario.times_h,
        scenario.concentration_mg_l,
        dose_mg=scenario.dose_mg,
        route=NcaRoute(scenario.route),
        method=NcaMethod(scenario.method),
        duration_h=scenario.duration_h or 0.0,
    )
    return NcaOutput(**asdict(found))


METRIC_KINDS = (
    ScenarioKind(name="error_grid", input_model=ErrorGridInput, output_model=ErrorGridOutput, run=run_error_grid),
    ScenarioKind(name="nca", input_model=NcaInput, output_model=NcaOutput, run=run_nca),
)
