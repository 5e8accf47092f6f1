"""GlucoBench (Sergazinov et al., ICLR 2024, arXiv 2410.05780) on Hall 2018 and Colas 2019, by its own protocol.

Rules as in the benchmark's repository (config/*.yaml, data_formatter/utils.py, lib/linreg.py): times rounded to the
minute; a record is cut at gaps, short pieces are dropped, the rest is put on a 5-min grid by linear interpolation; a
tenth of the people is kept out (OOD); of the others the last block is the test (ID), the one before it validation. From
each test piece 60 min are forecast every 30 min, first after 144 points. Seeds 10 to 19.

Two scores, both over windows and averaged over seeds before the root: the paper's, the root of the **median** of the
windows' mean squared errors; and the pooled one, the root of their **mean**. The first is no RMSE: it leaves out the
hard half. The trained forecaster gives a median for the first and a mean for the second, from one network.

Trained on the training pieces alone. People of the ID test have training pieces of their own, so that their forecasts
carry a personal correction, as published models carry a person's covariates; people of the OOD test have none.
"""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from twin_core.domain.history import FloatArray
from validation.glucobench_network import Point, Windows, trained
from validation.line import Line

SEEDS = range(10, 20)
STEP_MIN = 5.0
HORIZONS, STRIDE, LONGEST_INPUT = 12, 6, 144
_OUT_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """One data set of the benchmark: its file, its rules, and the best figures published for it.

    Attributes
    ----------
    clock
        Whether times of day are real; those of Colas all begin at midnight of one day.
    best_median, best_pooled
        ID and OOD root errors of the best published model of each column [mg/dL]; the pooled ones are from the means
        in the repository's logs.
    """

    name: str
    file: str
    gap_min: float
    least_points: int
    block: int
    clock: bool
    best_median: tuple[float, float]
    best_pooled: tuple[float, float]


SETS = (
    DataSet(
        name="Hall 2018",
        file="hall_akhil.csv",
        gap_min=30.0,
        least_points=192,
        block=192,
        clock=True,
        best_median=(7.13, 7.40),
        best_pooled=(13.79, 12.84),
    ),
    DataSet(
        name="Colas 2019",
        file="Colas2019_processed.csv",
        gap_min=45.0,
        least_points=192,
        block=72,
        clock=False,
        best_median=(5.26, 5.33),
        best_pooled=(9.52, 9.46),
    ),
)


class Piece(NamedTuple):
    """A person's stretch without gaps: times [min] every 5 min, and glucose [mg/dL], each of shape `(n,)`."""

    person: int
    time_min: FloatArray
    glucose_mg_dl: FloatArray

    def cut(self, start: int | None, end: int | None) -> "Piece":
        """Its points from `start` to `end`."""
        return Piece(self.person, self.time_min[start:end], self.glucose_mg_dl[start:end])


@dataclass(frozen=True, kw_only=True)
class Split:
    """The pieces of one seed."""

    train: tuple[Piece, ...]
    validation: tuple[Piece, ...]
    test_id: tuple[Piece, ...]
    test_ood: tuple[Piece, ...]


class Scores(NamedTuple):
    """Squared errors of the windows of one seed: their median and their mean [mg2/dL2]."""

    median: float
    mean: float


def lines(data: Path) -> Iterator[Line]:
    """For each data set our figures, those of no change, and the best published."""
    for each in SETS:
        people = pieces(data.parent / "glucobench" / each.file, each)
        yield Line(what=f"{each.name}: pieces", seen=str(sum(map(len, people))))
        ours, same = zip(*(_one_seed(people, each, seed) for seed in SEEDS), strict=True)
        yield from _compared(each, _roots(ours), _roots(same))


def pieces(file: Path, each: DataSet) -> list[list[Piece]]:
    """The pieces of every person, in the order of the benchmark (by id)."""
    readings: dict[str, dict[float, float]] = {}
    with file.open(newline="", encoding="utf-8") as rows:
        for row in (each for each in csv.DictReader(rows) if each["gl"] != "NA"):
            readings.setdefault(row["id"], {})[_minute(row["time"])] = float(row["gl"])
    numbers = all(person.isdigit() for person in readings)
    people = sorted(readings, key=(lambda person: int(person)) if numbers else str)
    found = [_pieces_of(number, readings[person], each) for number, person in enumerate(people)]
    return [own for own in found if own]


def split(people: Sequence[Sequence[Piece]], block: int, seed: int) -> Split:
    """Train, validation and both tests; the benchmark's rules, its special cases included."""
    chosen = np.random.RandomState(seed).choice(len(people), math.ceil(len(people) * _OUT_SHARE), replace=False)
    out = set(chosen.tolist())
    train: list[Piece] = []
    validation: list[Piece] = []
    test: list[Piece] = []
    for own in (own for place, own in enumerate(people) if place not in out):
        _split_one(own, block, train, validation, test)
    kept_out = tuple(piece for place in sorted(out) for piece in people[place])
    return Split(train=tuple(train), validation=tuple(validation), test_id=tuple(test), test_ood=kept_out)


