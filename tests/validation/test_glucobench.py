"""The benchmark's rules, on made-up people; that the row counts are the published ones was checked on the data."""

from pathlib import Path

import numpy as np
import pytest

from validation.glucobench import HORIZONS, LONGEST_INPUT, SETS, Piece, pieces, split, windows
from validation.glucobench_network import Windows, _habits

BLOCK = 72


def person(number: int, *lengths: int) -> list[Piece]:
    starts = 10_000.0 * np.arange(1, len(lengths) + 1)
    return [
        Piece(number, start + 5.0 * np.arange(length), 100.0 + np.sin(np.arange(length)))
        for start, length in zip(starts, lengths, strict=True)
    ]


def people() -> list[list[Piece]]:
    long, middle, short = LONGEST_INPUT + 3 * BLOCK, LONGEST_INPUT + 2 * BLOCK, 200
    lengths = [(long + 50,), (middle,), (short,), (short, long), (short, middle), (middle, short), (short, short)]
    return [person(number, *own) for number, own in enumerate(lengths * 2)]


def moments(found: tuple[Piece, ...], first: int) -> set[tuple[int, float]]:
    """What is forecast: person and minute of every point after the context."""
    return {(piece.person, float(time)) for piece in found for time in piece.time_min[first:]}


def test_nothing_forecast_in_the_test_was_trained_on() -> None:
    for seed in range(10, 20):
        parts = split(people(), BLOCK, seed)
        trained = moments(parts.train, 0)
        assert not trained & moments(parts.test_id, LONGEST_INPUT)
        assert not trained & moments(parts.test_ood, 0)
        assert not {piece.person for piece in parts.test_ood} & {piece.person for piece in parts.train}


def test_a_tenth_of_the_people_is_kept_out_by_the_seed() -> None:
    first, again, other = (split(people(), BLOCK, seed).test_ood for seed in (10, 10, 11))
    assert len({piece.person for piece in first}) == 2
    assert [piece.person for piece in first] == [piece.person for piece in again]
    assert {piece.person for piece in first} != {piece.person for piece in other}


def test_windows_begin_after_their_context_and_step_by_the_stride() -> None:
    rows = windows(person(4, 200), 36, first=LONGEST_INPUT, stride=6)
    assert rows.inputs.shape == (8, 36)
    assert rows.followed.shape == (8, HORIZONS)
    assert rows.time_min[0] == 10_000.0 + 5.0 * (LONGEST_INPUT - 1)
    assert set(np.diff(rows.time_min)) == {30.0}
    assert set(rows.persons) == {4}


def test_a_record_is_cut_at_gaps_put_on_a_grid_and_short_pieces_are_dropped(tmp_path: Path) -> None:
    rules = SETS[0]
    times = np.concatenate([5.0 * np.arange(200), 1100.0 + 5.0 * np.arange(100)])
    lines = ["id,time,gl", '"a",2014-02-03 00:00:00,NA']
    start = np.datetime64("2014-02-03T03:00:10")
    lines += [f'"a",{str(start + np.timedelta64(int(t), "m")).replace("T", " ")},{100 + t / 10:.1f}' for t in times]
    file = tmp_path / "readings.csv"
    file.write_text("\n".join(lines))
    ((only,),) = pieces(file, rules)
    assert len(only.time_min) == 200
    assert set(np.diff(only.time_min)) == {5.0}
    assert only.glucose_mg_dl[-1] == pytest.approx(100.0 + 99.5)


def test_habits_correct_those_who_were_seen_and_nobody_else() -> None:
    rng = np.random.default_rng(1)
    inputs = 120.0 + np.cumsum(rng.normal(size=(4000, 36)), axis=1)
    persons = np.repeat([0, 1], 2000)
    rows = Windows(inputs, np.zeros((4000, HORIZONS)), np.zeros(4000), persons)
    missed = np.where(persons == 0, 10.0, -5.0)[:, None] * np.ones(HORIZONS)
    correction = _habits(rows, missed, clock=False)(rows._replace(persons=np.where(persons == 1, 7, 0)))
    assert correction[:2000].mean() == pytest.approx(10.0 * 2000 / 3000, rel=0.1)
    assert not correction[2000:].any()
