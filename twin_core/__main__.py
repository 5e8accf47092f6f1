"""The twin without a browser: answer scenarios, print their schema, train and validate the forecaster."""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from twin_core.bootstrap import build_scenarios, read_folder
from twin_core.domain.errors import BiotwinError
from twin_core.domain.history import History
from twin_core.forecast import artifact, evaluation, table, training
from twin_core.forecast.damped_trend import DampedTrend
from twin_core.forecast.model import Model
from twin_core.forecast.targets import origins


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
    train.set_defaults(run=_train)
    evaluate = commands.add_parser(
        "evaluate-forecast", help="forecast every origin of a folder that training has not seen, and score it"
    )
    evaluate.add_argument("folder", type=Path)
    evaluate.add_argument("--out", type=Path, help="a Parquet file for the forecasts")
    evaluate.add_argument("--weights", type=Path, default=artifact.SHIPPED, help="a folder of weights (the shipped)")
    evaluate.add_argument("--train", type=Path, help="train on this folder first, and use that")
    evaluate.set_defaults(run=_evaluate)
    for command in (train, evaluate):
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--epochs", type=int, choices=range(1, 101), metavar="1-100", default=8)
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
    _train_on(given.folder, given.out, given.seed, given.epochs)


def _train_on(folder: Path, out: Path, seed: int, epochs: int) -> None:
    manifest = training.train(
        read_folder(folder).histories,
        seed=seed,
        epochs=epochs,
        out_dir=out,
        command=f"python -m twin_core train FOLDER --seed {seed} --epochs {epochs}",
        progress=lambda share, sentence: _print(f"{100 * share:3.0f} %  {sentence}"),
    )
    _print(f"{manifest['model_version']} written to {out}")


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
    held, _ = _held_out(found.histories, artifact.SHIPPED)
    return 0 if _print_scores(held, found.histories) else 1


def _evaluate(given: argparse.Namespace) -> None:
    """Forecast from every origin that the weights have not seen, print the scores, and keep the forecasts."""
    histories = read_folder(given.folder).histories
    with tempfile.TemporaryDirectory() as temporary:
        weights = given.weights
        if given.train is not None:
            weights = Path(temporary)
            _train_on(given.train, weights, given.seed, given.epochs)
        held, threshold = _held_out(histories, weights)
    _print_scores(held, histories)
    for row in evaluation.alarm_rows(held, histories, threshold):
        lead = "-" if row.lead_median_min is None else f"{row.lead_median_min:.0f}"
        _print(
            f"{row.rule}: {row.foreseen} of {row.events} lows foreseen ({row.sensitivity:.3f}), "
            f"{row.false_per_day:.2f} false alarms a day over {row.days:.0f} days, median lead {lead} min"
        )
    if given.out is not None:
        _print(f"{table.write(held, given.out):,} rows written to {given.out}")


def _held_out(histories: Mapping[str, History], weights: Path) -> tuple[evaluation.HeldOut, float]:
    """Held-out forecasts by a folder of weights, and its alarm threshold.

    Of the records that the weights come from that is the last fifth; of any other, all but what training saw.
    """
    model, manifest = Model.load(weights), artifact.manifest_of(weights)
    damped = DampedTrend(fading_min=float(manifest["damped_trend_fading_min"]))
    if training.data_hash(histories) == manifest["data_sha256"]:
        return evaluation.held_out(histories, model, damped), model.alarm_threshold
    unseen = {
        person: each[each >= manifest["seen_until_min"].get(person, -math.inf)]
        for person, history in histories.items()
        for each in (origins(history),)
    }
    return evaluation.held_out(histories, model, damped, unseen), model.alarm_threshold


def _print_scores(held: evaluation.HeldOut, histories: Mapping[str, History]) -> bool:
    """The table, each person, and whether the model leads persistence at 30, 60 and 120 min."""
    scores = evaluation.scores(held.sample, held.predicted)
    _print(f"{len(held.sample.persons):,} origins of {len(histories)} people, none of which training has seen")
    _print(evaluation.table_markdown(scores))
    rmse = {(score.model, score.horizon_min): score.rmse for score in scores}
    for h in evaluation.PERSON_HORIZONS_MIN:
        best = min(evaluation.BASELINES, key=lambda model: rmse[model, h])
        parts = ", ".join(f"{part} {rmse[part, h]:.2f}" for part in evaluation.PARTS)
        _print(
            f"{h:g} min: shipped {rmse[evaluation.SHIPPED, h]:.2f}, best baseline {best} {rmse[best, h]:.2f}; "
            f"its parts alone: {parts}"
        )
    ahead = all(rmse[evaluation.SHIPPED, h] < rmse["persistence", h] for h in evaluation.PERSON_HORIZONS_MIN)
    _print(f"ahead of persistence at 30, 60 and 120 min, pooled over people: {'yes' if ahead else 'NO'}")
    for row in evaluation.person_rows(held):
        covered = " / ".join(f"{100.0 * share:.1f}" for share in row.coverage.values())
        _print(
            f"  {row.person} at {row.horizon_min:3g} min: {row.rmse:5.1f} (persistence {row.persistence_rmse:5.1f}) "
            f"mg/dL, 50/80/90 % intervals cover {covered} %, {row.count} readings"
        )
    return ahead


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
