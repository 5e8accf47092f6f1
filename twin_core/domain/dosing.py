"""What dosing by levels speaks of: a measured level, a regimen to try, and when its exposure counts."""

from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from twin_core.domain.drugs import Dose, Route
from twin_core.domain.errors import BadInput, OutOfRange


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A measured concentration; with `below_quantification` it is only known to be below `concentration_mg_l`."""

    time_h: float
    concentration_mg_l: float
    below_quantification: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """The same dose every `interval_h`."""

    amount_mg: float
    interval_h: float
    route: Route
    duration_h: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.interval_h < inf:
            raise OutOfRange("interval_h", self.interval_h, 0.0, inf, "h")
        if self.duration_h > self.interval_h:
            raise BadInput(
                f"An infusion of {self.duration_h:g} h cannot repeat every {self.interval_h:g} h: shorten it or wait."
            )

    def line(self, time_h: float, count: int) -> Dose:
        """The regimen as `count` doses from `time_h` on."""
        return Dose(
            time_h=time_h,
            amount_mg=self.amount_mg,
            route=self.route,
            duration_h=self.duration_h if self.route is Route.IV_INFUSION else 0.0,
            interval_h=self.interval_h,
            additional=count - 1,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SteadyState:
    """The exposure of one interval of a regimen that has been given since ever."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FromNow:
    """The exposure after what a person has had already, when the regimen begins at a given time.

    Attributes
    ----------
    next_dose_h
        When the first dose of the regimen is given; the fit's doses before it stay, those from it on do not.
    from_h, until_h
        The hours that count; longer where one interval is longer.
    """

    next_dose_h: float
    from_h: float
    until_h: float

    def __post_init__(self) -> None:
        if not self.next_dose_h <= self.from_h < self.until_h:
            raise BadInput(
                f"The hours that count must follow the next dose: got {self.from_h:g} to {self.until_h:g} h with a "
                f"dose at {self.next_dose_h:g} h."
            )


When: TypeAlias = SteadyState | FromNow


STEADY = SteadyState()


def first_hours(next_dose_h: float, hours: float = 24.0) -> FromNow:
    """The first hours of a regimen that begins at `next_dose_h`."""
    return FromNow(next_dose_h=next_dose_h, from_h=next_dose_h, until_h=next_dose_h + hours)
