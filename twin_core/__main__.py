"""The twin without a browser: answer scenarios, print their schema, train and validate the forecaster."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from twin_core.bootstrap import build_scenarios, read_folder
from twin_core.domain.errors import BiotwinError
from twin_core.forecast import artifact, evaluation, training
from twin_core.forecast.quantile_lstm import QuantileLstm

_HORIZONS_MIN = (30.0, 60.0, 120.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 2 with a sentence on standard error."""
    given = _parser().parse_args(arguments)
    try:
        return int(given.run(given) or 0)
    except (BiotwinError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m twin_core", description="The digital twin without a browser.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="answer a JSON scenario, or a list of them")
    run.add_argument("file", help="the file with the scenario; - reads standard input")
    run.set_defaults(run=_run)
    schema = commands.add_parser("schema", help="print the JSON Schema of all kinds of scenario")
    schema.set_defaults(run=_schema)
    train = commands.add_parser("train", help="train the forecaster on a folder in the T1D-UOM layout")
    train.add_argument("folder", type=Path)
    train.add_argument("--out", type=Path, default=artifact.SHIPPED, help="where the weights go (the shipped ones)")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--epochs", type=int, choices=range(1, 101), metavar="1-100", default=8)
    train.set_defaults(run=_train)
    validate = commands.add_parser("validate", help="measure import and forecaster on a folder in the T1D-UOM layout")
    validate.add_argument("folder", type=Path)
    validate.set_defaults(run=_validate)
    return parser


def _run(given: argparse.Namespace) -> None:
    text = sys.stdin.read() if given.file == "-" else Path(given.file).read_text(encoding="utf-8")
    _print(build_scenarios().answer_text(text))


def _schema(_: argparse.Namespace) -> None:
    _print(json.dumps(build_scenarios().schema(), indent=2))


def _train(given: argparse.Namespace) -> None:
    manifest = training.train(
        read_folder(given.folder).histories,
        seed=given.seed,
        epochs=given.epochs,
        out_dir=given.out,
        command=f"python -m twin_core train FOLDER --seed {given.seed} --epochs {given.epochs}",
        progress=lambda share, sentence: _print(f"{100 * share:3.0f} %  {sentence}"),
    )
    _print(f"{manifest['model_version']} written to {given.out}")


def _validate(given: argparse.Namespace) -> int:
    began = time.monotonic()
    found = read_folder(given.folder)
    report = found.report
    for file in report.files:
        reasons = ", ".join(f"{count:,} {reason.name.lower()}" for reason, count in file.by_reason.items())
        _print(f"{file.name:22} {file.rows_read:7,} = {file.accepted:7,} + {len(file.rejected):6,}  {reasons}")
    _print(
        f"{report.rows_read:,} rows read = {report.accepted:,} accepted + {report.rejected:,} rejected with a reason"
    )
    _print(f"accepted dates {found.first:%Y-%m-%d} to {found.last:%Y-%m-%d}; {time.monotonic() - began:.1f} s\n")
    model = QuantileLstm.load()
    scores = evaluation.evaluate(found.histories, model)
    _print(evaluation.table_markdown(scores))
    rmse = {(score.model, score.horizon_min): score.rmse for score in scores}
    ahead = all(rmse["LSTM", h] < rmse["persistence", h] for h in _HORIZONS_MIN)
    _print(f"\nahead of persistence at 30, 60 and 120 min, pooled over people: {'yes' if ahead else 'NO'}")
    people = evaluation.person_scores(found.histories, model, _HORIZONS_MIN)
    behind = [each for each in people if each.model_rmse >= each.persistence_rmse]
    _print(f"for single people: ahead in {len(people) - len(behind)} of {len(people)} cases")
    for each in behind:
        _print(
            f"  behind for {each.person} at {each.horizon_min:g} min: "
            f"{each.model_rmse:.1f} against {each.persistence_rmse:.1f} mg/dL"
        )
    return 0 if ahead else 1


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
