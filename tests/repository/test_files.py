"""What may, and what may not, be committed."""

import ast
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:work|root|home)/")
REGISTRY_HOST = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|npmjs\.(?:org|com)|deb\.debian|archive\.ubuntu|anaconda\.org|crates\.io"
)
APACHE_2_0 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of LICENSE-2.0.txt as the Apache Software Foundation publishes it, appendix included."""

PICKLING = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def texts(root: Path, files: list[Path]) -> Iterator[tuple[Path, str]]:
    for file in files:
        content = (root / file).read_bytes()
        if b"\0" not in content:
            yield file, content.decode("utf-8")


def product_sources(files: list[Path]) -> list[Path]:
    return [file for file in files if file.suffix == ".py" and file.parts[0] in ("twin_core", "dashboard", "app.py")]


def imported_modules(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return plain | froms


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine path", "registry host"])
def test_no_text_names_a_machine_path_or_a_registry(root: Path, files: list[Path], pattern: re.Pattern[str]) -> None:
    found = [f"{file}: {match[0]}" for file, text in texts(root, files) for match in pattern.finditer(text)]
    assert found == []


def test_the_patterns_find_what_they_look_for() -> None:
    assert MACHINE_PATH.search("open('/" + "home/someone/data.csv')")
    assert REGISTRY_HOST.search("https://py" + "pi.org/simple")
    assert not MACHINE_PATH.search("https://example.org/" + "home/index.html")


def test_the_licence_is_the_whole_unmodified_apache_2_0(root: Path) -> None:
    assert hashlib.sha256((root / "LICENSE").read_bytes()).hexdigest() == APACHE_2_0


def test_sample_data_stay_under_a_megabyte(root: Path, files: list[Path]) -> None:
    assert sum((root / file).stat().st_size for file in files if file.parts[0] == "sample_data") < 1_000_000


def test_no_file_is_above_two_megabytes(root: Path, files: list[Path]) -> None:
    assert [str(file) for file in files if (root / file).stat().st_size > 2_000_000] == []


def test_the_product_never_pickles(root: Path, files: list[Path]) -> None:
    sources = {file: (root / file).read_text() for file in product_sources(files)}
    assert sources
    assert [str(file) for file, source in sources.items() if packages(imported_modules(source)) & PICKLING] == []
    assert [str(file) for file, source in sources.items() if re.search(r"allow_pickle=True|_pickle\(", source)] == []


def test_the_product_reads_nothing_outside_the_checkout(root: Path, files: list[Path]) -> None:
    outside = re.compile(r"""\.\./shared|["']shared["'/]""")
    assert [str(file) for file in product_sources(files) if outside.search((root / file).read_text())] == []


def test_app_py_only_wires_the_parts_together(root: Path) -> None:
    """import-linter checks packages; app.py is a lone module and is held to its layer here."""
    wired = re.compile(r"waitress|dashboard\.server|twin_core\.bootstrap|twin_core\.domain\..*")
    modules = imported_modules((root / "app.py").read_text())
    others = {name for name in modules if packages({name}) - sys.stdlib_module_names}
    assert [name for name in sorted(others) if not wired.fullmatch(name)] == []
