"""What if: plans, the next hours without and with them, and what the browser needs to preview other plans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from twin_core.domain.access import Viewer
from twin_core.domain.errors import OutOfRange
from twin_core.domain.forecasts import QUANTILE_LEVELS, Forecast, ForecastStatus
from twin_core.domain.history import BasalRate, Bolus, Exercise, FloatArray, History, Meal, Therapy
from twin_core.domain.people import Person
from twin_core.inference.state import as_batch, current_state
from twin_core.inference.twin import FittedTwin, TwinKind
from twin_core.inference.weights import evidence_shares
from twin_core.services.hybrid import (
    HORIZON_MIN,
    LONG_HORIZON_MIN,
    N_DRAWS,
    STEP_MIN,
    Bodies,
    acting,
    bodies_of,
    moved_by,
    quantiles_of,
)
from twin_core.services.kept import Kept
from twin_core.services.live import Live
from twin_core.services.outcomes import Outcome, clipped, outcomes_of
from twin_core.services.personal_forecaster import PersonalForecasters
from twin_core.services.records import Records
from twin_core.services.second_structure import SecondStructure
from twin_core.services.twins import Twins

GRAMS_A_MINUTE = 5.0
"""How fast a meal is eaten (protocol of the UVA/Padova simulator)."""
CARBS_NODES_G = (0.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0)
BOLUS_NODES_U = (0.0, 1.0, 2.0, 4.0, 7.0, 10.0, 15.0)
BASAL_NODES_PERCENT = (0.0, 50.0, 100.0, 150.0, 200.0)
EXERCISE_NODES_MIN = (0.0, 15.0, 30.0, 60.0, 90.0, 120.0)
EXERCISE_NODES_PERCENT = (20.0, 40.0, 60.0, 80.0)
_LOOK_BACK_MIN = 2880.0
_KEPT = 8
_MEDIAN = QUANTILE_LEVELS.index(0.50)


class Limit(NamedTuple):
    """The range of one part of a plan, and the value that changes nothing."""

    label: str
    unit: str
    low: float
    high: float
    step: float
    rest: float


LIMITS: Mapping[str, Limit] = {
    "carbs_g": Limit("Carbohydrate", "g", 0.0, 120.0, 5.0, 0.0),
    "carbs_in_min": Limit("Meal in", "min", 0.0, 120.0, 5.0, 0.0),
    "bolus_u": Limit("Bolus", "U", 0.0, 15.0, 0.5, 0.0),
    "bolus_in_min": Limit("Bolus in", "min", 0.0, 120.0, 5.0, 0.0),
    "basal_percent": Limit("Basal insulin from now on", "%", 0.0, 200.0, 10.0, 100.0),
    "exercise_min": Limit("Exercise for", "min", 0.0, 120.0, 5.0, 0.0),
    "exercise_percent": Limit("Intensity, share of heart-rate reserve", "%", 20.0, 80.0, 5.0, 50.0),
    "exercise_in_min": Limit("Exercise in", "min", 0.0, 120.0, 5.0, 0.0),
}


class View(StrEnum):
    """How far a what-if looks, and by what."""

    FORECAST = "forecast"
    """Four hours: the learned forecast, moved by what the twin says of the plan."""
    TWIN = "twin"
    """Eight hours: the twin alone."""

    @property
    def horizon_min(self) -> float:
        """How far it looks [min]."""
        return HORIZON_MIN if self is View.FORECAST else LONG_HORIZON_MIN


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What somebody might do; times are minutes from now, and the default is nothing."""

    carbs_g: float = 0.0
    carbs_in_min: float = 0.0
    bolus_u: float = 0.0
    bolus_in_min: float = 0.0
    basal_percent: float = 100.0
    exercise_min: float = 0.0
    exercise_percent: float = 50.0
    exercise_in_min: float = 0.0

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if not limit.low <= value <= limit.high:
                raise OutOfRange(limit.label, value, limit.low, limit.high, limit.unit)

    @property
    def changes_nothing(self) -> bool:
        """Whether nothing is eaten, injected, changed or done."""
        return self.carbs_g == self.bolus_u == self.exercise_min == 0.0 and self.basal_percent == 100.0


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The most probable response on nodes, for the browser to interpolate while a slider is dragged.

    Each table changes one thing (or two) and leaves the rest of the plan as it is, so that it is exact on its nodes
    while only that is moved; n horizons every 5 min.

    Attributes
    ----------
    joint_mg_dl
        Shape `(n_carbs, n_bolus, n)`: change from no plan, by meal and bolus at the plan's times.
    basal_mg_dl
        Shape `(n_basal, n)`: change from the plan by another basal rate.
    exercise_mg_dl
        Shape `(n_minutes, n_intensities, n)`: change from the plan without exercise.
    """

    joint_mg_dl: FloatArray
    basal_mg_dl: FloatArray
    exercise_mg_dl: FloatArray


@dataclass(frozen=True, kw_only=True)
class PlanAnswer:
    """What one plan would do.

    Attributes
    ----------
    quantiles_mg_dl
        Shape `(n_horizons, n_levels)` with the plan. In the forecast's view the forecast's spread and what is not
        known of the twin together, in the twin's view only the latter.
    outcomes
        Each with its difference from no plan on the same draws; without it for a plan that changes nothing.
    """

    plan: Plan
    quantiles_mg_dl: FloatArray
    outcomes: tuple[Outcome, ...]

    @property
    def median_mg_dl(self) -> FloatArray:
        """The central curve with the plan, shape `(n_horizons,)`."""
        return self.quantiles_mg_dl[:, _MEDIAN]


@dataclass(frozen=True, kw_only=True)
class SecondAnswer:
    """What another published structure says of the plan.

    Attributes
    ----------
    median_mg_dl
        Shape `(n_horizons,)`: its central curve with the plan.
    fitted
        Whether it is fitted to the same days as the twin; else it knows the published averages only.
    share
        How much the readings of those days speak for it rather than for the twin's structure, 0 to 1
        (`inference.weights`); None where that is not known.
    """

    title: str
    fitted: bool
    median_mg_dl: FloatArray
    share: float | None


@dataclass(frozen=True, kw_only=True)
class WhatIfAnswer:
    """The next hours without and with plans, all on the same draws.

    Attributes
    ----------
    token
        Changes whenever the present does; what the browser compares.
    baseline
        The hours without a plan: the learned forecast, or in the twin's view what the twin says.
    scenarios
        The saved plans by name.
    outcomes
        Without a plan.
    """

    person: Person
    view: View
    token: str
    now_min: float
    history: History
    baseline: Forecast
    own: PlanAnswer
    scenarios: Mapping[str, PlanAnswer]
    outcomes: tuple[Outcome, ...]
    preview: Preview
    second: SecondAnswer | None
    twin_kind: TwinKind
    basal_can_change: bool
    exercise_can_change: bool

    @property
    def plan(self) -> Plan:
        """The plan of the sliders."""
        return self.own.plan

    @property
    def quantiles_mg_dl(self) -> FloatArray:
        """With the plan of the sliders, shape `(n_horizons, n_levels)`."""
        return self.own.quantiles_mg_dl

    @property
    def median_mg_dl(self) -> FloatArray:
        """The central curve with the plan of the sliders, shape `(n_horizons,)`."""
        return self.own.median_mg_dl

    def largest_gap_mg_dl(self, preview_mg_dl: Sequence[float]) -> float:
        """How far a preview was from the exact median, at most [mg/dL]; infinite for another number of horizons."""
        if len(preview_mg_dl) != len(self.median_mg_dl):
            return float("inf")
        return float(np.max(np.abs(np.asarray(preview_mg_dl, dtype=float) - self.median_mg_dl), initial=0.0))


@dataclass(frozen=True, kw_only=True)
class _Present:
    """What every plan for one moment is answered from: made once, whatever the sliders do.

    Attributes
    ----------
    paths_mg_dl
        Shape `(N_DRAWS, n_horizons)`: courses of the learned forecast.
    without_mg_dl
        Shape `(1 + N_DRAWS, n_long_horizons)`: the twin and its draws without a plan.
    second, second_without_mg_dl
        The other structure's most probable body, and its course without a plan `(n_long_horizons,)`.
    """

    person: Person
    token: str
    now_min: float
    history: History
    baseline: Forecast
    twin: FittedTwin
    therapy: Therapy
    bodies: Bodies
    paths_mg_dl: FloatArray
    without_mg_dl: FloatArray
    second: Bodies
    second_fitted: bool
    second_share: float | None
    second_without_mg_dl: FloatArray

    def with_plan(self, plan: Plan) -> Therapy:
        """The therapy when the plan is added."""
        return _with_plan(self.therapy, plan, self.now_min, float(self.twin.parameters.basal_u_h))


class WhatIf:
    """Answers plans for a person's present."""

    def __init__(
        self, records: Records, live: Live, twins: Twins, forecasters: PersonalForecasters, second: SecondStructure
    ) -> None:
        self._records = records
        self._live = live
        self._twins = twins
        self._forecasters = forecasters
        self._second = second
        self._presents = Kept[_Present](_KEPT)

    def token(self, viewer: Viewer, person_id: str, now_min: float | None = None) -> str:
        """What the browser compares: the record's version, the person's minute, and the models in use."""
        minute = self._minute(viewer, person_id) if now_min is None else now_min
        twin = self._twins.version(viewer, person_id)
        second = self._second.version(viewer, person_id)
        forecaster = self._forecasters.version(viewer, person_id)
        return f"{person_id}:{self._records.version(viewer, person_id)}:{minute:.0f}:{twin}:{second}:{forecaster}"

    def answer(
        self,
        viewer: Viewer,
        person_id: str,
        plan: Plan,
        *,
        scenarios: Mapping[str, Plan] | None = None,
        view: View = View.FORECAST,
        now_min: float | None = None,
    ) -> WhatIfAnswer:
        """The next hours without a plan, with one, and with saved ones.

        Parameters
        ----------
        scenarios
            Saved plans by name, answered beside `plan`.
        now_min
            The moment from which to look; the person's present when None. A page that is open answers a slider from
            the moment that it shows, so that a preview is compared with the same moment.
        """
        latest_min = self._minute(viewer, person_id)
        chosen_min = latest_min if now_min is None else min(float(int(now_min)), latest_min)
        present = self._present(viewer, person_id, chosen_min)
        if present.baseline.status is not ForecastStatus.OK:
            return _refused(present, plan, view)
        return _answered(present, plan, scenarios or {}, view)

    def _minute(self, viewer: Viewer, person_id: str) -> float:
        return float(int(self._live.now_min(viewer, person_id)))

    def _present(self, viewer: Viewer, person_id: str, now_min: float) -> _Present:
        token = self.token(viewer, person_id, now_min)
        return self._presents.of(token, lambda: self._made(viewer, person_id, now_min, token))

    def _made(self, viewer: Viewer, person_id: str, now_min: float, token: str) -> _Present:
        history = self._records.history(viewer, person_id, now_min - _LOOK_BACK_MIN, now_min + 1.0)
        forecaster = self._forecasters.current(viewer, person_id)
        baseline = self._forecasters.forecast(viewer, person_id, now_min)
        twin, second = self._twins.current(viewer, person_id), self._second.current(viewer, person_id)
        therapy = acting(history.therapy, now_min, LONG_HORIZON_MIN)
        bodies, other = bodies_of(twin, history, now_min), _one_body(second, history, now_min)
        known = baseline.status is ForecastStatus.OK
        shares = evidence_shares((twin, second))
        return _Present(
            person=self._records.person(viewer, person_id),
            token=token,
            now_min=now_min,
            history=history,
            baseline=baseline,
            twin=twin,
            therapy=therapy,
            bodies=bodies,
            paths_mg_dl=clipped(forecaster.paths(baseline, N_DRAWS)) if known else np.empty((0, 0)),
            without_mg_dl=bodies.courses(therapy, LONG_HORIZON_MIN),
            second=other,
            second_fitted=second is not None and second.kind is TwinKind.FITTED,
            second_share=None if shares is None else float(shares[1]),
            second_without_mg_dl=np.empty(0)
            if other is None
            else other.probable_courses((therapy,), LONG_HORIZON_MIN)[0],
        )


