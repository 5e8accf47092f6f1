"""The integrator: accurate at one-minute steps, the same in every way it can run, safe among threads."""

import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from twin_core.domain.errors import BadInput
from twin_core.domain.history import BasalRate, Bolus, Meal, Therapy
from twin_core.models.glucose.dalla_man_2014 import MODEL, Parameters
from twin_core.solve import rk4
from twin_core.solve.compiled import Kernel, kernel_of
from twin_core.solve.rk4 import SolveStatus, integrate, integrate_batch
from twin_core.solve.schedule import schedule_of, schedules_of

DEFAULT = Parameters()
DAY = Therapy(
    meals=tuple(Meal(time_min=t, carbs_g=g, duration_min=g / 5.0) for t, g in ((420.0, 45.0), (720.0, 70.0))),
    boluses=tuple(Bolus(time_min=t, dose_u=g / 10.0) for t, g in ((420.0, 45.0), (720.0, 70.0))),
)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Kernel:
    kernel = kernel_of(MODEL)
    kernel.warm_up()
    return kernel


def people(n: int) -> Parameters:
    factor = np.linspace(0.8, 1.2, n)
    varied = {name: factor * getattr(DEFAULT, name) for name in ("BW", "kp3", "kabs", "Vmx", "VG")}
    return Parameters(*(varied.get(name, np.full(n, value)) for name, value in DEFAULT._asdict().items()))


def test_one_minute_steps_are_within_a_quarter_mg_dl_of_three_second_steps() -> None:
    coarse = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=1440.0))
    fine = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=1440.0, step_min=0.05))
    error = np.abs(coarse.output("glucose_mg_dl") - fine.output("glucose_mg_dl")[::20])
    assert error.max() < 0.25
    half = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=1440.0, step_min=0.5))
    assert np.abs(half.output("glucose_mg_dl") - fine.output("glucose_mg_dl")[::10]).max() < 0.01


def test_states_are_before_each_step_and_the_last_state_stands_apart() -> None:
    solution = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=500.0))
    again = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=499.0))
    np.testing.assert_array_equal(solution.states[0], MODEL.steady_state(DEFAULT))
    assert solution.states.shape == (500, 16)
    np.testing.assert_array_equal(solution.states[499], again.final_state)


def test_a_run_resumed_in_the_middle_of_a_meal_gives_the_same_course() -> None:
    whole = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=1440.0))
    first = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=424.0))
    rest = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=424.0, end_min=1440.0), first.final_state)
    np.testing.assert_allclose(rest.final_state, whole.final_state, rtol=1e-12)


def test_a_batch_equals_its_patients_one_by_one_whatever_its_size() -> None:
    schedule = schedule_of(DAY, start_min=400.0, end_min=640.0)
    for n in (1, 7, 8, 9, 50):
        p = people(n)
        batch = integrate_batch(MODEL, p, schedule)
        assert batch.finite.all()
        for i in range(n):
            one = integrate(MODEL, Parameters(*(float(v[i]) for v in p)), schedule)
            np.testing.assert_allclose(batch.final_states[i], one.final_state, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(batch.output("glucose_mg_dl")[i, :-1], one.output("glucose_mg_dl"), rtol=1e-12)


def test_interpreted_and_compiled_batches_agree_with_a_schedule_a_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    fasting = Therapy(basal=(BasalRate(time_min=430.0, rate_u_h=2.0),))
    schedules = schedules_of((DAY, fasting, Therapy()), start_min=400.0, end_min=500.0)
    fast = integrate_batch(MODEL, people(3), schedules, every_min=5.0)
    monkeypatch.setattr(rk4, "kernel_of", Kernel)
    slow = integrate_batch(MODEL, people(3), schedules, every_min=5.0)
    np.testing.assert_allclose(fast.outputs, slow.outputs, rtol=1e-10)
    np.testing.assert_allclose(fast.final_states, slow.final_states, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(fast.times_min, np.arange(400.0, 501.0, 5.0))


def test_interpreted_and_compiled_single_runs_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = schedule_of(DAY, start_min=400.0, end_min=500.0)
    fast = integrate(MODEL, DEFAULT, schedule)
    monkeypatch.setattr(rk4, "kernel_of", Kernel)
    np.testing.assert_allclose(integrate(MODEL, DEFAULT, schedule).states, fast.states, rtol=1e-11, atol=1e-11)


def test_many_threads_at_once_get_the_answers_of_one() -> None:
    schedule = schedule_of(DAY, start_min=0.0, end_min=720.0)
    expected = integrate_batch(MODEL, people(300), schedule, every_min=60.0).outputs
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: integrate_batch(MODEL, people(300), schedule, every_min=60.0).outputs, range(8))
        )
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


