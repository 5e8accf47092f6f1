"""`python -m twin_core run FILE` and `python -m twin_core schema`: the services without a browser."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from twin_core.bootstrap import build_scenarios
from twin_core.domain.errors import BiotwinError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 2 with a sentence on standard error."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "schema":
            _print(json.dumps(build_scenarios().schema(), indent=2))
        else:
            _print(build_scenarios().answer_text(_read(given.file)))
    except (BiotwinError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m twin_core", description="The digital twin without a browser.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="answer a JSON scenario, or a list of them")
    run.add_argument("file", help="the file with the scenario; - reads standard input")
    commands.add_parser("schema", help="print the JSON Schema of all kinds of scenario")
    return parser


def _read(file: str) -> str:
    return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