def _one_body(twin: FittedTwin, history: History, now_min: float) -> Bodies:
    parameters = as_batch(twin.parameters)
    return Bodies(parameters=parameters, states=current_state(parameters, history, now_min), now_min=now_min)


def _answered(present: _Present, plan: Plan, scenarios: Mapping[str, Plan], view: View) -> WhatIfAnswer:
    return WhatIfAnswer(
        person=present.person,
        view=view,
        token=present.token,
        now_min=present.now_min,
        history=present.history,
        baseline=_baseline(present, view),
        own=_plan_answer(present, plan, view),
        scenarios={name: _plan_answer(present, each, view) for name, each in scenarios.items()},
        outcomes=outcomes_of(_paths_without(present, view)),
        preview=_preview(present, plan, view),
        second=_second_answer(present, plan, view),
        twin_kind=present.twin.kind,
        basal_can_change=not present.therapy.long_acting,
        exercise_can_change=_takes_exercise(present.twin),
    )


def _refused(present: _Present, plan: Plan, view: View) -> WhatIfAnswer:
    nothing = np.empty((0, 0, 0))
    return WhatIfAnswer(
        person=present.person,
        view=view,
        token=present.token,
        now_min=present.now_min,
        history=present.history,
        baseline=present.baseline,
        own=PlanAnswer(plan=plan, quantiles_mg_dl=np.empty((0, len(QUANTILE_LEVELS))), outcomes=()),
        scenarios={},
        outcomes=(),
        preview=Preview(joint_mg_dl=nothing, basal_mg_dl=np.empty((0, 0)), exercise_mg_dl=nothing),
        second=None,
        twin_kind=present.twin.kind,
        basal_can_change=not present.therapy.long_acting,
        exercise_can_change=_takes_exercise(present.twin),
    )


