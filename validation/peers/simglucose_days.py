"""What simglucose does on the days of protocol P1, or its ten adults, as JSON on standard output.

Run by `.venv-peers/simglucose/bin/python`, which holds simglucose 0.2.11 (MIT): `simglucose_days.py p1` or
`simglucose_days.py adults`. Its table of people comes from the academic simulator of 2008 and is of unclear licence:
it is read here, at the time of a check, and never kept.
"""

import json
import sys
import time
import types
from typing import Any


def stand_in_for_gym() -> None:
    """The one name that `import simglucose` takes from gym 0.9.4."""
    gym, envs, registration = (types.ModuleType(name) for name in ("gym", "gym.envs", "gym.envs.registration"))
    registration.register = lambda **_: None  # type: ignore[attr-defined]
    sys.modules.update({"gym": gym, "gym.envs": envs, "gym.envs.registration": registration})


stand_in_for_gym()

import pandas as pd  # noqa: E402
from simglucose.patient.t1dpatient import PATIENT_PARA_FILE, Action, T1DPatient  # noqa: E402

MEALS = {420: 45.0, 720: 70.0, 1080: 80.0}
"""Protocol P1: grams by minute of the day, eaten at simglucose's 5 g/min."""
MINUTES = 1440
STATES = ("Qsto1", "Qsto2", "Qgut", "Gp", "Gt", "Ip", "X", "I1", "XL", "Il", "Isc1", "Isc2", "Gs")
"""simglucose's states in its order, by the names of the model `uva_padova_t1d`."""


def day(patient: T1DPatient, gram_per_unit: float) -> list[float]:
    """Glucose under the skin [mg/dL] before each minute; basal insulin, and a bolus in the first minute of a meal."""
    person = patient._params
    basal_u_min = person.u2ss * person.BW / 6000.0
    glucose = []
    for minute in range(MINUTES):
        glucose.append(float(patient.state[12] / person.Vg))
        grams = MEALS.get(minute, 0.0)
        patient.step(Action(CHO=grams, insulin=basal_u_min + grams / gram_per_unit))
    return glucose


def timed(patient: T1DPatient, gram_per_unit: float) -> tuple[list[float], float]:
    """A day and its CPU seconds."""
    began = time.process_time()
    glucose = day(patient, gram_per_unit)
    return glucose, time.process_time() - began


def people() -> pd.DataFrame:
    """Simglucose's thirty people with the carbohydrate ratios of its questionnaire."""
    quest = pd.read_csv(PATIENT_PARA_FILE.replace("vpatient_params", "Quest"))
    return pd.read_csv(PATIENT_PARA_FILE).merge(quest[["Name", "CR"]], on="Name")


def described(row: Any) -> dict[str, Any]:
    """A person's numbers, carbohydrate ratio [g/U] and first state."""
    numbers = {name: float(value) for name, value in row.items() if name not in ("Name", "CR", "patient_history")}
    start = dict(zip(STATES, (float(value) for value in row.iloc[2:15]), strict=True))
    return {"name": row.Name, "gram_per_unit": float(row.CR), "parameters": numbers, "start": start}


def p1() -> list[dict[str, Any]]:
    """Protocol P1 for everybody, as shipped; and once more with the numbers in a plain object, for the time."""
    answers = []
    for _, row in people().iterrows():
        glucose, cpu_s = timed(T1DPatient(row), row.CR)
        plain = T1DPatient(row)
        plain._params = types.SimpleNamespace(**row.to_dict())
        again, plain_cpu_s = timed(plain, row.CR)
        assert again == glucose
        answers.append({**described(row), "glucose_mg_dl": glucose, "cpu_s": cpu_s, "plain_cpu_s": plain_cpu_s})
    return answers


def adults() -> list[dict[str, Any]]:
    """The ten adults."""
    return [described(row) for _, row in people().iterrows() if row.Name.startswith("adult")]


if __name__ == "__main__":
    json.dump({"p1": p1, "adults": adults}[sys.argv[1]](), sys.stdout)
