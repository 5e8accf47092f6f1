"""The model structures that a personal twin can have: the equations, what is assumed of people, and how to set glucose.

Two independent structures fitted to the same record show how far an answer depends on the equations. A third, weaker
one is for records without insulin.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from twin_core.domain.errors import UnknownName
from twin_core.domain.history import FloatArray
from twin_core.domain.models import OdeModel
from twin_core.inference.priors import Prior, edes_prior, hovorka_prior, population_prior
from twin_core.models.glucose import dalla_man_2014, edes, hovorka_2004

GIVEN = ("BW", "basal_u_h")
"""Parameters that are never fitted: body weight [kg] and basal insulin [U/h] are the person's own."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """A model that can be fitted to a person.

    Attributes
    ----------
    prior
        What is assumed of people; it also turns fitted coordinates into the model's parameters.
    with_glucose
        `with_glucose(states, parameters, glucose_mg_dl)`: states `(n, n_states)` whose sensed glucose is
        `glucose_mg_dl` (one number or shape `(n,)`), tissue glucose in agreement.
    starts
        Fitted parameters with the whitened values from which a fit begins once more, because of several minima.
    insulin_action
        Fitted parameters that say how strongly insulin acts; empty where the model takes none from outside.
    """

    model: OdeModel
    prior: Prior
    with_glucose: Callable[[FloatArray, Any, Any], FloatArray]
    starts: tuple[tuple[str, float], ...] = ()
    insulin_action: tuple[str, ...] = ()


def structure_named(name: str) -> Structure:
    """The structure of the model with that name.

    Raises
    ------
    UnknownName
        There is no such structure.
    """
    known = _structures()
    if name not in known:
        raise UnknownName("structure of a twin", name, known)
    return known[name]


def structure_of(parameters: Any) -> Structure:
    """The structure whose parameters these are."""
    return next(structure for structure in _structures().values() if structure.model.parameters is type(parameters))


@cache
def _structures() -> dict[str, Structure]:
    structures = (
        Structure(
            model=dalla_man_2014.MODEL,
            prior=population_prior(),
            with_glucose=_uva_padova_with_glucose,
            starts=(("c", -1.5), ("c", 1.5)),
            insulin_action=("Vmx", "kp3"),
        ),
        Structure(
            model=hovorka_2004.MODEL,
            prior=hovorka_prior(),
            with_glucose=_hovorka_with_glucose,
            insulin_action=("SIT", "SID", "SIE"),
        ),
        Structure(model=edes.MODEL, prior=edes_prior(), with_glucose=_edes_with_glucose),
    )
    return {structure.model.name: structure for structure in structures}


def _uva_padova_with_glucose(states: FloatArray, parameters: Any, glucose_mg_dl: Any) -> FloatArray:
    """Plasma and skin at the reading, tissue where it would rest at that plasma glucose and insulin action.

    A quasi-steady state: tissue follows plasma within about 1/k2 = 13 min.
    """
    Gp, Gt, X, Gs = _places(dalla_man_2014.MODEL, ("Gp", "Gt", "X", "Gs"))
    changed = states.copy()
    changed[:, Gp] = changed[:, Gs] = glucose_mg_dl * np.asarray(parameters.VG)
    changed[:, Gt] = dalla_man_2014.tissue_glucose(changed[:, Gp], changed[:, X], parameters)
    return changed


def _hovorka_with_glucose(states: FloatArray, parameters: Any, glucose_mg_dl: Any) -> FloatArray:
    """Plasma and skin at the reading, tissue where it would rest: Q2 = x1 Q1/(k12 + x2).

    A quasi-steady state: tissue follows plasma within about 1/k12 = 15 min.
    """
    Q1, Q2, x1, x2, Gs = _places(hovorka_2004.MODEL, ("Q1", "Q2", "x1", "x2", "Gs"))
    changed = states.copy()
    changed[:, Gs] = glucose_mg_dl
    changed[:, Q1] = glucose_mg_dl * np.asarray(parameters.VG)
    changed[:, Q2] = changed[:, x1] * changed[:, Q1] / (parameters.k12 + changed[:, x2])
    return changed


def _edes_with_glucose(states: FloatArray, parameters: Any, glucose_mg_dl: Any) -> FloatArray:  # noqa: ARG001
    """Plasma and skin at the reading; insulin stays."""
    changed = states.copy()
    changed[:, _places(edes.MODEL, ("G", "Gi"))] = np.reshape(glucose_mg_dl, (-1, 1))
    return changed


def _places(model: OdeModel, names: tuple[str, ...]) -> tuple[int, ...]:
    order = [state.name for state in model.states]
    return tuple(order.index(name) for name in names)