def windows(found: Sequence[Piece], lags: int, *, first: int, stride: int) -> Windows:
    """Every window of some pieces; the first forecast is of point number `first`."""
    inputs, followed, times, persons = [], [], [], []
    for piece in found:
        for start in range(first, len(piece.time_min) - HORIZONS + 1, stride):
            inputs.append(piece.glucose_mg_dl[start - lags : start])
            followed.append(piece.glucose_mg_dl[start : start + HORIZONS])
            times.append(piece.time_min[start - 1])
            persons.append(piece.person)
    return Windows(np.array(inputs), np.array(followed), np.array(times), np.array(persons))


def _one_seed(people: Sequence[Sequence[Piece]], each: DataSet, seed: int) -> tuple[list[Scores], list[Scores]]:
    """Scores of ours and of no change, ID and OOD."""
    parts = split(people, each.block, seed)
    forecast = trained(lambda lags: windows(parts.train, lags, first=lags, stride=1), seed, clock=each.clock)
    ours, same = [], []
    for found in (parts.test_id, parts.test_ood):
        rows = windows(found, LONGEST_INPUT, first=LONGEST_INPUT, stride=STRIDE)
        unchanged = np.repeat(rows.inputs[:, -1:], HORIZONS, axis=1)
        ours.append(_scores(forecast(rows), rows.followed))
        same.append(_scores(Point(median=unchanged, mean=unchanged), rows.followed))
    return ours, same


def _scores(made: Point, followed: FloatArray) -> Scores:
    of_median, of_mean = (((forecast - followed) ** 2).mean(axis=1) for forecast in (made.median, made.mean))
    return Scores(median=float(np.median(of_median)), mean=float(of_mean.mean()))


def _roots(seeds: Sequence[Sequence[Scores]]) -> FloatArray:
    """Root of the mean over seeds, shape `(2, 2)`: ID and OOD, median and pooled."""
    return np.sqrt(np.mean(np.array(seeds), axis=0))


def _compared(each: DataSet, ours: FloatArray, same: FloatArray) -> Iterator[Line]:
    for column, (metric, best) in enumerate((("median over windows", each.best_median), ("pooled", each.best_pooled))):
        for row, name in enumerate(("ID", "OOD")):
            error, published = ours[row, column], best[row]
            yield Line(
                what=f"{each.name} {name}, {metric}, mg/dL (no change {same[row, column]:.2f})",
                seen=f"{error:.2f}, x{error / published:.3f}",
                target=f"< {published:.2f}",
                holds=bool(error < published),
            )


def _pieces_of(person: int, readings: dict[float, float], each: DataSet) -> list[Piece]:
    times = np.array(sorted(readings))
    values = np.array([readings[time] for time in times])
    cuts = [0, *(np.flatnonzero(np.diff(times) > each.gap_min) + 1), len(times)]
    found = []
    for start, end in pairwise(cuts):
        if end - start >= each.least_points:
            grid = np.arange(times[start], times[end - 1] + 1e-6, STEP_MIN)
            found.append(Piece(person, grid, np.interp(grid, times[start:end], values[start:end])))
    return found


def _split_one(
    own: Sequence[Piece], block: int, train: list[Piece], validation: list[Piece], test: list[Piece]
) -> None:
    """One person's pieces into the three lists."""
    last, size = own[-1], len(own[-1].time_min)
    train += own[:-2]
    if size >= LONGEST_INPUT + 3 * block:
        train += [*own[-2:-1], last.cut(None, -2 * block)]
        validation.append(last.cut(-2 * block - LONGEST_INPUT, -block))
        test.append(last.cut(-block - LONGEST_INPUT, None))
    elif size >= LONGEST_INPUT + 2 * block:
        if len(own) > 1:
            train.append(own[-2])
            validation.append(last.cut(None, -block))
        else:
            train.append(last.cut(None, -block))
        test.append(last.cut(-block - LONGEST_INPUT, None))
    elif len(own) == 1:
        train.append(last)
    else:
        test.append(last)
        _split_penultimate(own[-2], block, train, validation)


def _split_penultimate(piece: Piece, block: int, train: list[Piece], validation: list[Piece]) -> None:
    if len(piece.time_min) >= LONGEST_INPUT + 2 * block:
        validation.append(piece.cut(-block - LONGEST_INPUT, None))
        train.append(piece.cut(None, -block))
    else:
        train.append(piece)


def _minute(text: str) -> float:
    """Minutes since 1970 of a local time, rounded to the minute, half to even as pandas does."""
    seconds = (datetime.fromisoformat(text) - datetime(1970, 1, 1)) / timedelta(seconds=1)
    return float(np.round(seconds / 60.0))
