from pathlib import Path

from dashboard.pages import PAGES
from twin_core.domain.settings import Settings
from twin_core.models.catalog import DRUGS, MODELS


def test_every_setting_is_documented_with_its_default(root: Path) -> None:
    text = (root / "docs/reference/settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `BIOTWIN_{name.upper()}` | `{field.default}` |" in text


def test_every_page_model_and_drug_is_named_in_the_documents(root: Path, files: list[Path]) -> None:
    text = "".join((root / file).read_text() for file in files if file.suffix == ".md").lower()
    assert [page.path for page in PAGES if page.of_person and f"`{page.path}`" not in text] == []
    assert [model.name for model in MODELS if f"`{model.name}`" not in text] == []
    assert [drug.name for drug in DRUGS if drug.name not in text] == []


def test_the_scenarios_of_the_documents_are_answered(root: Path) -> None:
    from twin_core.bootstrap import build_scenarios

    example = (root / "docs/reference/scenarios.md").read_text().split("```json\n")[1].split("```")[0]
    assert "error" not in build_scenarios().answer_text(example)


def test_the_forecast_table_of_the_readme_is_that_of_the_shipped_weights(root: Path) -> None:
    import json

    report = json.loads((root / "twin_core/forecast/weights/evaluation.json").read_text())
    readme = (root / "README.md").read_text()
    held_out = {(row["model"], row["horizon_min"]): row for row in report["scores"]}
    for horizon in (30.0, 60.0, 120.0):
        ours, ridge, same = (held_out[name, horizon]["rmse"] for name in ("shipped", "ridge", "persistence"))
        rows = held_out["shipped", horizon]["count"]
        assert f"| {horizon:.0f} | {rows:,} | **{ours:.2f}** | {ridge:.2f} | {same:.2f} |" in readme
