"""The benchmark runner."""

import sys
from importlib.util import find_spec

import pytest

from benchmarks.__main__ import CASES, machine_facts, main, run_each

FAILS = (sys.executable, "-c", "raise SystemExit(3)")
PRINTS = (sys.executable, "-c", "print(6 * 7)")


def test_a_failing_case_does_not_stop_the_next(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_each([FAILS, PRINTS]) == [3, 0]
    assert "\n42\n" in capfd.readouterr().out


def test_the_command_stands_above_its_result(capfd: pytest.CaptureFixture[str]) -> None:
    run_each([PRINTS])
    out = capfd.readouterr().out
    assert 0 <= out.index("$ python -c print(6 * 7)") < out.index("\n42\n")


def test_an_unknown_case_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-case"]) == 2
    assert all(case.name in capsys.readouterr().err for case in CASES[:1])


def test_the_facts_name_the_cores_and_the_load() -> None:
    assert " cores, load " in machine_facts()


def test_every_named_case_has_its_module() -> None:
    assert [case.module for case in CASES if find_spec(case.module) is None] == []
