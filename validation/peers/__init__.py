"""Other people's simulators, each in an environment of its own; asked as separate processes, answering in JSON."""

import json
import subprocess
from pathlib import Path
from typing import Any

from twin_core.models.glucose.dalla_man_2014 import Parameters

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv-peers"

_SIMGLUCOSE_NAMES = {"VG": "Vg", "VI": "Vi", "Fcns": "Fsnc", "c": "d"}


def answer_of(peer: str, script: str, *arguments: str, question: Any = None) -> Any:
    """What a peer's script says; its environment is made at the first call.

    Parameters
    ----------
    peer
        Name of the environment: `validation/peers/<peer>.txt` lists what is in it.
    script
        File in this folder, run by the peer's Python; it writes JSON to standard output.
    question
        Written to its standard input as JSON.
    """
    subprocess.run([HERE / "setup.sh", peer], check=True)
    command = [ENVIRONMENTS / peer / "bin" / "python", HERE / script, *arguments]
    done = subprocess.run(command, check=True, input=json.dumps(question), stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def simglucose_adults() -> list[dict[str, Any]]:
    """The ten adults of simglucose 0.2.11 with `name`, `gram_per_unit`, `start` and `parameters` (see `ours`)."""
    return list(answer_of("simglucose", "simglucose_days.py", "adults"))


def ours(person: dict[str, Any]) -> Parameters:
    """The parameters of a simglucose person under our names; those that simglucose does not have keep their defaults.

    Its basal insulin `u2ss` [pmol/kg/min] is 100 U/h/kg of ours; kgri, m30, kp1, Vm0 and Ib follow from the rest.
    """
    theirs = person["parameters"]
    known = {name: _SIMGLUCOSE_NAMES.get(name, name) for name in Parameters._fields}
    values = {name: theirs[key] for name, key in known.items() if key in theirs}
    return Parameters(**values, basal_u_h=theirs["u2ss"] * theirs["BW"] / 100.0)
