"""All use cases of the dashboard in one value."""

from dataclasses import dataclass
from typing import Any, TextIO

from twin_core.domain.access import Viewer
from twin_core.services.dosing import Dosing
from twin_core.services.forecast_watch import ForecastWatches
from twin_core.services.live import Live
from twin_core.services.live_drugs import LiveDrugs
from twin_core.services.model_card import ModelCard
from twin_core.services.personal_forecaster import PersonalForecasters
from twin_core.services.records import Records
from twin_core.services.replay import Replay
from twin_core.services.scenario_plans import ScenarioPlans
from twin_core.services.second_structure import SecondStructure
from twin_core.services.today import TodayViews
from twin_core.services.twin_report import TwinReports
from twin_core.services.twins import Twins
from twin_core.services.warm_up import WarmUp
from twin_core.services.what_if import WhatIf


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything the pages need, built once by `bootstrap`."""

    viewer: Viewer
    """Who sits at the screen of this embedded installation."""
    records: Records
    live: Live
    today: TodayViews
    twins: Twins
    twin_report: TwinReports
    what_if: WhatIf
    second: SecondStructure
    scenario_plans: ScenarioPlans
    replay: Replay
    model_card: ModelCard
    forecasters: PersonalForecasters
    forecast_watch: ForecastWatches
    dosing: Dosing
    live_drugs: LiveDrugs
    warm_up: WarmUp
    cache: Any
    """The diskcache of the background callbacks; its `Disk` never pickles."""
    lock: TextIO | None = None
    """Held while this process uses its data folder."""
