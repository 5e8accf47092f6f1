"""The level of a drug that a person takes, around their present."""

from dataclasses import dataclass

from twin_core.domain.history import FloatArray


@dataclass(frozen=True, kw_only=True)
class DrugLevel:
    """One drug at the person's present.

    Attributes
    ----------
    times_min
        Shape `(n,)`, 12 h back and ahead of now, in the middle of it [min since 1970 UTC].
    typical, percentiles
        Shape `(n,)` and `(5, n)`: 5, 25, 50, 75, 95 % of people, in `unit`.
    repeats_h, next_dose_min
        None for a drug that was taken once.
    virtual
        Whether the doses were made up to show something.
    """

    name: str
    title: str
    unit: str
    now_min: float
    times_min: FloatArray
    typical: FloatArray
    percentiles: FloatArray
    amount_mg: float
    repeats_h: float | None
    last_dose_min: float
    next_dose_min: float | None
    virtual: bool
    band_label: str
    """What the percentiles are."""

    @property
    def now(self) -> tuple[float, float, float]:
        """The typical level now, and the 5 and 95 % of people."""
        at = len(self.times_min) // 2
        return float(self.typical[at]), float(self.percentiles[0, at]), float(self.percentiles[-1, at])