def _takes_exercise(twin: FittedTwin) -> bool:
    fields: tuple[str, ...] = twin.structure.model.inputs._fields  # type: ignore[attr-defined]
    return bool({"heart_rate_reserve", "exertion_per_min"} & set(fields))


def _steps(view: View) -> int:
    return int(view.horizon_min / STEP_MIN)


def _baseline(present: _Present, view: View) -> Forecast:
    """The learned forecast, or the twin's course in the form of one."""
    if view is View.FORECAST:
        return present.baseline
    return replace(
        present.baseline,
        horizons_min=STEP_MIN * np.arange(1.0, _steps(view) + 1.0),
        quantiles_mg_dl=quantiles_of(present.without_mg_dl),
        below_70_within_min={},
        model_version="",
    )


def _paths_without(present: _Present, view: View) -> FloatArray:
    return present.paths_mg_dl if view is View.FORECAST else clipped(present.without_mg_dl[1:])


def _plan_answer(present: _Present, plan: Plan, view: View) -> PlanAnswer:
    course = present.bodies.courses(present.with_plan(plan), view.horizon_min)
    without = _paths_without(present, view)
    if view is View.FORECAST:
        after = moved_by(present.baseline, without, course - present.without_mg_dl[:, : _steps(view)])
        quantiles, paths = after.quantiles_mg_dl, after.paths_with
    else:
        quantiles, paths = quantiles_of(course), clipped(course[1:])
    against = None if plan.changes_nothing else without
    return PlanAnswer(plan=plan, quantiles_mg_dl=quantiles, outcomes=outcomes_of(paths, against))


