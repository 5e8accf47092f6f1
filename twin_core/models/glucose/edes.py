"""Meals of people who make their own insulin: the Eindhoven Diabetes Education Simulator (E-DES), for sensors only.

Gut [1], with D the stomach's content when the meal began plus what was eaten since:

    St' = d - h St                                               h = sigma k1 (-ln(St/D))^((sigma - 1)/sigma)
    Mg' = h St - k2 Mg                                           d: carbohydrate eaten [mg/min]

Glucose [1, 2]:

    G'  = gliv + k2 Mg/(VG BW) - guse - gren                     gliv = max(gb - k3 (G - Gb) - k4 beta (I - Ib), 0)
    Gi' = (G - Gi)/tau_g                                         gren = c1/(VG BW) max(G - Gth, 0)
    guse = max(gb (Km + Gb)/Gb + k5 beta (I - Ib), 0) G/(Km + G)

Insulin [1, 2]:

    I'  = max(ipnc, 0) - k7 Gb/(beta tau_i Ib) I - k9 (I - Ib)
    ipnc = [k6 (G - Gb) + k7/tau_i Gb + k8 tau_d G'] / beta

Basal: G = Gi = Gb and I = Ib, which are given. For a sensor alone four parameters are free: k1 (emptying), k5 (insulin
drives uptake), k6 (beta cells) and tau_g (lag).

Choices: [1] gives emptying of a meal of D at time 0 as sigma k1^sigma t^(sigma - 1) exp(-(k1 t)^sigma) D, a Weibull
curve of time; h is its hazard, with time read off from what is left, (k1 t)^sigma = -ln(St/D), so that meals may last
and follow each other. Glucose is in mg/dL and insulin in pmol/L; beta, 1 mmol/L for each mU/L in [1], holds the
conversion, so that k1 to k9 are the published numbers. The integral term of [1], k7/tau_i times what glucose was above
basal over the last 30 min, needs a delay; it is left out, as in both implementations that fit sensors. The floors at
zero keep liver, uptake and pancreas from running backwards. `sensitivity` multiplies k4 and k5. A planned meal, one
that a what-if asks about, has a stomach of its own (Sp).

Valid for: adults who make their own insulin, from normal to early type 2 diabetes, for some hours after a meal; to be
fitted, not to be read off: the default's glucose has no published counterpart.
Left out: injected insulin, the integral term, exercise, hypoglycaemia and its counter-regulation.

References
----------
[1] Maas et al. 2015, J Diabetes Sci Technol 9(3):694, doi 10.1177/1932296814562607; equations and constants as read in
    open implementations, of which two agree on k1 to k9, sigma and Km.
[2] Of those, the ones that fit a continuous sensor (without the integral term; the lag tau_g is theirs).
"""

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from twin_core.domain.models import Balance, OdeModel, Quantity, State

FREE = ("k1", "k5", "k6", "tau_g")
"""The parameters that a sensor alone can tell."""

STATES = (
    State("St", "mg", "carbohydrate in the stomach"),
    State("Mg", "mg", "glucose in the gut"),
    State("G", "mg/dL", "glucose in plasma"),
    State("I", "pmol/L", "insulin in plasma"),
    State("Gi", "mg/dL", "glucose under the skin"),
    State("S0", "mg", "content of the stomach when the meal began"),
    State("Sp", "mg", "carbohydrate of planned meals in their own stomach"),
)

OUTPUTS = (
    State("glucose_mg_dl", "mg/dL", "sensed glucose, under the skin"),
    State("plasma_glucose_mg_dl", "mg/dL", "plasma glucose"),
    State("plasma_insulin_pmol_l", "pmol/L", "plasma insulin"),
)


