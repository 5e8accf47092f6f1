"""What ReplayBG answers: JSON people on standard input, its predictions on standard output.

Run by `.venv-peers/replaybg/bin/python`, which holds ReplayBG 1.4.0 (GPL-3.0-or-later); nothing of it enters Biotwin.
Each person is a list of days on the same 5-min grid from 04:00 on: the first is twinned (MAP), each is replayed
without sensor error. `starts` is the number of Powell starts, ReplayBG's own is 128.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
from py_replay_bg import py_replay_bg as library
from py_replay_bg.sensors import CGM
from py_replay_bg.twinning.map import MAP

SAMPLE_MIN = 5
LABELS = ("B", "L", "D")


class ExactSensor(CGM):
    """Shows interstitial glucose as it is."""

    def measure(self, ig: float, past_ig: Sequence[float], t: float) -> float:  # noqa: ARG002
        """What is there [mg/dL]."""
        return ig


def frame(day: dict[str, Any], glucose_mg_dl: Sequence[float]) -> pd.DataFrame:
    """One day as ReplayBG takes it; the k-th meal of the day is breakfast, lunch, dinner."""
    n = len(glucose_mg_dl)
    labels = iter(LABELS)
    return pd.DataFrame(
        {
            "t": pd.date_range("2025-01-06 04:00", periods=n, freq=f"{SAMPLE_MIN}min"),
            "glucose": glucose_mg_dl,
            "cho": day["carbs_g_min"],
            "cho_label": [next(labels) if rate > 0.0 else "" for rate in day["carbs_g_min"]],
            "bolus": day["bolus_u_min"],
            "bolus_label": [""] * n,
            "basal": day["basal_u_min"],
            "exercise": [0.0] * n,
        }
    )


def answer(person: dict[str, Any], folder: str, starts: int) -> dict[str, Any]:
    """The CPU seconds of the twin, and each day replayed [mg/dL]."""

    class FewStarts(MAP):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.n_rerun = starts

    library.MAP = FewStarts
    glucose = person["cgm_mg_dl"]
    bg = library.ReplayBG(save_folder=folder, blueprint="multi-meal", seed=1, plot_mode=False, verbose=False)
    common = {"bw": person["body_weight_kg"], "save_name": person["name"].replace("#", "_"), "twinning_method": "map"}
    began = time.process_time()
    bg.twin(data=frame(person["days"][0], glucose), **common)
    twinned = time.process_time()
    replays = [
        bg.replay(data=frame(day, glucose), sensor_cgm=ExactSensor, **common)["glucose"]["realizations"][0]
        for day in person["days"]
    ]
    return {
        "name": person["name"],
        "cpu_s": twinned - began,
        "replay_cpu_s": time.process_time() - twinned,
        "predicted_mg_dl": [replay[::SAMPLE_MIN].tolist() for replay in replays],
    }


def main() -> None:
    """Answer for everybody; the first person is twinned once more before, so that compilation is not counted."""
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        for person in asked["people"][:1]:
            answer(person, folder, 1)
        json.dump([answer(person, folder, asked["starts"]) for person in asked["people"]], sys.stdout)


if __name__ == "__main__":
    main()
