"""A drug together with what it becomes: chains of parent and metabolite, exact by `linear`.

A part of the parent's clearance forms the metabolite, at once or through one transit stage; the metabolite has one or
two compartments of its own. The parent's curve is the same with and without its metabolites.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from twin_core.domain.drugs import METABOLITE_PARAMETERS, PK_QUANTITIES, Dose, Structure
from twin_core.domain.errors import BadInput, OutOfRange, UnknownName
from twin_core.domain.history import FloatArray
from twin_core.models.pk.compartments import check_parameters
from twin_core.models.pk.linear import Course, amounts, connect, system_of

_ROUNDING = 1e-9


def metabolite_concentrations(
    structure: Structure,
    parameters: Mapping[str, ArrayLike],
    metabolites: Sequence[Mapping[str, ArrayLike]],
    doses: Sequence[Dose],
    times_h: ArrayLike,
) -> FloatArray:
    """Concentrations of metabolites in their central compartments, as mg of parent per L.

    Parameters
    ----------
    parameters
        Of the parent, as for `compartments.concentration`.
    metabolites
        For each one its parameters, by the names of `METABOLITE_PARAMETERS`, numbers or `(n_people,)`.

    Returns
    -------
    FloatArray
        Shape `(n_people, n_metabolites, n_times)` [mg of parent/L]; times the ratio of molar masses: of metabolite.

    Raises
    ------
    BadInput
        If the metabolites take more than the parent's clearance; besides all that `compartments.concentration` raises.
    """
    parent = check_parameters(structure, parameters, doses)
    each = [_checked(metabolite) for metabolite in metabolites]
    n = max(len(parent["V1_L"]), *(len(p["V1_L"]) for p in each))
    parent = {name: np.broadcast_to(column, (n, 1)) for name, column in parent.items()}
    each = [{name: np.broadcast_to(column, (n, 1)) for name, column in p.items()} for p in each]
    formed = sum((p["formation_L_h"] for p in each), np.zeros((n, 1)))
    if np.any(formed > parent["CL_L_h"] * (1.0 + _ROUNDING)):
        raise BadInput("The metabolites form faster than the parent is cleared: formation_L_h must add up to CL_L_h.")
    sizes = [1 + ("k_transit_h" in p) + ("Q2_L_h" in p) for p in each]
    system = system_of(structure, parent, extra=sum(sizes))
    first = system.rates.shape[-1] - 1 - sum(sizes)
    places = []
    for p, size in zip(each, sizes, strict=True):
        places.append(_attach(system.rates, system.central, first, parent["V1_L"], p))
        first += size
    times = np.asarray(times_h, dtype=float)
    held = amounts(Course(systems=[system], changes_h=np.empty(0)), doses, times)
    volumes = np.stack([p["V1_L"] for p in each], axis=1)
    return np.asarray(held[:, :, places].transpose(0, 2, 1) / volumes)


def _checked(metabolite: Mapping[str, ArrayLike]) -> dict[str, FloatArray]:
    for name in metabolite:
        if name not in METABOLITE_PARAMETERS:
            raise UnknownName("parameter of a metabolite", name, METABOLITE_PARAMETERS)
    columns = {name: np.asarray(value, dtype=float).reshape(-1, 1) for name, value in metabolite.items()}
    for name, column in columns.items():
        quantity = PK_QUANTITIES[name]
        if not np.all((quantity.low <= column) & (column <= quantity.high)):
            raise OutOfRange(name, float(column.flat[0]), quantity.low, quantity.high, quantity.unit)
    return columns


def _attach(rates: FloatArray, parent: int, first: int, V_parent: FloatArray, p: Mapping[str, FloatArray]) -> int:
    """Put a metabolite's compartments from place `first` on; its central place."""
    formed = (p["formation_L_h"] / V_parent)[:, 0]
    rates[:, first, parent] += formed
    rates[:, -1, parent] = np.maximum(rates[:, -1, parent] - formed, 0.0)
    central = first
    if "k_transit_h" in p:
        central = first + 1
        connect(rates, first, central, p["k_transit_h"][:, 0])
    connect(rates, central, None, (p["CL_L_h"] / p["V1_L"])[:, 0])
    if "Q2_L_h" in p:
        connect(rates, central, central + 1, (p["Q2_L_h"] / p["V1_L"])[:, 0])
        connect(rates, central + 1, central, (p["Q2_L_h"] / p["V2_L"])[:, 0])
    return central