class Parameters(NamedTuple):
    """One person. The default has the published constants for a healthy adult."""

    BW: Annotated[float, Quantity("kg", 3.0, 250.0, "body weight", "[1]: 70; [2]: 75 kg")] = 70.0
    Gb: Annotated[float, Quantity("mg/dL", 50.0, 300.0, "basal glucose", "[1]: 5.0 mmol/L")] = 90.1
    Ib: Annotated[float, Quantity("pmol/L", 3.0, 600.0, "basal insulin", "[1]: 8.0 mU/L")] = 48.0
    k1: Annotated[float, Quantity("1/min", 0.002, 0.2, "emptying of the stomach", "[1]")] = 0.0135
    k2: Annotated[float, Quantity("1/min", 0.05, 2.0, "gut to plasma", "[1]")] = 0.633
    k3: Annotated[float, Quantity("1/min", 0.0, 0.05, "glucose restrains the liver", "[1]")] = 5.0e-5
    k4: Annotated[float, Quantity("1/min", 0.0, 0.02, "insulin restrains the liver", "[1]")] = 1.0e-3
    k5: Annotated[float, Quantity("1/min", 1e-4, 0.2, "insulin drives uptake", "[1]")] = 3.8e-3
    k6: Annotated[float, Quantity("1/min", 0.01, 10.0, "glucose drives secretion", "[1]")] = 0.582
    k7: Annotated[float, Quantity("1", 0.05, 10.0, "basal secretion and clearance of insulin", "[1]")] = 1.15
    k8: Annotated[float, Quantity("1/min", 0.0, 40.0, "rising glucose drives secretion", "[1]")] = 4.71
    k9: Annotated[float, Quantity("1/min", 0.0, 0.2, "insulin leaves for the tissue", "[1]")] = 0.0108
    sigma: Annotated[float, Quantity("1", 1.0, 3.0, "shape of emptying", "[1]")] = 1.35
    Km: Annotated[float, Quantity("mg/dL", 1.0, 500.0, "half saturation of uptake", "[1]: 0.63 mmol/L")] = 11.35
    beta: Annotated[
        float, Quantity("mg*L/(dL*pmol)", 1.0, 10.0, "glucose for each insulin", "[1]: 1 mmol/L for each mU/L")
    ] = 3.0026
    tau_i: Annotated[float, Quantity("min", 5.0, 200.0, "time of the integral term", "[1]")] = 31.0
    tau_d: Annotated[float, Quantity("min", 0.5, 30.0, "time of the derivative term", "[1]")] = 3.0
    tau_g: Annotated[float, Quantity("min", 0.5, 60.0, "lag of glucose under the skin", "[2]")] = 2.5
    VG: Annotated[float, Quantity("dL/kg", 0.5, 6.0, "volume of glucose", "[1]: 17/70 L/kg")] = 2.4286
    gb: Annotated[float, Quantity("mg/(dL*min)", 0.1, 4.0, "basal glucose production", "[1]: 0.043 mmol/L/min")] = (
        0.7747
    )
    c1: Annotated[float, Quantity("dL/min", 0.0, 3.0, "what the kidneys filter", "[1]: 0.1 L/min")] = 1.0
    Gth: Annotated[float, Quantity("mg/dL", 60.0, 400.0, "renal threshold", "[1]: 9 mmol/L")] = 162.14


class Inputs(NamedTuple):
    """What acts on the person during one step, constant over it."""

    carbs_mg_min: Annotated[float, Quantity("mg/min", 0.0, 5e5, "carbohydrate eaten", "schedule")] = 0.0
    eaten_mg: Annotated[float, Quantity("mg", 0.0, 5e5, "eaten of this meal, whole minutes", "schedule")] = 0.0
    planned_mg_min: Annotated[float, Quantity("mg/min", 0.0, 5e5, "planned carbohydrate eaten", "schedule")] = 0.0
    planned_eaten_mg: Annotated[float, Quantity("mg", 0.0, 5e5, "eaten of the planned meals", "schedule")] = 0.0
    late_carbs_mg_min: Annotated[float, Quantity("mg/min", 0.0, 1e4, "glucose from protein and fat", "schedule")] = 0.0
    emptying_share: Annotated[float, Quantity("1", 0.1, 1.0, "stomach slowed by fat and fibre", "schedule")] = 1.0
    sensitivity: Annotated[float, Quantity("1", 0.05, 10.0, "factor of insulin's action", "schedule")] = 1.0
    production_share: Annotated[float, Quantity("1", 0.0, 3.0, "factor of glucose production", "schedule")] = 1.0
    production_added_mg_kg_min: Annotated[
        float, Quantity("mg/kg/min", 0.0, 10.0, "glucose production added, as at dawn", "schedule")
    ] = 0.0


@register_jitable(forceinline=True)
def emptying_rate(St: Any, D: Any, p: Parameters) -> Any:
    """The rate h at which a stomach empties that holds St of D [1/min].

    The share that is left ends at 1 - 1e-6, where h would vanish and a full stomach never begin, and at 1e-30, where
    the logarithm would; both are a hundredth of a minute or less away from the curve of [1].
    """
    gone = -np.log(np.minimum(np.maximum(St / D, 1e-30), 1.0 - 1e-6))
    return p.sigma * p.k1 * gone ** ((p.sigma - 1.0) / p.sigma)