def test_a_state_that_leaves_the_numbers_is_a_status_with_a_sentence() -> None:
    start = np.array(MODEL.steady_state(DEFAULT))
    start[3] = np.nan
    solution = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=10.0), start)
    assert solution.status is SolveStatus.NOT_FINITE
    assert "Gp left the finite numbers at minute 0" in solution.reason


def test_a_negative_start_is_a_status_with_a_sentence() -> None:
    start = np.array(MODEL.steady_state(DEFAULT))
    start[5] = -1.0
    solution = integrate(MODEL, DEFAULT, schedule_of(DAY, start_min=0.0, end_min=10.0), start)
    assert solution.status is SolveStatus.NEGATIVE
    assert "Ip fell below zero" in solution.reason


def test_numbers_of_patients_that_do_not_fit_together_are_refused() -> None:
    schedule = schedule_of(DAY, start_min=0.0, end_min=10.0)
    with pytest.raises(BadInput, match="one for all or one a patient"):
        integrate_batch(MODEL, people(3), schedule, np.ones((2, 14)))
    later = schedule_of(DAY, start_min=1.0, end_min=11.0)
    with pytest.raises(BadInput, match="on the same steps"):
        integrate_batch(MODEL, DEFAULT, (schedule, later))


def test_a_kernel_is_not_ready_before_its_warm_up_and_waiting_has_an_end() -> None:
    kernel = Kernel(MODEL)
    assert not kernel.ready
    assert not kernel.wait_until_ready(timeout_s=0.01)


def test_a_child_of_a_fork_never_waits_for_a_compilation_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(MODEL)
    kernel._lock.acquire()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    kernel.warm_up()
    assert not kernel.wait_until_ready()


def test_there_is_one_kernel_a_model() -> None:
    assert kernel_of(MODEL) is kernel_of(MODEL)
    assert kernel_of(MODEL).ready


_ALONE = """
import sys
import numpy as np
from twin_core.models.glucose.dalla_man_2014 import MODEL, Parameters
from twin_core.domain.history import Bolus, Therapy
from twin_core.solve.compiled import kernel_of
from twin_core.solve.rk4 import integrate, integrate_batch
from twin_core.solve.schedule import schedule_of
kernel_of(MODEL).warm_up_in_a_child()
assert kernel_of(MODEL).ready
day = schedule_of(Therapy(boluses=(Bolus(time_min=60.0, dose_u=4.0),)), start_min=0.0, end_min=600.0)
nine = Parameters(*(np.full(9, value) for value in Parameters()))
sys.stdout.buffer.write(integrate(MODEL, Parameters(), day).states.tobytes())
sys.stdout.buffer.write(integrate_batch(MODEL, nine, day).outputs.tobytes())
assert "twin_core.solve.machine_code" not in sys.modules
"""


def test_code_from_a_child_gives_the_same_bits_in_a_process_that_never_compiles() -> None:
    answered = subprocess.run([sys.executable, "-c", _ALONE], stdout=subprocess.PIPE, check=True).stdout
    day = schedule_of(Therapy(boluses=(Bolus(time_min=60.0, dose_u=4.0),)), start_min=0.0, end_min=600.0)
    nine = Parameters(*(np.full(9, value) for value in DEFAULT))
    one, many = integrate(MODEL, DEFAULT, day).states, integrate_batch(MODEL, nine, day).outputs
    assert answered == one.tobytes() + many.tobytes()


def test_a_child_that_fails_leaves_the_model_interpreted_and_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    kernel = Kernel(MODEL)
    kernel.warm_up_in_a_child()
    assert not kernel.wait_until_ready()


def test_arrays_of_another_type_never_reach_the_compiled_code(compiled: Kernel) -> None:
    whole = np.zeros((1, 1, 1), dtype=np.int64)
    assert compiled.run_one is not None
    with pytest.raises(ctypes.ArgumentError):
        compiled.run_one(*(whole,) * 9, 0, 1)
