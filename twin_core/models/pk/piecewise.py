"""Concentrations while parameters change from time to time: covariates in the course of a stay, occasions of a study.

A covariate that is known at some times only is carried forward (the last value holds until the next one is known) or
backward (a value holds since the one before it, as NONMEM reads its data records).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.drugs import Dose, Structure
from twin_core.domain.errors import BadInput
from twin_core.domain.history import FloatArray
from twin_core.models.pk.compartments import check_parameters
from twin_core.models.pk.linear import Course, amounts, system_of


class Carry(StrEnum):
    """What is assumed between two values of a covariate."""

    FORWARD = "forward"
    """The last one holds (LOCF)."""
    BACKWARD = "backward"
    """The next one holds (NOCB, as NONMEM reads data)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CovariateRecord:
    """Values of covariates that were measured at one time; those not named stay as they were."""

    time_h: float
    values: Mapping[str, float]


def pieces_of(records: Sequence[CovariateRecord], carry: Carry) -> tuple[FloatArray, tuple[dict[str, float], ...]]:
    """When the covariates change, and their values in each piece of time between.

    Before the first value of a covariate and after its last one that value holds.

    Returns
    -------
    tuple[FloatArray, tuple[dict[str, float], ...]]
        m increasing times [h] and m + 1 sets of covariates.

    Raises
    ------
    BadInput
        Without a record, or where two records share a time.
    """
    ordered = sorted(records, key=lambda record: record.time_h)
    times = np.array([record.time_h for record in ordered])
    if not ordered or np.any(np.diff(times) <= 0.0):
        raise BadInput("Covariates need at least one record, and no two of them at the same time.")
    names = sorted({name for record in ordered for name in record.values})
    known = {
        name: [(record.time_h, record.values[name]) for record in ordered if name in record.values] for name in names
    }
    if carry is Carry.FORWARD:
        changes, inside = times[1:], times
    else:
        changes, inside = times[:-1], times
    return changes, tuple({name: _value(known[name], time, carry) for name in names} for time in inside)


def _value(known: Sequence[tuple[float, float]], time: float, carry: Carry) -> float:
    """The value at a record's own time."""
    earlier = [value for when, value in known if when <= time]
    later = [value for when, value in known if when >= time]
    if carry is Carry.FORWARD:
        return earlier[-1] if earlier else later[0]
    return later[0] if later else earlier[-1]


def concentration_in_pieces(
    structure: Structure,
    pieces: Sequence[Mapping[str, ArrayLike]],
    changes_h: ArrayLike,
    doses: Sequence[Dose],
    times_h: ArrayLike,
    *,
    carry: Carry = Carry.FORWARD,
) -> FloatArray:
    """Concentration in the central compartment, exactly, while the parameters change.

    Parameters
    ----------
    pieces
        m + 1 sets of parameters, as `compartments.concentration` takes them. Lag and F of a dose are those of the
        piece in which it is given; a steady state is that of the piece in which it begins.
    changes_h
        m increasing times [h].
    carry
        Whether at the very time of a change the piece after it counts (forward) or the one before (backward).

    Returns
    -------
    FloatArray
        Shape `(n_people, n_times)` [mg/L].

    Raises
    ------
    BadInput
        If pieces and changes do not fit; besides all that `compartments.concentration` raises.
    """
    changes, times = np.asarray(changes_h, dtype=float), np.asarray(times_h, dtype=float)
    if len(pieces) != changes.size + 1 or np.any(np.diff(changes) <= 0.0):
        raise BadInput(f"{changes.size} increasing changes need {changes.size + 1} pieces; got {len(pieces)}.")
    checked = [check_parameters(structure, piece, doses) for piece in pieces]
    n = max(len(piece["V1_L"]) for piece in checked)
    everyone = [{name: np.broadcast_to(column, (n, 1)) for name, column in piece.items()} for piece in checked]
    course = Course(
        systems=[system_of(structure, piece) for piece in everyone],
        changes_h=changes,
        carried_back=carry is Carry.BACKWARD,
    )
    volume = np.concatenate([piece["V1_L"] for piece in everyone], axis=1)
    central = course.systems[0].central
    return np.asarray(amounts(course, doses, times)[:, :, central] / volume[:, course.place(times)])
