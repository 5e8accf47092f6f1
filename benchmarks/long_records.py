"""What a long record costs: appending seventy days, windowing them for the forecaster, the metrics of fourteen."""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.history import History
from twin_core.domain.people import Person, RecordKind
from twin_core.domain.records import GlucoseReading
from twin_core.forecast.features import windows
from twin_core.metrics.cgm import glucose_metrics
from twin_core.store import SqliteStore

VIEWER = Viewer(name="benchmark", role=Role.SYSTEM, purpose=Purpose.IMPORT)
START = datetime(2026, 1, 5, tzinfo=UTC)
FIVE_MIN = np.arange(0.0, 70 * 1440.0, 5.0)
FOURTEEN_DAYS = 14 * 288


def main() -> None:
    """Print the seconds of each, the least of several."""
    glucose = np.clip(150.0 + np.cumsum(np.random.default_rng(1).normal(0.0, 6.0, FIVE_MIN.size)) % 200.0, 40.0, 400.0)
    history = History(cgm_time_min=FIVE_MIN, cgm_mg_dl=glucose)
    metrics_s = least(20, lambda: glucose_metrics(FIVE_MIN[:FOURTEEN_DAYS], glucose[:FOURTEEN_DAYS]))
    windows_s = least(2, lambda: windows(history, FIVE_MIN[200:]))
    print(f"glucose metrics of 14 days            {1e3 * metrics_s:8.2f} ms (target 20)")
    print(f"forecaster's windows of 70 days       {windows_s:8.2f} s (target 3)")
    print(f"append the readings of 70 days        {append_s():8.2f} s (target 2)")


def least(times: int, run: Callable[[], object]) -> float:
    """The least of several wall times [s]."""
    return min(seconds(run) for _ in range(times))


def seconds(run: Callable[[], object]) -> float:
    """The wall time of one run [s]."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def append_s() -> float:
    """How long a new store takes to append seventy days [s]."""
    readings = [
        GlucoseReading(
            instant=START + timedelta(minutes=float(minute)),
            local="01/02/2024 00:00",
            offset_min=0,
            source="sensor",
            glucose_mg_dl=120.0,
            value_received=120.0,
            unit_received="mg/dL",
        )
        for minute in FIVE_MIN
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "store.sqlite")
        store.add_person(VIEWER, Person(person_id="p", label="p", time_zone="UTC", record=RecordKind.RECORDED))
        return seconds(lambda: store.append(VIEWER, "p", readings, []))
