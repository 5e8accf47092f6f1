"""A drug, a model, a source and a page each take one new file and one line of a table (with its import).

Each test adds one to a copy of the project exactly so, and then looks whether the rest came by itself.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FAKE_MODEL = '''
"""A made-up model: glucose decays towards a level that insulin lowers. For a test, not for use."""

from typing import Annotated, Any, NamedTuple

from twin_core.domain.models import OdeModel, Quantity, State


class Parameters(NamedTuple):
    k: Annotated[float, Quantity("1/min", 0.001, 1.0, "decay", "made up")] = 0.02
    Gb: Annotated[float, Quantity("mg/dL", 50.0, 300.0, "level", "made up")] = 110.0


class Inputs(NamedTuple):
    insulin_u_min: Annotated[float, Quantity("U/min", 0.0, 100.0, "insulin", "made up")] = 0.0


def rhs(t: Any, y: Any, u: Any, p: Any) -> Any:
    (G,) = y
    return (p.k * (p.Gb - G),)


def outputs(y: Any, p: Any) -> Any:
    return y[0], y[0], 0.0 * y[0]


MODEL = OdeModel(
    name="fake_glucose",
    title="Fake",
    organ="glucose",
    time_unit="min",
    states=(State("G", "mg/dL", "glucose"),),
    output_states=(
        State("glucose_mg_dl", "mg/dL", "sensed"),
        State("plasma_glucose_mg_dl", "mg/dL", "plasma"),
        State("plasma_insulin_pmol_l", "mg/dL", "none"),
    ),
    parameters=Parameters,
    inputs=Inputs,
    rhs=rhs,
    outputs=outputs,
    steady_state=lambda p: (p.Gb,),
    basal_inputs=lambda p: Inputs(),
    references=("made up",),
)
'''

FAKE_SOURCE = '''
"""A made-up source: lines of epoch seconds and mg/dL."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from twin_core.domain.imports import FileReport, Imported, ImportReport
from twin_core.domain.records import GlucoseReading


class _Fake:
    name = "fake"
    title = "Fake meter"

    def recognises(self, files: Sequence[Path]) -> bool:
        return all(file.suffix == ".fake" for file in files)

    def import_files(self, files: Sequence[Path], time_zone: str) -> Imported:
        rows = [line.split(",") for file in files for line in file.read_text().splitlines()]
        readings = tuple(
            GlucoseReading(
                instant=datetime.fromtimestamp(int(when), tz=UTC),
                local=when,
                offset_min=0,
                source=self.name,
                glucose_mg_dl=float(value),
                value_received=float(value),
                unit_received="mg/dL",
            )
            for when, value in rows
        )
        report = FileReport(name=files[0].name, kind="glucose", rows_read=len(rows), accepted=len(rows))
        return Imported(readings=readings, events=(), report=ImportReport(source=self.name, files=(report,)))


FAKE = _Fake()
'''

FAKE_PAGE = '''
"""`/fake`: a made-up page."""

from typing import Any

from dash import Dash, html

from dashboard.shell import Page
from dashboard.theme.display import Display
from twin_core.services.application import Services


def layout(services: Services, display: Display, person_id: str) -> Any:
    return html.H1(f"Fake of {person_id}")


def register(app: Dash, services: Services) -> None:
    return None


