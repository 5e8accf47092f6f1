"""What openpkflow 2.9.0 makes of one dose and some levels, and of Theoph, as JSON on standard output.

Run by `.venv-peers/openpkflow/bin/python`, which holds openpkflow 2.9.0 (MIT). The question on standard input has
`single` (one person after one oral dose: times, levels, dose, typical values, variance of eta, proportional SD) and
`profiles` (times and levels of each person of Theoph). Its estimators take one dose only.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from openpkflow.bayes.map_pk import map_individual_pk
from openpkflow.bayes.priors import PKPrior
from openpkflow.nca.methods import auc_inf_obs, auc_linear, lambda_z
from openpkflow.pop.estimation.foce_inner import compute_ebe

REPEATS = 5


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives and its CPU milliseconds, the second time and later."""
    found = run()
    began = time.process_time()
    for _ in range(REPEATS):
        run()
    return found, 1000.0 * (time.process_time() - began) / REPEATS


def most_probable(single: dict[str, Any]) -> dict[str, Any]:
    """Its two estimators of one person's eta for CL, V and k_a."""
    typical, sd = np.array(single["typical"]), single["eta_sd"]
    log_cl, log_v, log_ka = np.log(typical)
    prior = PKPrior(
        log_cl_mean=log_cl,
        log_v_mean=log_v,
        log_ka_mean=log_ka,
        log_cl_sd=sd,
        log_v_sd=sd,
        log_ka_sd=sd,
        sigma_mean=single["proportional_sd"],
    )
    times, levels, dose = single["times_h"], single["levels_mg_l"], single["dose_mg"]
    found, found_ms = timed(lambda: map_individual_pk(times, levels, dose, "oral", prior))
    values = {"CL": found.CL_F, "V": found.Vz_F, "ka": found.ka}
    inner, inner_ms = timed(
        lambda: compute_ebe(
            np.array(times),
            np.array(levels),
            dose,
            typical,
            np.eye(3) / sd**2,
            single["proportional_sd"],
            0.0,
            "oral",
        )
    )
    eta = [float(np.log(values[name] / at)) for name, at in zip(("CL", "V", "ka"), typical, strict=True)]
    return {"map_eta": eta, "map_ms": found_ms, "inner_eta": [float(each) for each in inner[0]], "inner_ms": inner_ms}


def analysed(profile: dict[str, Any]) -> dict[str, float]:
    """Terminal slope and area of one person."""
    slope = lambda_z(profile["times_h"], profile["levels_mg_l"])
    last = auc_linear(profile["times_h"], profile["levels_mg_l"])
    whole = auc_inf_obs(last, profile["levels_mg_l"][-1], slope)
    return {"lambda_z_1_h": float(slope.lambda_z), "auc_last_mg_h_l": float(last), "auc_inf_mg_h_l": float(whole)}


if __name__ == "__main__":
    question = json.load(sys.stdin)
    nca, nca_ms = timed(lambda: [analysed(profile) for profile in question["profiles"]])
    json.dump({**most_probable(question["single"]), "nca": nca, "nca_ms": nca_ms / len(nca)}, sys.stdout)
