"""What a lesson shows."""

from dataclasses import dataclass

from twin_core.domain.history import FloatArray


@dataclass(frozen=True, kw_only=True)
class EulerStep:
    """The script at one step.

    Attributes
    ----------
    times_h, concentration_mg_l, gut_mg
        Shape `(n,)`: the points as the script draws them.
    findings
        A text for each of `services.lessons.EULER_DEFECTS`.
    """

    step_h: float
    times_h: FloatArray
    concentration_mg_l: FloatArray
    gut_mg: FloatArray
    findings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EulerView:
    """The exact curves, shape `(n,)`, and the script at all steps of the slider."""

    times_h: FloatArray
    exact_mg_l: FloatArray
    gut_mg: FloatArray
    steps: tuple[EulerStep, ...]
