"""Numbers that act on glucose from outside the glucose model, each with its unit, its source and how sure it is."""

from enum import StrEnum
from typing import NamedTuple


class Evidence(StrEnum):
    """How well a number or an effect is founded."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"

    @property
    def meaning(self) -> str:
        """The grade in words."""
        return _MEANINGS[self]


_MEANINGS = {
    Evidence.A: "measured in people with type 1 diabetes, in several studies that agree",
    Evidence.B: "measured in people with type 1 diabetes, in one study or a prescribing information",
    Evidence.C: "indirect: other people, a dosing rule, a fitted model, or studies that do not agree",
    Evidence.D: "an assumption or a behavioural rule, not measured",
}


class Sourced(NamedTuple):
    """A number as data. "unverified" in the source: known from memory or from somebody's code, not from the paper."""

    value: float
    unit: str
    meaning: str
    source: str
    evidence: Evidence


class Effect(NamedTuple):
    """Something that a person does or undergoes, as a page shows it.

    Attributes
    ----------
    name
        As in scenarios.
    inputs
        The input columns of a glucose model through which it acts.
    statement
        One sentence: what happens.
    numbers
        Every number that it uses.
    """

    name: str
    title: str
    inputs: tuple[str, ...]
    statement: str
    numbers: tuple[Sourced, ...]

    @property
    def evidence(self) -> Evidence:
        """That of the weakest number."""
        return max(number.evidence for number in self.numbers)
