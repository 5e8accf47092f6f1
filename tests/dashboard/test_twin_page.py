import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from plotly.utils import PlotlyJSONEncoder

from dashboard.pages import twin as page
from dashboard.theme.display import Display
from twin_core.bootstrap import DEMO_PEOPLE, OWNER, SystemClock, assemble
from twin_core.domain.units import GlucoseUnit
from twin_core.jobs.cache import open_cache
from twin_core.models.glucose.dalla_man_2014 import MODEL
from twin_core.services.application import Services
from twin_core.solve.compiled import kernel_of
from twin_core.store.sqlite import SqliteStore

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
PUMP, INJECTIONS = (demo.person_id for demo in DEMO_PEOPLE)
MG_DL = Display(mode="light", unit=GlucoseUnit.MG_DL)
MMOL_L = Display(mode="dark", unit=GlucoseUnit.MMOL_L)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The demo people; the one on a pump has a twin of one day in two versions, and its sensitivity."""
    kernel_of(MODEL).warm_up()
    folder = tmp_path_factory.mktemp("twin-page")
    store, cache = SqliteStore(folder / "biotwin.sqlite"), open_cache(folder / "cache")
    built = assemble(store, cache, SystemClock())
    built.records.ensure_demo(OWNER, SAMPLE / "t1d_uom", DEMO_PEOPLE)
    for days in (1.0, 2.0):
        assert built.twins.fit(OWNER, PUMP, lambda _, __: None, days=days).fitted
    assert built.twin_report.sensitivity(OWNER, PUMP, "posterior", lambda _, __: None).done
    yield built
    cache.close()
    store.close()


def drawn(component: Any) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


def text_of(component: Any) -> str:
    """Every word that a reader sees, without ids and class names."""
    if isinstance(component, str):
        return component
    if isinstance(component, (list, tuple)):
        return " ".join(map(text_of, component))
    return text_of(getattr(component, "children", None)) if hasattr(component, "children") else ""


def parts(services: Services, display: Display, order: str = "told") -> tuple[Any, ...]:
    return page._parts(services, display, PUMP, order)


def test_a_person_without_a_fit_gets_one_sentence_and_one_action(services: Services) -> None:
    whole = page.layout(services, MG_DL, INJECTIONS)
    assert "knows nothing of this person" in text_of(whole)
    assert "Nothing is fitted yet" in text_of(whole)
    assert '"judge-start"' in drawn(whole)
    assert "Use this version again" not in text_of(whole)


def test_the_head_says_in_one_sentence_how_far_to_trust_the_twin(services: Services) -> None:
    sentence = text_of(parts(services, MG_DL)[0])
    assert re.match(r"(Nothing speaks against|Trust this twin with care|Do not rely)", sentence)
    assert sentence.count(". ") == 0


def test_every_word_and_axis_follows_the_unit(services: Services) -> None:
    whole = page.layout(services, MMOL_L, PUMP)
    course = page._course(services, MMOL_L, PUMP)
    assert "mmol/L" in drawn(whole)
    assert "mg/dL" not in drawn([whole, course])
    assert "mmol/L" not in drawn([page.layout(services, MG_DL, PUMP), page._course(services, MG_DL, PUMP)])


def test_basal_glucose_is_shown_in_the_unit_of_the_screen(services: Services) -> None:
    rows = services.twin_report.of(services.viewer, PUMP).parameters
    basal = next(row for row in rows if row.name == "Gb")
    assert page._parameter_cells(basal, GlucoseUnit.MG_DL)[1:3] == ("mg/dL", "121 ± 18")
    assert page._parameter_cells(basal, GlucoseUnit.MMOL_L)[1:3] == ("mmol/L", "6.74 ± 1")


def test_the_table_holds_every_parameter_of_the_figure_with_its_source(services: Services) -> None:
    shown = parts(services, MG_DL)[2]
    rows = services.twin_report.of(services.viewer, PUMP).parameters
    words = text_of(shown)
    for row in rows:
        assert f"{row.name}: {row.meaning}" in words
        assert row.source in words


def test_the_experiment_that_would_tell_more_is_named_in_the_unit_of_the_screen(services: Services) -> None:
    report = services.twin_report.of(services.viewer, PUMP)
    advised = replace(report, experiments=("Leave the bolus out once, above 180 mg/dL never.",))
    assert "Leave the bolus out once, above 10.0 mmol/L never." in text_of(page._parameters(advised, MMOL_L, "told"))
    silent = replace(report, experiments=())
    assert "What would tell more" not in text_of(page._parameters(silent, MG_DL, "told"))


def test_parameters_are_ordered_as_asked(services: Services) -> None:
    rows = services.twin_report.of(services.viewer, PUMP).parameters
    left = [row.variance_left for row in page._ordered(rows, "told")]
    moved = [abs(row.moved_sds) for row in page._ordered(rows, "moved")]
    assert left == sorted(left)
    assert moved == sorted(moved, reverse=True)
    assert page._ordered(rows, "name")[0].name == "b"
    assert set(page.ORDERS) == {"told", "moved", "name"}


def test_only_earlier_versions_can_be_used_again(services: Services) -> None:
    shown = parts(services, MG_DL)[4]
    assert text_of(shown).count("in use") == 1
    assert text_of(shown).index("Version 2") < text_of(shown).index("Version 1")
    assert drawn(shown).count('"judge-use"') == 1
    assert '"version": 1' in drawn(shown)


def test_sensitivity_is_drawn_where_it_was_computed_and_offered_where_not(services: Services) -> None:
    shown = page._shares(services, MG_DL, PUMP, "posterior", 0)
    assert "Mean glucose of that day" in text_of(shown)
    assert "± " in text_of(shown)
    assert '"heatmap"' in drawn(shown)
    assert "%" in text_of(page._shares(services, MG_DL, PUMP, "posterior", 2)[0])
    assert "Not computed yet" in text_of(page._shares(services, MG_DL, PUMP, "prior", 0))


def test_a_twin_that_cannot_be_read_says_what_happened_what_works_and_offers_a_fit(services: Services) -> None:
    kept = services.twins.versions(services.viewer, PUMP)[0]
    services.twins._store.save_twin(services.viewer, INJECTIONS, kept.data_hash, {"model": "uva_padova_t1d"})
    shown = page.layout(services, MG_DL, INJECTIONS)
    assert "cannot be read" in text_of(shown)
    assert "still work" in text_of(shown)
    assert '"judge-start"' in drawn(shown)


def test_every_graph_has_words_for_those_who_do_not_see_it(services: Services) -> None:
    whole = drawn([page.layout(services, MG_DL, PUMP), page._course(services, MG_DL, PUMP)])
    labels = [props["aria-label"] for props in _props(json.loads(whole)) if props.get("role") == "img"]
    assert len(labels) == 5
    assert all(len(label) > 20 for label in labels)


def _props(node: Any) -> Iterator[dict[str, Any]]:
    """The properties of every component."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict) and "props" in node:
        yield node["props"]
    for child in children:
        yield from _props(child)
