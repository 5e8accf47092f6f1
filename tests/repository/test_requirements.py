"""The lock files pin and hash everything that pyproject.toml asks for, and name no address."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKED_FOR = {"sys_platform": "linux", "platform_machine": "x86_64"}
PINNED_AND_HASHED = re.compile(r"[A-Za-z0-9._-]+==\S+( ;[^\\]*)?( --hash=sha256:[0-9a-f]{64})+")
LOCKS = ("requirements.lock", "requirements-dev.lock")


def lock_lines(lock: Path) -> list[str]:
    """One line a requirement, without comments."""
    text = re.sub(r"^\s*#.*$", "", lock.read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    return [line.strip() for line in joined.splitlines() if line.strip()]


def versions(lock: Path) -> dict[str, str]:
    pairs = [line.split()[0].split("==") for line in lock_lines(lock)]
    return {canonicalize_name(name): version for name, version in pairs}


def direct_requirements(root: Path, *, dev: bool) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    texts = project["dependencies"] + (project["optional-dependencies"]["dev"] if dev else [])
    requirements = [Requirement(text) for text in texts]
    return [r for r in requirements if r.marker is None or r.marker.evaluate(LOCKED_FOR)]


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_requirement_is_pinned_and_hashed(root: Path, name: str) -> None:
    lines = lock_lines(root / name)
    assert lines
    assert [line[:60] for line in lines if not PINNED_AND_HASHED.fullmatch(line)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index_and_no_address(root: Path, name: str) -> None:
    assert re.findall(r"://|--index|--extra-index|--find-links|--trusted-host", (root / name).read_text()) == []


@pytest.mark.parametrize(("name", "dev"), [("requirements.lock", False), ("requirements-dev.lock", True)])
def test_a_lock_fulfils_every_direct_requirement(root: Path, name: str, dev: bool) -> None:
    locked = versions(root / name)
    unmet = [
        str(requirement)
        for requirement in direct_requirements(root, dev=dev)
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"))
    ]
    assert unmet == []


def test_the_build_backend_is_locked_too(root: Path) -> None:
    build = tomllib.loads((root / "pyproject.toml").read_text())["build-system"]["requires"]
    locked = versions(root / "requirements.lock")
    assert all(Requirement(text).specifier.contains(locked[Requirement(text).name]) for text in build)


def test_tests_run_on_the_versions_that_users_get(root: Path) -> None:
    run, dev = versions(root / "requirements.lock"), versions(root / "requirements-dev.lock")
    assert run.items() <= dev.items()