def _second_answer(present: _Present, plan: Plan, view: View) -> SecondAnswer:
    course = present.second.probable_courses((present.with_plan(plan),), view.horizon_min)[0]
    if view is View.FORECAST:
        course = present.baseline.median_mg_dl + course - present.second_without_mg_dl[: _steps(view)]
    return SecondAnswer(
        title=present.second.model.title,
        fitted=present.second_fitted,
        median_mg_dl=clipped(course),
        share=present.second_share,
    )


def _with_plan(without: Therapy, plan: Plan, now_min: float, own_basal_u_h: float) -> Therapy:
    meal = Meal(
        time_min=now_min + plan.carbs_in_min,
        carbs_g=plan.carbs_g,
        duration_min=max(plan.carbs_g / GRAMS_A_MINUTE, 1.0),
    )
    bolus = Bolus(time_min=now_min + plan.bolus_in_min, dose_u=plan.bolus_u)
    exercise = Exercise(
        time_min=now_min + plan.exercise_in_min,
        duration_min=plan.exercise_min,
        intensity_percent=plan.exercise_percent,
    )
    return replace(
        without,
        planned=(meal,) if plan.carbs_g > 0.0 else (),
        boluses=(*without.boluses, *((bolus,) if plan.bolus_u > 0.0 else ())),
        basal=_scaled_basal(without, plan.basal_percent / 100.0, now_min, own_basal_u_h),
        exercise=(*without.exercise, *((exercise,) if plan.exercise_min > 0.0 else ())),
    )


