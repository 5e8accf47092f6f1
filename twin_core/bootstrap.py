"""Builds the services from the settings: the one place that chooses store, sources and cache."""

import fcntl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.errors import BadInput
from twin_core.domain.history import History, history_of
from twin_core.domain.imports import ImportReport
from twin_core.domain.ports import Clock, ResultCache, Store
from twin_core.domain.settings import Settings
from twin_core.forecast.forecaster import Forecaster
from twin_core.jobs.cache import open_cache
from twin_core.models.catalog import DRUGS, MODELS
from twin_core.models.glucose import dalla_man_2014, hovorka_2004
from twin_core.services.application import Services
from twin_core.services.dosing import Dosing
from twin_core.services.forecast_watch import ForecastWatches
from twin_core.services.live import Live
from twin_core.services.live_drugs import LiveDrugs
from twin_core.services.metric_scenarios import METRIC_KINDS
from twin_core.services.model_card import model_card
from twin_core.services.personal_forecaster import PersonalForecasters
from twin_core.services.pk_scenarios import pk_kinds
from twin_core.services.recalibration import Recalibrations
from twin_core.services.records import DemoPerson, Records, VirtualDrug
from twin_core.services.replay import Replay
from twin_core.services.scenario_plans import ScenarioPlans
from twin_core.services.scenarios import Scenarios, scenario_kinds
from twin_core.services.second_structure import SecondStructure
from twin_core.services.simulation import GlucoseModels, HybridForecasts
from twin_core.services.today import TodayViews
from twin_core.services.twin_report import TwinReports
from twin_core.services.twin_scenarios import TWIN_KINDS
from twin_core.services.twins import Twins
from twin_core.services.warm_up import WarmUp
from twin_core.services.what_if import WhatIf
from twin_core.sources import SOURCES
from twin_core.sources.t1d_uom import T1D_UOM, people_in
from twin_core.store.sqlite import SqliteStore

OWNER = Viewer(name="owner", role=Role.OWNER, purpose=Purpose.CARE)
WARM_UP_DELAY_S = 3.0
LIVE_MODELS = (dalla_man_2014.MODEL, hovorka_2004.MODEL)
"""Compiled by the server: the two structures that twins are fitted with. Others run interpreted there, which saves
30 MB and 4 s each."""
_ATTRIBUTION = (
    "T1D-UOM, Alsuhaymi et al., Scientific Data 12:1379 (2025), doi 10.1038/s41597-025-05695-1, CC BY 4.0; 14 days, "
    "none of which the forecaster was trained on"
)
DEMO_PEOPLE = (
    DemoPerson(
        record="2308",
        label="Person 2308, insulin pump",
        therapy="insulin pump",
        time_zone="Europe/London",
        attribution=_ATTRIBUTION,
        virtual_drugs=(VirtualDrug(name="caffeine", amount_mg=100.0, repeats_h=24.0, local_hour=8.0),),
    ),
    DemoPerson(
        record="2313",
        label="Person 2313, injections",
        therapy="injections",
        time_zone="Europe/London",
        attribution=_ATTRIBUTION,
    ),
)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, UTC."""
        return datetime.now(tz=UTC)


@dataclass(frozen=True, kw_only=True)
class ReadFolder:
    """A folder of people, read for training or validation, and what became of its rows."""

    histories: Mapping[str, History]
    report: ImportReport
    first: datetime
    last: datetime


def read_folder(folder: Path, time_zone: str = "Europe/London") -> ReadFolder:
    """Read every person of a folder in the T1D-UOM layout, without a store; `BadFile` when there is none."""
    imported = {person: T1D_UOM.import_files(files, time_zone) for person, files in people_in(folder).items()}
    instants = [reading.instant for each in imported.values() for reading in each.readings]
    instants += [event.instant for each in imported.values() for event in each.events]
    return ReadFolder(
        histories={person: history_of(each.readings, each.events) for person, each in imported.items()},
        report=ImportReport(
            source=T1D_UOM.name, files=tuple(file for each in imported.values() for file in each.report.files)
        ),
        first=min(instants),
        last=max(instants),
    )


def build_services(settings: Settings) -> Services:
    """Open the store and the cache, import the demo people, start the virtual sensor and the compilation."""
    settings.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = hold(settings.data_folder)
    store = SqliteStore(settings.data_folder / "biotwin.sqlite")
    services = assemble(store, open_cache(settings.data_folder / "cache"), SystemClock(), lock)
    services.records.ensure_demo(OWNER, settings.sample_folder / "t1d_uom", DEMO_PEOPLE)
    threading.Thread(target=services.live.run, args=(threading.Event(),), name="virtual-sensor", daemon=True).start()
    services.warm_up.start()
    return services


def hold(folder: Path) -> TextIO:
    """Take a data folder for this process; it is free again when the process ends, however it ends.

    Two servers on one folder would play the same person by two clocks. A record lock is not inherited by workers.
    """
    lock = (folder / "lock").open("w")
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise BadInput(
            f"Another Biotwin is using the data folder {folder}. Stop it, or set BIOTWIN_DATA_FOLDER to another folder."
        ) from error
    return lock


def assemble(store: Store, cache: ResultCache, clock: Clock, lock: TextIO | None = None) -> Services:
    """The services on a given store, cache and clock; nothing is started."""
    records = Records(store, SOURCES)
    live = Live(records, clock)
    twins = Twins(store, records, live, cache)
    forecasters = PersonalForecasters(store, records, live, Forecaster.load(), cache)
    dosing = Dosing(DRUGS)
    second = SecondStructure(records, twins, cache)
    return Services(
        viewer=OWNER,
        records=records,
        live=live,
        today=TodayViews(records, live, twins, forecasters, cache),
        twins=twins,
        twin_report=TwinReports(records, live, twins, Recalibrations(records, live, twins), cache),
        what_if=WhatIf(records, live, twins, forecasters, second),
        second=second,
        scenario_plans=ScenarioPlans(store),
        replay=Replay(records, twins, forecasters),
        model_card=model_card(),
        forecasters=forecasters,
        forecast_watch=ForecastWatches(records, live, forecasters),
        dosing=dosing,
        live_drugs=LiveDrugs(records, live, dosing),
        warm_up=WarmUp(LIVE_MODELS, WARM_UP_DELAY_S),
        cache=cache,
        lock=lock,
    )


def build_scenarios() -> Scenarios:
    """The scenarios of `python -m twin_core`; they need no store and no settings."""
    dosing = Dosing(DRUGS)
    kinds = scenario_kinds(
        dosing=dosing, simulator=GlucoseModels(MODELS), forecaster=HybridForecasts(Forecaster.load())
    )
    return Scenarios((*kinds, *TWIN_KINDS, *pk_kinds(dosing), *METRIC_KINDS))