PAGE = Page(path="/fake", title="Fake", layout=layout, register=register)
'''

SERVICES = """
from pathlib import Path
from twin_core.bootstrap import OWNER, build_scenarios, build_services
from twin_core.domain.settings import Settings
settings = Settings(data_folder=Path("data"))
services = build_services(settings)
"""


@pytest.fixture
def copy(tmp_path: Path, root: Path, files: list[Path]) -> Path:
    kept = ("twin_core", "dashboard", "sample_data", "assets", "app.py", "pyproject.toml", "tests/conformance")
    for file in files:
        if str(file).startswith(kept):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / file, tmp_path / file)
    return tmp_path


def add_line(table: Path, imported: str, name: str, entry: str) -> None:
    """Put one entry at the end of a table that is an explicit tuple, and the import that the entry needs."""
    text = table.read_text()
    pattern = rf"(^{name}: tuple\[.*?\] = \()([^)]*?)(,?\s*\)$)"
    assert len(re.findall(pattern, text, flags=re.MULTILINE)) == 1
    text = re.sub(pattern, rf"\g<1>\g<2>, {entry})", text, flags=re.MULTILINE)
    first_import = re.search(r"^from ", text, flags=re.MULTILINE)
    assert first_import is not None
    table.write_text(f"{text[: first_import.start()]}{imported}\n{text[first_import.start() :]}")


def run(folder: Path, code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def conformance(folder: Path, kit: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", f"tests/conformance/{kit}", "-k", "fake", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_drug_takes_one_file_and_one_line(copy: Path) -> None:
    drugs = copy / "twin_core/models/pk/drugs"
    text = (drugs / "caffeine.py").read_text()
    (drugs / "fake.py").write_text(re.sub(r'name="caffeine"', 'name="fake"', text).replace('title="', 'title="Fake '))
    add_line(copy / "twin_core/models/catalog.py", "from twin_core.models.pk.drugs import fake", "DRUGS", "fake.DRUG")
    assert "passed" in conformance(copy, "test_drugs.py")
    page = (
        SERVICES
        + """
from dashboard.pages.dosing import layout
from dashboard.shell import display_of
import json
from plotly.utils import PlotlyJSONEncoder
print(json.dumps(layout(services, display_of(None, None), ""), cls=PlotlyJSONEncoder))
print(services.dosing.drug("fake").name)
"""
    )
    shown = run(copy, page)
    assert '"value": "fake"' in shown
    assert shown.strip().endswith("fake")


def test_an_organ_model_takes_one_file_and_one_line(copy: Path) -> None:
    (copy / "twin_core/models/glucose/fake_2026.py").write_text(FAKE_MODEL)
    add_line(
        copy / "twin_core/models/catalog.py",
        "from twin_core.models.glucose import fake_2026",
        "MODELS",
        "fake_2026.MODEL",
    )
    assert "passed" in conformance(copy, "test_ode_models.py")
    scenario = '{"kind": "simulate_glucose", "model": "fake_glucose", "duration_min": 10, "initial_state": {"G": 200}}'
    answered = run(copy, f"{SERVICES}\nprint(build_scenarios().answer_text('{scenario}'))")
    assert "fake_glucose" not in answered
    assert '"G"' in answered


def test_a_source_takes_one_file_and_one_line(copy: Path) -> None:
    (copy / "twin_core/sources/fake.py").write_text(FAKE_SOURCE)
    add_line(copy / "twin_core/sources/__init__.py", "from twin_core.sources.fake import FAKE", "SOURCES", "FAKE")
    sample = copy / "sample_data/fake"
    sample.mkdir()
    (sample / "meter_1.csv").write_text("1700000000,110\n1700000300,115\n")
    meter = copy / "meter_1.fake"
    meter.write_text("1700000000,110\n1700000300,115\n")
    imported = run(
        copy,
        SERVICES
        + """
outcome = services.records.import_files(OWNER, [Path("meter_1.fake")], "Somebody", "Europe/London")
print(outcome.report.source, outcome.report.accepted, outcome.added.readings_added)
""",
    )
    assert imported.strip() == "fake 2 2"


def test_a_page_takes_one_file_and_one_line(copy: Path) -> None:
    (copy / "dashboard/pages/fake.py").write_text(FAKE_PAGE)
    add_line(copy / "dashboard/pages/__init__.py", "from dashboard.pages import fake", "PAGES", "fake.PAGE")
    answered = run(
        copy,
        SERVICES
        + """
from dashboard.server import create_app
client = create_app(services, settings).server.test_client()
print(client.get("/fake").status_code)
import json
print('/fake"' in json.dumps(client.get("/_dash-layout").json))
""",
    )
    assert answered.split() == ["200", "True"]