class Fluxes(NamedTuple):
    """Where plasma glucose comes from and goes to [mg/dL/min]."""

    produced: Any
    absorbed: Any
    used: Any
    excreted: Any


@register_jitable(forceinline=True)
def fluxes(y: Any, u: Any, p: Any) -> Fluxes:
    """All flows of plasma glucose, from the state and what acts."""
    _, Mg, G, I, _, _, _ = y
    acting = u.sensitivity * p.beta * (I - p.Ib)
    own = np.maximum(p.gb - p.k3 * (G - p.Gb) - p.k4 * acting, 0.0)
    return Fluxes(
        produced=u.production_share * own + u.production_added_mg_kg_min / p.VG,
        absorbed=p.k2 * Mg / (p.VG * p.BW),
        used=np.maximum(p.gb * (p.Km + p.Gb) / p.Gb + p.k5 * acting, 0.0) * G / (p.Km + G),
        excreted=p.c1 / (p.VG * p.BW) * np.maximum(G - p.Gth, 0.0),
    )


def rhs(t: Any, y: Any, u: Any, p: Any) -> tuple[Any, ...]:  # noqa: ARG001
    """The equations of the head; time in minutes."""
    St, Mg, G, I, Gi, S0, Sp = y
    f = fluxes(y, u, p)
    G_slope = f.produced + f.absorbed - f.used - f.excreted
    # a thousandth of a milligram for each kg: an empty stomach must not divide by zero
    emptied = u.emptying_share * emptying_rate(St, np.maximum(S0 + u.eaten_mg, 1e-3 * p.BW), p) * St
    planned_emptied = emptying_rate(Sp, np.maximum(u.planned_eaten_mg, 1e-3 * p.BW), p) * Sp
    secreted = (p.k6 * (G - p.Gb) + p.k7 / p.tau_i * p.Gb + p.k8 * p.tau_d * G_slope) / p.beta
    cleared = p.k7 * p.Gb / (p.beta * p.tau_i * p.Ib) * I
    return (
        u.carbs_mg_min - emptied,
        emptied + planned_emptied + u.late_carbs_mg_min - p.k2 * Mg,
        G_slope,
        np.maximum(secreted, 0.0) - cleared - p.k9 * (I - p.Ib),
        (G - Gi) / p.tau_g,
        0.0 * emptied,
        u.planned_mg_min - planned_emptied,
    )


def outputs(y: Any, p: Any) -> tuple[Any, Any, Any]:  # noqa: ARG001
    """Sensed glucose, plasma glucose [mg/dL] and plasma insulin [pmol/L]."""
    return y[4], y[2], y[3]


def restart(y: Any, u: Any, p: Any) -> tuple[Any, ...]:  # noqa: ARG001
    """A meal begins: what is still in the stomach counts towards its size D."""
    St, Mg, G, I, Gi, _, Sp = y
    return St, Mg, G, I, Gi, St, Sp


def basal_inputs(p: Parameters) -> Inputs:  # noqa: ARG001
    """Fasting."""
    return Inputs()


def steady_state(p: Parameters) -> tuple[Any, ...]:
    """The fasting state, which is given."""
    none = 0.0 * p.BW
    return none, none, p.Gb, p.Ib, p.Gb, none, none


def glucose_content(y: Any, p: Any) -> Any:
    """Glucose in stomach, gut and plasma [mg]; linear in the states."""
    return y[0] + y[1] + y[6] + p.BW * p.VG * y[2]


def glucose_flow(y: Any, u: Any, p: Any) -> Any:
    """What enters less what leaves [mg/min]."""
    f = fluxes(y, u, p)
    eaten = u.carbs_mg_min + u.planned_mg_min + u.late_carbs_mg_min
    return eaten + p.BW * p.VG * (f.produced - f.used - f.excreted)


MODEL = OdeModel(
    name="edes",
    title="E-DES, own insulin, for sensors",
    organ="glucose",
    time_unit="min",
    states=STATES,
    output_states=OUTPUTS,
    parameters=Parameters,
    inputs=Inputs,
    rhs=rhs,
    outputs=outputs,
    steady_state=steady_state,
    basal_inputs=basal_inputs,
    restart=restart,
    balances=(Balance("glucose", glucose_content, glucose_flow),),
    references=("Maas et al. 2015, J Diabetes Sci Technol 9(3):694, doi 10.1177/1932296814562607",),
)
