"""Run the named benchmarks: `python -m benchmarks` for all, `python -m benchmarks NAME` for one.

Every case runs in a process of its own, under the command that is printed above its result, so that any number can be
had again by copying its line. A case that fails does not stop the others; the exit code is then 1.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple


class Case(NamedTuple):
    """A benchmark: its name, the module whose `main()` prints the result, and the arguments that it is given."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()


CASES = (
    Case("mechanistic", "benchmarks.mechanistic"),
    Case("fit", "benchmarks.fit"),
    Case("sensitivity", "benchmarks.sensitivity"),
    Case("pk", "benchmarks.pk"),
    Case("forecast_latency", "benchmarks.forecast_latency"),
    Case("import", "benchmarks.import_t1d_uom", ("sample_data/t1d_uom",)),
    Case("long_records", "benchmarks.long_records"),
    Case("start_up", "benchmarks.start_up"),
    Case("browser", "benchmarks.browser"),
)


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine_facts() -> str:
    """What a reader must know to compare the numbers: processor, cores, load, Python."""
    load = " ".join(f"{mean:.2f}" for mean in os.getloadavg())
    return (
        f"{cpu_model()}, {os.cpu_count()} cores, load {load} (1, 5, 15 min), "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


def run_alone(case: Case) -> int:
    """Run one case in this process, its arguments where `argparse` looks for them."""
    sys.argv = [case.module, *case.arguments]
    return import_module(case.module).main() or 0


def run_each(commands: Sequence[Sequence[str]]) -> list[int]:
    """Run each command after the other, print it above its output, and return the exit codes."""
    return [run_and_time(command) for command in commands]


def run_and_time(command: Sequence[str]) -> int:
    """Run one command under a line that says it, and over a line that says how it ended."""
    shown = " ".join(["python", *command[1:]])
    print(f"\n$ {shown}", flush=True)
    start = time.perf_counter()
    code = subprocess.run(command, check=False).returncode
    ending = "done" if code == 0 else f"FAILED (exit code {code})"
    print(f"{ending} in {time.perf_counter() - start:.1f} s", flush=True)
    return code


def main(names: Sequence[str]) -> int:
    """Run all cases, or the one that is named."""
    known = {case.name: case for case in CASES}
    if not names:
        print(machine_facts(), flush=True)
        return int(any(run_each([[sys.executable, "-m", "benchmarks", name] for name in known])))
    if len(names) > 1 or names[0] not in known:
        print(f"There is no benchmark called {' '.join(names)!r}. Known: {', '.join(known)}.", file=sys.stderr)
        return 2
    return run_alone(known[names[0]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
