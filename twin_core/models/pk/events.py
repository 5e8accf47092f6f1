"""Doses from data rows with NONMEM's meaning: TIME, AMT, RATE, DUR, SS, II, ADDL and EVID.

EVID 0 and 2 give nothing; 1 is a dose; 3 empties the body; 4 empties it and gives a dose. SS=1 is a steady state that
empties the body of anything else before, SS=2 one that adds to it. RATE and AMT make the duration; a RATE of -1 or -2,
which asks for a rate or duration that is a parameter, is refused, and so is an infusion without end (AMT 0, SS=1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from twin_core.domain.drugs import Dose, Route
from twin_core.domain.errors import BadInput

_RELATIVE = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRow:
    """One row, by NONMEM's columns; `route` stands for CMT."""

    time_h: float
    route: Route
    evid: int = 1
    amt_mg: float = 0.0
    rate_mg_h: float = 0.0
    duration_h: float = 0.0
    ss: int = 0
    ii_h: float = 0.0
    addl: int = 0


def doses_of(rows: Sequence[DataRow]) -> tuple[Dose, ...]:
    """The doses and resets of some rows, in their order.

    Raises
    ------
    BadInput
        For a row that has no meaning here: the message names its time and what is wrong.
    """
    return tuple(_dose(row) for row in rows if row.evid not in (0, 2))


def _dose(row: DataRow) -> Dose:
    if row.evid not in (1, 3, 4):
        raise _refused(row, f"EVID is {row.evid}; allowed is 0 to 4")
    if row.evid == 3:
        return Dose(time_h=row.time_h, amount_mg=0.0, route=Route.IV_BOLUS, reset=True)
    if row.ss not in (0, 1, 2):
        raise _refused(row, f"SS is {row.ss}; allowed is 0, 1 and 2")
    if row.addl < 0 or row.ii_h < 0.0:
        raise _refused(row, "ADDL and II must not be negative")
    duration_h = _duration_h(row)
    return Dose(
        time_h=row.time_h,
        amount_mg=row.amt_mg,
        route=Route.IV_INFUSION if duration_h > 0.0 else row.route,
        duration_h=duration_h,
        interval_h=row.ii_h or None,
        additional=row.addl,
        steady_state=row.ss > 0,
        reset=row.evid == 4 or row.ss == 1,
    )


def _duration_h(row: DataRow) -> float:
    """From RATE or DUR; both must agree where both are given."""
    if row.rate_mg_h < 0.0 or row.duration_h < 0.0:
        raise _refused(row, "a negative RATE or DUR stands for a parameter, which this engine does not estimate")
    if row.rate_mg_h == 0.0 and row.duration_h == 0.0:
        return 0.0
    if row.amt_mg <= 0.0:
        raise _refused(row, "an infusion needs an AMT: one without end is not known here")
    if row.route.is_absorbed:
        raise _refused(row, "an infusion into the gut (zero-order absorption) is not known here")
    by_rate = row.amt_mg / row.rate_mg_h if row.rate_mg_h > 0.0 else row.duration_h
    if row.duration_h > 0.0 and abs(by_rate - row.duration_h) > _RELATIVE * row.duration_h:
        raise _refused(row, f"AMT / RATE is {by_rate:g} h but DUR is {row.duration_h:g} h")
    return by_rate


def _refused(row: DataRow, reason: str) -> BadInput:
    return BadInput(f"The row at {row.time_h:g} h cannot be used: {reason}.")
