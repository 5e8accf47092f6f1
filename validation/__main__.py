"""`python -m validation [NAME ...] --data FOLDER`: run the named cases, or all; exit 1 when a target is missed."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from validation import (
    boosted_quantiles,
    evaluate_forecast,
    filter_protocol,
    forecast_drift,
    glucobench,
    lstm_lesson,
    p1_simglucose,
    pk_engine,
    pk_reference,
    posterior_calibration,
    real_people,
    what_if_table,
)
from validation.line import Line

Case = Callable[[Path], Iterator[Line]]

CASES: dict[str, Case] = {
    "p1_simglucose": p1_simglucose.lines,
    "what_if_table": what_if_table.lines,
    "posterior_calibration": posterior_calibration.lines,
    "filter_protocol": filter_protocol.lines,
    "real_people": real_people.lines,
    "evaluate_forecast": evaluate_forecast.lines,
    "boosted_quantiles": boosted_quantiles.lines,
    "forecast_drift": forecast_drift.lines,
    "glucobench": glucobench.lines,
    "lstm_lesson": lstm_lesson.lines,
    "pk_engine": pk_engine.lines,
    "pk_reference": pk_reference.lines,
}
"""By name. A case takes the folder with real data (it may not need it) and yields its lines as they are measured."""


def main() -> int:
    """Run cases and print their lines."""
    parser = argparse.ArgumentParser(prog="python -m validation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(CASES)}")
    parser.add_argument("--data", type=Path, required=True, help="a folder in the T1D-UOM layout")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in CASES]
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    missed = 0
    for name in asked.names or CASES:
        print(f"\n{name}")
        began = time.monotonic()
        for line in CASES[name](asked.data):
            verdict = {None: "", True: "holds", False: "MISSED"}[line.holds]
            print(f"  {line.what:<62} {line.seen:>24}  {line.target:>18}  {verdict}", flush=True)
            missed += line.holds is False
        print(f"  ({time.monotonic() - began:.0f} s)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
