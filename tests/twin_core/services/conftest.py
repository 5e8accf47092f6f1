"""The real services on a store and a cache of their own, with a clock that the test turns."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from twin_core.bootstrap import DEMO_PEOPLE, LIVE_MODELS, OWNER, assemble
from twin_core.jobs.cache import open_cache
from twin_core.services.application import Services
from twin_core.solve.compiled import kernel_of
from twin_core.store.sqlite import SqliteStore

SAMPLE = Path(__file__).resolve().parents[3] / "sample_data"
PUMP, INJECTIONS = (demo.person_id for demo in DEMO_PEOPLE)


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def turn(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Everybody computes with machine code here; that interpreted runs agree is tested in the conformance kit."""
    for model in LIVE_MODELS:
        kernel_of(model).warm_up()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def services(tmp_path: Path, clock: TurnedClock) -> Iterator[Services]:
    store = SqliteStore(tmp_path / "data" / "biotwin.sqlite")
    cache = open_cache(tmp_path / "cache")
    built = assemble(store, cache, clock)
    built.records.ensure_demo(OWNER, SAMPLE / "t1d_uom", DEMO_PEOPLE)
    yield built
    cache.close()
    store.close()
