"""The bounded manager: never more worker processes than slots, a queue that can be seen, a cancel that ends a job."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard import background
from dashboard.background import RESULT_GRACE_S, BoundedDiskcacheManager
from twin_core.jobs.cache import open_cache


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[BoundedDiskcacheManager]:
    with open_cache(tmp_path / "cache") as cache:
        yield BoundedDiskcacheManager(cache, 1, lambda: None)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def submit(manager: BoundedDiskcacheManager, key: str, work: Callable[..., Any]) -> int:
    return manager.call_job_fn(key, manager.make_job_fn(work, progress=True), [], {})


def long_work(_: Any) -> str:
    time.sleep(0.4)
    return "done"


def test_a_job_runs_in_a_process_and_its_result_comes_back(manager: BoundedDiskcacheManager) -> None:
    ticket = submit(manager, "a", long_work)
    assert manager.job_running(ticket)
    until(lambda: manager.result_ready("a"))
    assert manager.get_result("a", ticket) == "done"


def test_there_are_never_more_processes_than_slots(manager: BoundedDiskcacheManager) -> None:
    tickets = [submit(manager, f"job{i}", long_work) for i in range(4)]
    most = 0
    while any(ticket in manager._waiting or ticket in manager._processes for ticket in tickets):
        most = max(most, manager.counts()["running"])
        time.sleep(0.01)
    assert most == 1
    assert all(manager.result_ready(f"job{i}") for i in range(4))


def test_a_waiting_job_says_how_many_are_before_it(manager: BoundedDiskcacheManager) -> None:
    submit(manager, "first", long_work)
    submit(manager, "second", long_work)
    assert manager.get_progress("second") == ["0", "Waiting: 1 before this one."]


def test_a_cancelled_job_ends_and_leaves_no_result(manager: BoundedDiskcacheManager) -> None:
    ticket = submit(manager, "a", lambda _: time.sleep(60))
    until(lambda: manager.counts()["running"] == 1)
    manager.terminate_job(ticket)
    until(lambda: manager.counts() == {"running": 0, "waiting": 0})
    assert not manager.result_ready("a")


def test_a_cancelled_job_that_waits_never_starts(manager: BoundedDiskcacheManager) -> None:
    submit(manager, "first", long_work)
    waiting = submit(manager, "second", long_work)
    manager.terminate_job(waiting)
    until(lambda: manager.counts() == {"running": 0, "waiting": 0})
    time.sleep(0.1)
    assert not manager.result_ready("second")


def test_a_job_that_has_just_ended_still_counts_as_running_until_its_result_is_read(
    manager: BoundedDiskcacheManager,
) -> None:
    ticket = submit(manager, "a", lambda _: "quick")
    until(lambda: manager.result_ready("a"))
    assert manager.job_running(ticket)
    until(lambda: manager.counts()["running"] == 0)
    assert manager.job_running(ticket)
    until(lambda: not manager.job_running(ticket), RESULT_GRACE_S + 10.0)


def test_an_error_in_a_job_is_handed_on(manager: BoundedDiskcacheManager) -> None:
    def broken(_: Any) -> None:
        raise ValueError("no such thing")

    submit(manager, "a", broken)
    until(lambda: manager.result_ready("a"))
    assert "no such thing" in manager.get_result("a", None)["background_callback_error"]["msg"]


def test_a_worker_that_is_stuck_when_forked_is_started_anew(
    manager: BoundedDiskcacheManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, first = background._in_worker, tmp_path / "first"

    def stuck_at_first(*arguments: Any) -> None:
        if not first.exists():
            first.touch()
            time.sleep(60)
        well(*arguments)

    monkeypatch.setattr(background, "_in_worker", stuck_at_first)
    monkeypatch.setattr(background, "START_S", 0.3)
    ticket = submit(manager, "a", lambda _: "done")
    until(lambda: manager.result_ready("a"))
    assert manager.get_result("a", ticket) == "done"
    assert first.exists()
