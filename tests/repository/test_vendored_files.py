"""The front-end files of others are the ones that assets/vendor/README.md names."""

import hashlib
import re
from pathlib import Path

from plotly.offline import get_plotlyjs_version

ROW = re.compile(r"^\| `([^`]+)` \| [\d,]+ \| `([0-9a-f]{64})` \|$", re.MULTILINE)
FOLDERS = {("assets", "vendor"), ("assets", "fonts")}
OUR_OWN = {"vendor/README.md", "vendor/.gitattributes"}


def listed(root: Path) -> dict[str, str]:
    return dict(ROW.findall((root / "assets/vendor/README.md").read_text()))


def test_vendored_files_have_the_checksums_that_are_listed(root: Path) -> None:
    got = {name: hashlib.sha256((root / "assets" / name).read_bytes()).hexdigest() for name in listed(root)}
    assert got == listed(root)


def test_nothing_else_lies_in_the_vendored_folders(root: Path, files: list[Path]) -> None:
    lying = {file.relative_to("assets").as_posix() for file in files if file.parts[:2] in FOLDERS}
    assert lying - OUR_OWN == set(listed(root))


def test_plotly_js_is_the_version_that_plotly_py_writes_for(root: Path) -> None:
    head = (root / "assets/vendor/plotly/plotly-cartesian.min.js").read_text()[:200]
    assert f"v{get_plotlyjs_version()}\n" in head


def test_the_vendored_style_sheet_fetches_nothing_and_never_overrules_ours(root: Path) -> None:
    sheet = (root / "assets/vendor/bootstrap/bootstrap.min.css").read_text()
    assert re.findall(r"@import|sourceMappingURL|url\(\"?(?!\"?data:)[^)]*\)", sheet) == []
    assert sheet.startswith('@charset "UTF-8";@layer bootstrap{')
