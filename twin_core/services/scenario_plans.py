"""Saved scenarios: up to four plans a person, kept under opaque ids so that a link to them tells nothing."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from twin_core.domain.access import Viewer
from twin_core.domain.errors import BadInput, UnknownName
from twin_core.domain.ports import SavedScenario, Store
from twin_core.services.what_if import Plan

SCENARIO_NAMES = ("A", "B", "C", "D")
_ID_BYTES = 9


@dataclass(frozen=True, kw_only=True)
class NamedPlan:
    """A kept plan."""

    scenario_id: str
    name: str
    plan: Plan


class ScenarioPlans:
    """The saved scenarios of all people."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, viewer: Viewer, person_id: str) -> tuple[NamedPlan, ...]:
        """A person's saved scenarios, by name."""
        kept = self._store.scenarios(viewer, person_id)
        return tuple(NamedPlan(scenario_id=each.scenario_id, name=each.name, plan=Plan(**each.plan)) for each in kept)

    def chosen(self, viewer: Viewer, person_id: str, scenario_ids: Sequence[str]) -> tuple[NamedPlan, ...]:
        """The saved scenarios with these ids, by name; `UnknownName` for an id that this person does not have."""
        kept = self.of(viewer, person_id)
        missing = set(scenario_ids) - {each.scenario_id for each in kept}
        if missing:
            raise UnknownName("saved scenario of this person", min(missing))
        return tuple(each for each in kept if each.scenario_id in scenario_ids)

    def keep(self, viewer: Viewer, person_id: str, plan: Plan) -> NamedPlan:
        """Keep a plan under the first free name.

        Raises
        ------
        BadInput
            Four are kept already, one of them is this plan, or the plan does nothing.
        """
        kept = self.of(viewer, person_id)
        free = [name for name in SCENARIO_NAMES if name not in {each.name for each in kept}]
        if plan.changes_nothing:
            raise BadInput("A plan that changes nothing is what every scenario is compared with; move a slider first.")
        if same := [each.name for each in kept if each.plan == plan]:
            raise BadInput(f"This plan is kept already, as scenario {same[0]}.")
        if not free:
            raise BadInput(f"{len(SCENARIO_NAMES)} scenarios are kept already; remove one first.")
        saved = SavedScenario(
            scenario_id=secrets.token_urlsafe(_ID_BYTES), person_id=person_id, name=free[0], plan=asdict(plan)
        )
        self._store.save_scenario(viewer, saved)
        return NamedPlan(scenario_id=saved.scenario_id, name=saved.name, plan=plan)

    def remove(self, viewer: Viewer, person_id: str, scenario_id: str) -> None:
        """Remove a saved scenario; `UnknownName` if this person has none of that id."""
        self._store.remove_scenario(viewer, person_id, scenario_id)