def _scaled_basal(without: Therapy, share: float, now_min: float, own_basal_u_h: float) -> tuple[BasalRate, ...]:
    """The basal rates from now on, times a share; long-acting insulin is injected already and cannot change.

    Where no basal insulin is recorded at all, the twin's own rate is what is changed.
    """
    if share == 1.0 or without.long_acting:
        return without.basal
    own = BasalRate(time_min=now_min - 1.0, rate_u_h=own_basal_u_h)
    in_force = [rate for rate in without.basal if rate.time_min <= now_min] or [own]
    coming = [rate for rate in without.basal if rate.time_min > now_min]
    from_now = [replace(in_force[-1], time_min=now_min), *coming]
    return (*in_force, *(replace(rate, rate_u_h=rate.rate_u_h * share) for rate in from_now))


def _preview(present: _Present, plan: Plan, view: View) -> Preview:
    """The response on all nodes in one batch, from the most probable parameters."""
    joint = [replace(plan, carbs_g=g, bolus_u=u) for g in CARBS_NODES_G for u in BOLUS_NODES_U]
    basal = [replace(plan, basal_percent=percent) for percent in BASAL_NODES_PERCENT]
    exercise = [
        replace(plan, exercise_min=minutes, exercise_percent=percent)
        for minutes in EXERCISE_NODES_MIN
        for percent in EXERCISE_NODES_PERCENT
    ]
    therapies = [present.with_plan(each) for each in (*joint, *basal, *exercise, plan)]
    courses = present.bodies.probable_courses(therapies, view.horizon_min)
    by_joint, by_basal, by_exercise, own = np.split(courses, np.cumsum([len(joint), len(basal), len(exercise)]))
    n = courses.shape[1]
    of_exercise = by_exercise.reshape(len(EXERCISE_NODES_MIN), len(EXERCISE_NODES_PERCENT), n)
    return Preview(
        joint_mg_dl=(by_joint - present.without_mg_dl[0, :n]).reshape(len(CARBS_NODES_G), len(BOLUS_NODES_U), n),
        basal_mg_dl=by_basal - own,
        exercise_mg_dl=of_exercise - of_exercise[0, 0],
    )
