"""What a case says: one figure beside its target."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measured figure.

    Attributes
    ----------
    what
        What was measured, with its unit.
    seen, target
        The figure and what it should be, as text; an empty target for figures that are only reported.
    holds
        Whether the figure meets its target; None where there is none.
    """

    what: str
    seen: str
    target: str = ""
    holds: bool | None = None
