"""How a model is declared: one file, one value (`MODEL`), no class hierarchy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args, get_type_hints

from twin_core.domain.errors import OutOfRange, UnknownName


class State(NamedTuple):
    """A state of a model: symbol as in the paper, unit, meaning."""

    name: str
    unit: str
    meaning: str


class Quantity(NamedTuple):
    """What a parameter or input is: stands in its type, `Annotated[float, Quantity(...)]`."""

    unit: str
    low: float
    high: float
    meaning: str
    source: str


def quantities(fields: type) -> dict[str, Quantity]:
    """The declared quantity of every field of a `Parameters` or `Inputs` NamedTuple, by name."""
    hints = get_type_hints(fields, include_extras=True)
    return {name: next(note for note in get_args(hint) if isinstance(note, Quantity)) for name, hint in hints.items()}


class Balance(NamedTuple):
    """A conserved substance: `content(y, p)`, linear in `y`, changes by `flow(y, u, p)` and by nothing else."""

    name: str
    content: Callable[..., Any]
    flow: Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class OdeModel:
    """A system of ordinary differential equations, written once and run on floats, arrays and compiled.

    Attributes
    ----------
    rhs
        `rhs(t, y, u, p) -> tuple` of derivatives in the order of `states`; `t` in `time_unit`.
    outputs
        `outputs(y, p) -> tuple` in the order of `output_states`.
    steady_state
        `steady_state(p) -> tuple` of states at which `rhs` vanishes for `basal_inputs(p)`.
    basal_inputs
        `basal_inputs(p) -> Inputs` that hold the steady state.
    restart
        `restart(y, u, p) -> tuple`, applied to the state where the schedule marks a step (a meal begins), or None.
    signed_states
        Names of the states that may be negative; all others stay at or above zero.
    balances
        Substances whose amount the conformance kit checks.
    """

    name: str
    title: str
    organ: str
    time_unit: str
    states: tuple[State, ...]
    output_states: tuple[State, ...]
    parameters: type
    inputs: type
    rhs: Callable[..., tuple[Any, ...]]
    outputs: Callable[..., tuple[Any, ...]]
    steady_state: Callable[[Any], tuple[float, ...]]
    basal_inputs: Callable[[Any], Any]
    references: tuple[str, ...]
    restart: Callable[..., tuple[Any, ...]] | None = None
    signed_states: tuple[str, ...] = ()
    balances: tuple[Balance, ...] = ()

    def parameters_with(self, values: Mapping[str, float]) -> Any:
        """The default parameters with some replaced; an unknown name or a value out of range is refused."""
        declared = quantities(self.parameters)
        for name, value in values.items():
            if name not in declared:
                raise UnknownName(f"parameter of {self.name}", name, declared)
            quantity = declared[name]
            if not quantity.low <= value <= quantity.high:
                raise OutOfRange(name, value, quantity.low, quantity.high, quantity.unit)
        return self.parameters(**values)
