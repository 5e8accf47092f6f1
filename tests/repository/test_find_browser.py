"""scripts/find_browser.sh on machines that are made up: a PATH with a few tools and stand-ins."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Finder = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def find_browser(root: Path, tmp_path: Path) -> Finder:
    """Run a copy of the script where only the given programs (name to shell text) and no .venv exist."""
    tools, script = tmp_path / "bin", tmp_path / "scripts" / "find_browser.sh"
    tools.mkdir()
    script.parent.mkdir()
    shutil.copy(root / "scripts/find_browser.sh", script)
    for tool in ("bash", "grep", "dirname", "cat", "chmod", "cp"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)

    def run(programs: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
        for name, text in {"id": "echo 1000", **programs}.items():
            (tools / name).write_text(f"#!{tools}/bash\n{text}\n")
            (tools / name).chmod(0o755)
        environment = {"PATH": str(tools), **variables}
        return subprocess.run([tools / "bash", script], env=environment, capture_output=True, text=True, check=False)

    return run


RUNS = 'echo "Chromium 156.0.8078.79"'
STUB = 'echo "requires the chromium snap to be installed"; exit 1'


def test_a_browser_on_the_path_is_taken(find_browser: Finder, tmp_path: Path) -> None:
    found = find_browser({"google-chrome": RUNS})
    assert (found.returncode, found.stdout.strip()) == (0, str(tmp_path / "bin/google-chrome"))


def test_a_stub_that_does_not_run_is_passed_over(find_browser: Finder, tmp_path: Path) -> None:
    found = find_browser({"chromium-browser": STUB, "google-chrome": RUNS})
    assert found.stdout.strip() == str(tmp_path / "bin/google-chrome")
    assert "chromium-browser is there but does not run" in found.stderr


def test_without_browser_and_root_the_omission_is_said(find_browser: Finder) -> None:
    found = find_browser({"chromium": STUB})
    assert (found.returncode, found.stdout) == (0, "")
    assert "the browser tests are left out" in found.stderr


def test_without_a_browser_ci_fails(find_browser: Finder) -> None:
    assert find_browser({}, CI="true").returncode == 1


def test_root_gets_one_from_apt(find_browser: Finder, tmp_path: Path) -> None:
    installs = f'case "$*" in *install*) cp {tmp_path}/bin/packaged {tmp_path}/bin/chromium;; esac'
    found = find_browser({"id": "echo 0", "apt-get": installs, "packaged": RUNS}, CI="true")
    assert (found.returncode, found.stdout.strip()) == (0, str(tmp_path / "bin/chromium"))


def test_a_named_browser_that_does_not_run_is_an_error(find_browser: Finder) -> None:
    found = find_browser({"chromium": RUNS}, BIOTWIN_BROWSER=os.devnull)
    assert found.returncode == 1
    assert "BIOTWIN_BROWSER" in found.stderr
