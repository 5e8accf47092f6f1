"""Normal, prediabetes and type 2 diabetes: the meal simulation model of Dalla Man and colleagues with own insulin.

Gut [1, 2], with Q = Qsto1 + Qsto2 and D the stomach's content when the meal began plus what was eaten since:

    Qsto1' = -kmax Qsto1 + d                                     d: carbohydrate eaten [mg/min]
    Qsto2' =  kmax Qsto1 - kempt Qsto2
    Qgut'  =  kempt Qsto2 - kabs Qgut                            Ra = f kabs Qgut / BW
    kempt  =  kmin + (kmax - kmin)/2 {tanh[aD (Q/D - b)] - tanh[cD (Q/D - d)] + 2}

Glucose [1]:

    Gp' = max(EGP, 0) + Ra - Fcns - E - k1 Gp + k2 Gt            EGP = kp1 - kp2 Gp - kp3 Id - kp4 Ipo
    Gt' = -Uid + k1 Gp - k2 Gt                                   Uid = (Vm0 + Vmx X) Gt / (Km0 + Gt)
    E   = ke1 max(Gp - ke2, 0)
    Gs' = ksc (Gp - Gs)                                          G = Gp / VG, sensed = Gs / VG

Insulin [1], and under the skin [3]:

    Il' = -(m1 + m3) Il + m2 Ip + S                              m3 = HE m1 / (1 - HE), HE = max(m6 - m5 S, 0)
    Ip' = -(m2 + m4) Ip + m1 Il + ka1 Isc1 + ka2 Isc2            I = Ip / VI
    X'  = -p2u (X - (I - Ib));  I1' = -ki (I1 - I);  Id' = -ki (Id - I1)
    Isc1' = u - (ka1 + kd) Isc1;  Isc2' = kd Isc1 - ka2 Isc2     u: insulin injected [pmol/kg/min]

Secretion [1]:

    S = gamma Ipo;  Ipo' = -gamma Ipo + Spo                      Spo = Y + Sb + K max(G', 0) + Kfall min(G', 0), >= 0
    Y' = -alpha [Y - max(beta (G - Gb), -Sb)]                    G': the model's own Gp' / VG

The basal state is solved, never read: Sb = (m6 - HEb)/m5; Ipb = Sb (1 - HEb)/(m4 + HEb m2); Ipob = Sb/gamma; Gpb is
the positive root of [kp1' - cGp] (Km0 + Gt) = Vm0 Gt with Gt = (k1 Gp - [kp1' - cGp])/k2, a quadratic, once without
and once with excretion; the lower root holds. Gb = Gpb/VG is the threshold of secretion, as in [1].

Choices: the grinding rate kgri equals kmax (so in [1]). [1] tabulates the steepnesses a and c for its meal, BIOMD
0000000379 derives them from it, as 5/(2D(1 - b)) and 5/(2Dd); here aD and cD are a and c times the 78 g of that meal,
so that the table holds for it and other meals scale. A fall of glucose takes back no secretion (Kfall = 0, so [1]);
BIOMD0000000379 lets it (Kfall = K), with insulin peaking 30 pmol/L lower. Below a twentieth of basal glucose Fcns falls
linearly to zero, so that glucose cannot become negative. `sensitivity` multiplies kp3, kp4 and Vmx. A planned meal, one
that a what-if asks about, empties from a stomach of its own (Qp1, Qp2), as in `uva_padova_t1d`.

Two drugs are switches among the parameters: `kp1_share` (as metformin) and `RTG_fall` (as an SGLT2 inhibitor, which
lowers the renal threshold). Both move the basal state, and the threshold of secretion with it: long treatment, not a
first dose. Metformin lowered production by 24 % and fasting glucose by 30 % [5]; here, in the type 2 column, 0.9 lowers
glucose by 30 % and production by 13 %. With the ke1 of [1] (8 mL/min, far below what kidneys filter) `RTG_fall` = 120
loses 11 g of glucose on a day with one meal of 78 g, where 68 g are measured [6]: the model understates these drugs.

Valid for: average adults without diabetes, with prediabetes or with type 2 diabetes; meals of carbohydrate; added
insulin under the skin.
Left out: incretins, free fatty acids, glucagon, exercise, loss of beta cells over time; long-acting insulin comes in as
`appearing_u_min`.

References
----------
[1] Dalla Man, Rizza, Cobelli 2007, IEEE Trans Biomed Eng 54(10):1740, doi 10.1109/TBME.2007.893506; table 1. The table
    as read in two open implementations, which agree, and BioModels BIOMD0000000379 (CC0) for the normal column.
[2] Dalla Man, Camilleri, Cobelli 2006, IEEE Trans Biomed Eng 53(12):2472, doi 10.1109/TBME.2006.883792.
[3] Dalla Man, Raimondo, Rizza, Cobelli 2007 (GIM), J Diabetes Sci Technol 1(3):323.
[4] BIOMD0000000379, DallaMan2007_MealModel_GlucoseInsulinSystem, BioModels.
[5] Hundal et al. 2000, Diabetes 49(12):2063.
[6] Meta-analysis of urinary glucose under SGLT2 inhibitors 2022, Front Endocrinol 12:814074, normal renal function.
"""

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from twin_core.domain.errors import OutOfRange
from twin_core.domain.models import Balance, OdeModel, Quantity, State
from twin_core.domain.units import PMOL_PER_UNIT_OF_INSULIN

LEAST_UPTAKE = 0.1
"""What fasting production exceeds Fcns by at the least, of Fcns, so that there is a basal state."""

LEAST_EXTRACTION_SPAN = 0.01
"""What m6 exceeds HEb by at the least, so that there is basal secretion."""

STATES = (
    State("Qsto1", "mg", "carbohydrate in the stomach, solid"),
    State("Qsto2", "mg", "carbohydrate in the stomach, ground"),
    State("Qgut", "mg", "carbohydrate in the intestine"),
    State("Gp", "mg/kg", "glucose in plasma and fast tissue"),
    State("Gt", "mg/kg", "glucose in slow tissue"),
    State("Ip", "pmol/kg", "insulin in plasma"),
    State("Il", "pmol/kg", "insulin in the liver"),
    State("Ipo", "pmol/kg", "insulin in the portal vein"),
    State("Y", "pmol/kg/min", "secretion that follows glucose"),
    State("X", "pmol/L", "insulin acting on uptake, above basal"),
    State("I1", "pmol/L", "insulin acting on the liver, first delay"),
    State("Id", "pmol/L", "insulin acting on the liver, second delay"),
    State("Isc1", "pmol/kg", "insulin under the skin, as injected"),
    State("Isc2", "pmol/kg", "insulin under the skin, monomeric"),
    State("Gs", "mg/kg", "glucose under the skin"),
    State("Q0", "mg", "content of the stomach when the meal began"),
    State("Qp1", "mg", "carbohydrate of planned meals in their own stomach, solid"),
    State("Qp2", "mg", "carbohydrate of planned meals in their own stomach, ground"),
)

OUTPUTS = (
    State("glucose_mg_dl", "mg/dL", "sensed glucose, under the skin"),
    State("plasma_glucose_mg_dl", "mg/dL", "plasma glucose"),
    State("plasma_insulin_pmol_l", "pmol/L", "plasma insulin"),
)

_EFFECT = "mg*L/(kg*min*pmol)"
"""Glucose flow per insulin concentration."""
_SECRETED = "pmol*dL/(kg*mg)"
"""Insulin secreted per rise of glucose."""
_TABLE = "[1] table 1, type 2"


class Parameters(NamedTuple):
    """One person. The default is the published mean in type 2 diabetes; `NORMAL` is that without diabetes."""

    BW: Annotated[float, Quantity("kg", 3.0, 250.0, "body weight", "[4], normal; taken for type 2")] = 78.0
    VG: Annotated[float, Quantity("dL/kg", 0.5, 5.0, "volume of glucose", _TABLE)] = 1.49
    k1: Annotated[float, Quantity("1/min", 0.005, 0.6, "glucose, plasma to tissue", _TABLE)] = 0.042
    k2: Annotated[float, Quantity("1/min", 0.005, 0.8, "glucose, tissue to plasma", _TABLE)] = 0.071
    VI: Annotated[float, Quantity("L/kg", 0.01, 0.3, "volume of insulin", _TABLE)] = 0.04
    m1: Annotated[float, Quantity("1/min", 0.01, 1.5, "insulin, liver to plasma", _TABLE)] = 0.379
    m2: Annotated[float, Quantity("1/min", 0.02, 2.5, "insulin, plasma to liver", _TABLE)] = 0.673
    m4: Annotated[float, Quantity("1/min", 0.01, 1.5, "insulin cleared in the periphery", _TABLE)] = 0.269
    m5: Annotated[float, Quantity("min*kg/pmol", 0.005, 0.5, "secretion lowers the liver's extraction", _TABLE)] = (
        0.0526
    )
    m6: Annotated[float, Quantity("1", 0.3, 0.99, "share extracted without secretion", _TABLE)] = 0.8118
    HEb: Annotated[float, Quantity("1", 0.05, 0.95, "share of insulin that the liver extracts, basal", _TABLE)] = 0.6
    kmax: Annotated[float, Quantity("1/min", 0.005, 0.5, "fastest emptying of the stomach", _TABLE)] = 0.0465
    kmin: Annotated[float, Quantity("1/min", 0.0005, 0.1, "slowest emptying of the stomach", _TABLE)] = 0.0076
    kabs: Annotated[float, Quantity("1/min", 0.002, 3.0, "absorption from the intestine", _TABLE)] = 0.023
    f: Annotated[float, Quantity("1", 0.3, 1.0, "share of carbohydrate that reaches the plasma", _TABLE)] = 0.90
    aD: Annotated[
        float, Quantity("1", 1.0, 100.0, "steepness with which emptying slows", f"{_TABLE}: a = 0.00006/mg times 78 g")
    ] = 4.68
    b: Annotated[float, Quantity("1", 0.05, 0.999, "share of the meal at which emptying has slowed half", _TABLE)] = (
        0.68
    )
    cD: Annotated[
        float,
        Quantity("1", 1.0, 1000.0, "steepness with which emptying is fast again", f"{_TABLE}: c = 0.00023/mg, 78 g"),
    ] = 17.94
    d: Annotated[float, Quantity("1", 0.0005, 0.95, "share of the meal at which emptying is fast again", _TABLE)] = 0.09
    kp1: Annotated[float, Quantity("mg/kg/min", 1.0, 10.0, "production without glucose and insulin", _TABLE)] = 3.09
    kp2: Annotated[float, Quantity("1/min", 0.0001, 0.05, "glucose restrains the liver", _TABLE)] = 0.0007
    kp3: Annotated[float, Quantity(_EFFECT, 0.0002, 0.2, "insulin restrains the liver", _TABLE)] = 0.005
    kp4: Annotated[float, Quantity("mg/(min*pmol)", 0.002, 1.0, "portal insulin restrains the liver", _TABLE)] = 0.0786
    ki: Annotated[float, Quantity("1/min", 0.0005, 0.1, "delay of insulin's action on the liver", _TABLE)] = 0.0066
    Fcns: Annotated[float, Quantity("mg/kg/min", 0.1, 2.0, "uptake that needs no insulin", _TABLE)] = 1.0
    Vm0: Annotated[float, Quantity("mg/kg/min", 0.1, 30.0, "uptake at basal insulin, saturated", _TABLE)] = 4.65
    Vmx: Annotated[float, Quantity(_EFFECT, 0.001, 0.8, "insulin drives uptake", _TABLE)] = 0.034
    Km0: Annotated[float, Quantity("mg/kg", 30.0, 3000.0, "half saturation of uptake", _TABLE)] = 466.21
    p2u: Annotated[float, Quantity("1/min", 0.002, 0.5, "delay of insulin's action on uptake", _TABLE)] = 0.0840
    K: Annotated[float, Quantity(_SECRETED, 0.0, 20.0, "rising glucose releases insulin", _TABLE)] = 0.99
    Kfall: Annotated[
        float, Quantity(_SECRETED, 0.0, 20.0, "falling glucose takes secretion back", "[1]: 0; [4]: equal to K")
    ] = 0.0
    alpha: Annotated[float, Quantity("1/min", 0.001, 0.5, "delay of secretion", _TABLE)] = 0.013
    beta: Annotated[
        float, Quantity("pmol*dL/(kg*min*mg)", 0.0, 2.0, "glucose above basal drives secretion", _TABLE)
    ] = 0.05
    gamma: Annotated[float, Quantity("1/min", 0.05, 2.0, "insulin, portal vein to liver", _TABLE)] = 0.5
    ke1: Annotated[float, Quantity("1/min", 0.0, 0.01, "renal excretion", _TABLE)] = 0.0007
    ke2: Annotated[float, Quantity("mg/kg", 100.0, 1000.0, "renal threshold", _TABLE)] = 269.0
    kd: Annotated[float, Quantity("1/min", 0.001, 0.2, "insulin under the skin dissociates", "[3]")] = 0.0164
    ka1: Annotated[float, Quantity("1/min", 0.0, 0.1, "absorption of insulin as injected", "[3]")] = 0.0018
    ka2: Annotated[float, Quantity("1/min", 0.001, 0.2, "absorption of monomeric insulin", "[3]")] = 0.0182
    ksc: Annotated[float, Quantity("1/min", 0.01, 1.0, "plasma to skin glucose", "[3]: sensor lag 10 min")] = 0.1
    kp1_share: Annotated[
        float, Quantity("1", 0.8, 1.0, "what a drug as metformin leaves of kp1", "switch; see [5]")
    ] = 1.0
    RTG_fall: Annotated[
        float, Quantity("mg/dL", 0.0, 150.0, "renal threshold lowered, as by an SGLT2 inhibitor", "switch; see [6]")
    ] = 0.0


NORMAL = Parameters(
    VG=1.88,
    k1=0.065,
    k2=0.079,
    VI=0.05,
    m1=0.190,
    m2=0.484,
    m4=0.194,
    m5=0.0304,
    m6=0.6471,
    kmax=0.0558,
    kmin=0.0080,
    kabs=0.057,
    aD=10.14,
    b=0.82,
    cD=184.08,
    d=0.010,
    kp1=2.70,
    kp2=0.0021,
    kp3=0.009,
    kp4=0.0618,
    ki=0.0079,
    Vm0=2.50,
    Vmx=0.047,
    Km0=225.59,
    p2u=0.0331,
    K=2.30,
    alpha=0.050,
    beta=0.11,
    ke1=0.0005,
    ke2=339.0,
)
"""The published mean without diabetes: [1] table 1, normal; a = 0.00013/mg and c = 0.00236/mg times 78 g."""


class Inputs(NamedTuple):
    """What acts on the person during one step, constant over it."""

    carbs_mg_min: Annotated[float, Quantity("mg/min", 0.0, 5e5, "carbohydrate eaten", "schedule")] = 0.0
    eaten_mg: Annotated[float, Quantity("mg", 0.0, 5e5, "eaten of this meal, whole minutes", "schedule")] = 0.0
    insulin_u_min: Annotated[float, Quantity("U/min", 0.0, 100.0, "insulin given", "schedule")] = 0.0
    planned_mg_min: Annotated[float, Quantity("mg/min", 0.0, 5e5, "planned carbohydrate eaten", "schedule")] = 0.0
    planned_eaten_mg: Annotated[float, Quantity("mg", 0.0, 5e5, "eaten of the planned meals", "schedule")] = 0.0
    late_carbs_mg_min: Annotated[float, Quantity("mg/min", 0.0, 1e4, "glucose from protein and fat", "schedule")] = 0.0
    emptying_share: Annotated[float, Quantity("1", 0.1, 1.0, "stomach slowed by fat and fibre", "schedule")] = 1.0
    appearing_u_min: Annotated[
        float, Quantity("U/min", 0.0, 100.0, "insulin that reaches the plasma from its own depot", "schedule")
    ] = 0.0
    sensitivity: Annotated[float, Quantity("1", 0.05, 10.0, "factor of insulin's action", "schedule")] = 1.0
    production_share: Annotated[float, Quantity("1", 0.0, 3.0, "factor of glucose production", "schedule")] = 1.0
    production_added_mg_kg_min: Annotated[
        float, Quantity("mg/kg/min", 0.0, 10.0, "glucose production added, as at dawn", "schedule")
    ] = 0.0


class Basal(NamedTuple):
    """The basal state, solved from the parameters."""

    Sb: Any
    Ip: Any
    I: Any
    Ipo: Any
    Gp: Any
    Gt: Any
    kp1: Any


def severity(s: float) -> Parameters:
    """The person at one place of the way from no diabetes (0) over prediabetes (about 0.5) to type 2 diabetes (1).

    Every parameter goes from its normal to its type 2 mean on a logarithmic scale; only the ends are published.

    Raises
    ------
    OutOfRange
        `s` is not in [0, 1].
    """
    if not 0.0 <= s <= 1.0:
        raise OutOfRange("Severity", s, 0.0, 1.0, "")
    return Parameters(*(start ** (1.0 - s) * end**s for start, end in zip(NORMAL, Parameters(), strict=True)))


@register_jitable(forceinline=True)
def basal_state(p: Parameters) -> Basal:
    """The fasting state that own secretion holds; equations in the head."""
    Sb = np.maximum(p.m6 - p.HEb, LEAST_EXTRACTION_SPAN) / p.m5
    HEb = p.m6 - p.m5 * Sb
    Ip = Sb * (1.0 - HEb) / (p.m4 + HEb * p.m2)
    Ib, Ipo = Ip / p.VI, Sb / p.gamma
    held_back = p.kp3 * Ib + p.kp4 * Ipo + p.Fcns
    kp1 = np.maximum(p.kp1_share * p.kp1, held_back + LEAST_UPTAKE * p.Fcns)
    threshold = p.ke2 - p.RTG_fall * p.VG
    kept = _basal_glucose(kp1 - held_back, p.kp2, p)
    lost = _basal_glucose(kp1 - held_back + p.ke1 * threshold, p.kp2 + p.ke1, p)
    Gp = np.minimum(kept, lost)
    uptake = kp1 - held_back - p.kp2 * Gp - p.ke1 * np.maximum(Gp - threshold, 0.0)
    return Basal(Sb, Ip, Ib, Ipo, Gp, (p.k1 * Gp - uptake) / p.k2, kp1)


@register_jitable(forceinline=True)
def _basal_glucose(A: Any, c: Any, p: Any) -> Any:
    """The Gp at which A - c Gp flows through the tissue: the larger root of c g Gp^2 + B Gp - C = 0, Gt = g Gp - h."""
    g, h = (p.k1 + c) / p.k2, A / p.k2
    half = 0.5 * (c * (p.Km0 - h) + (p.Vm0 - A) * g)
    C = A * (p.Km0 - h) + p.Vm0 * h
    return (np.sqrt(half * half + c * g * C) - half) / (c * g)


@register_jitable(forceinline=True)
def emptying_rate(Q: Any, D: Any, p: Parameters) -> Any:
    """The rate kempt at which the stomach empties [1/min], with tanh as exp.

    Exponents end at 40: there e^-x is below the rounding of 1, and e^x stays far from overflow.
    """
    rising = np.exp(np.minimum(2.0 * p.aD * (Q / D - p.b), 40.0))
    falling = np.exp(np.minimum(2.0 * p.cD * (Q / D - p.d), 40.0))
    return p.kmin + (p.kmax - p.kmin) * (1.0 + (rising - falling) / ((1.0 + rising) * (1.0 + falling)))


class Fluxes(NamedTuple):
    """Where glucose comes from and goes to [mg/kg/min]."""

    produced: Any
    absorbed: Any
    needed: Any
    excreted: Any
    used: Any
    exchanged: Any


@register_jitable(forceinline=True)
def fluxes(y: Any, u: Any, p: Any, basal: Basal) -> Fluxes:
    """All flows of glucose in the body, from the state and what acts."""
    Qgut, Gp, Gt, Ipo, X, Id = y[2], y[3], y[4], y[7], y[9], y[11]
    own = basal.kp1 - p.kp2 * Gp - u.sensitivity * (p.kp3 * Id + p.kp4 * Ipo)
    return Fluxes(
        produced=np.maximum(u.production_share * own + u.production_added_mg_kg_min, 0.0),
        absorbed=p.f / p.BW * p.kabs * Qgut,
        needed=p.Fcns * np.minimum(Gp / (0.05 * basal.Gp), 1.0),
        excreted=p.ke1 * np.maximum(Gp - (p.ke2 - p.RTG_fall * p.VG), 0.0),
        used=(p.Vm0 + p.Vmx * u.sensitivity * X) * Gt / (p.Km0 + Gt),
        exchanged=p.k1 * Gp - p.k2 * Gt,
    )


@register_jitable(forceinline=True)
def secretion(Y: Any, Gp_slope: Any, p: Any, basal: Basal) -> Any:
    """Insulin that the beta cells give to the portal vein, Spo [pmol/kg/min]."""
    G_slope = Gp_slope / p.VG
    dynamic = p.K * np.maximum(G_slope, 0.0) + p.Kfall * np.minimum(G_slope, 0.0)
    return np.maximum(Y + basal.Sb + dynamic, 0.0)


@register_jitable(forceinline=True)
def _cleared_in_liver(Il: Any, Ipo: Any, p: Any) -> Any:
    """m3 Il, with the extraction that secretion lowers [pmol/kg/min]."""
    HE = np.maximum(p.m6 - p.m5 * p.gamma * Ipo, 0.0)
    return HE * p.m1 / (1.0 - HE) * Il


@register_jitable(forceinline=True)
def slopes(y: Any, u: Any, p: Any, basal: Basal) -> tuple[Any, ...]:
    """The right-hand side around a given basal state."""
    Qsto1, Qsto2, Qgut, Gp, _, Ip, Il, Ipo, Y, X, I1, Id, Isc1, Isc2, Gs, Q0, Qp1, Qp2 = y
    f = fluxes(y, u, p, basal)
    Gp_slope = f.produced + f.absorbed - f.needed - f.excreted - f.exchanged
    # a thousandth of a milligram for each kg: an empty stomach must not divide by zero
    D = np.maximum(Q0 + u.eaten_mg, 1e-3 * p.BW)
    emptied = u.emptying_share * emptying_rate(Qsto1 + Qsto2, D, p) * Qsto2
    planned_emptied = emptying_rate(Qp1 + Qp2, np.maximum(u.planned_eaten_mg, 1e-3 * p.BW), p) * Qp2
    I = Ip / p.VI
    per_unit = PMOL_PER_UNIT_OF_INSULIN / p.BW
    return (
        u.carbs_mg_min - p.kmax * Qsto1,
        p.kmax * Qsto1 - emptied,
        emptied + planned_emptied + u.late_carbs_mg_min - p.kabs * Qgut,
        Gp_slope,
        f.exchanged - f.used,
        p.m1 * Il + p.ka1 * Isc1 + p.ka2 * Isc2 + per_unit * u.appearing_u_min - (p.m2 + p.m4) * Ip,
        p.m2 * Ip + p.gamma * Ipo - p.m1 * Il - _cleared_in_liver(Il, Ipo, p),
        secretion(Y, Gp_slope, p, basal) - p.gamma * Ipo,
        p.alpha * (np.maximum(p.beta * (Gp - basal.Gp) / p.VG, -basal.Sb) - Y),
        p.p2u * (I - basal.I - X),
        p.ki * (I - I1),
        p.ki * (I1 - Id),
        per_unit * u.insulin_u_min - (p.ka1 + p.kd) * Isc1,
        p.kd * Isc1 - p.ka2 * Isc2,
        p.ksc * (Gp - Gs),
        0.0 * emptied,
        u.planned_mg_min - p.kmax * Qp1,
        p.kmax * Qp1 - planned_emptied,
    )


def rhs(t: Any, y: Any, u: Any, p: Any) -> tuple[Any, ...]:  # noqa: ARG001
    """The equations of the head; time in minutes."""
    return slopes(y, u, p, basal_state(p))


def outputs(y: Any, p: Any) -> tuple[Any, Any, Any]:
    """Sensed glucose, plasma glucose [mg/dL] and plasma insulin [pmol/L]."""
    return y[14] / p.VG, y[3] / p.VG, y[5] / p.VI


def restart(y: Any, u: Any, p: Any) -> tuple[Any, ...]:  # noqa: ARG001
    """A meal begins: what is still in the stomach counts towards its size D."""
    Qsto1, Qsto2, Qgut, Gp, Gt, Ip, Il, Ipo, Y, X, I1, Id, Isc1, Isc2, Gs, _, Qp1, Qp2 = y
    begun = Qsto1 + Qsto2
    return Qsto1, Qsto2, Qgut, Gp, Gt, Ip, Il, Ipo, Y, X, I1, Id, Isc1, Isc2, Gs, begun, Qp1, Qp2


def basal_inputs(p: Parameters) -> Inputs:  # noqa: ARG001
    """Fasting, with no insulin but the person's own."""
    return Inputs()


def steady_state(p: Parameters) -> tuple[Any, ...]:
    """The fasting state that the person's own secretion holds."""
    basal = basal_state(p)
    Il = (p.m2 + p.m4) / p.m1 * basal.Ip
    none, still = 0.0 * p.BW, 0.0 * basal.Sb
    insulin = basal.Ip, Il, basal.Ipo, still, 0.0 * basal.I, basal.I, basal.I, 0.0 * basal.Ip, 0.0 * basal.Ip
    return none, none, none, basal.Gp, basal.Gt, *insulin, basal.Gp, none, none, none


def insulin_sensitivity(p: Parameters) -> Any:
    """SI: how much more glucose is cleared for each insulin, clamped at basal glucose [dL/kg/min per pmol/L].

    Uptake rises by Vmx Gt/(Km0 + Gt), less what the emptier tissue then takes up less, and production falls by kp3;
    both over basal glucose. Portal insulin (kp4) does not count: a clamp infuses into a vein.
    """
    basal = basal_state(p)
    by_insulin = p.Vmx * basal.Gt / (p.Km0 + basal.Gt)
    by_glucose = p.Vm0 * p.Km0 / (p.Km0 + basal.Gt) ** 2
    return (by_insulin * p.k2 / (p.k2 + by_glucose) + p.kp3) * p.VG / basal.Gp


class BetaCell(NamedTuple):
    """How the beta cells answer glucose.

    Attributes
    ----------
    basal
        Basal secretion over basal glucose [pmol/kg/min per mg/dL].
    static
        Secretion for glucose above basal, `beta` [pmol/kg/min per mg/dL].
    dynamic
        Insulin released for each rise of glucose, `K` [pmol/kg per mg/dL].
    """

    basal: Any
    static: Any
    dynamic: Any


def beta_cell_responsivity(p: Parameters) -> BetaCell:
    """The beta cells' responsivities; static times `insulin_sensitivity` is a disposition index."""
    basal = basal_state(p)
    return BetaCell(basal.Sb * p.VG / basal.Gp, p.beta, p.K)


def glucose_content(y: Any, p: Any) -> Any:
    """Glucose in stomach, intestine and body [mg]; linear in the states."""
    return y[0] + y[1] + y[2] + y[16] + y[17] + p.BW * (y[3] + y[4])


def glucose_flow(y: Any, u: Any, p: Any) -> Any:
    """What enters less what leaves the whole body [mg/min]."""
    f = fluxes(y, u, p, basal_state(p))
    not_absorbed = (1.0 - p.f) * p.kabs * y[2]
    eaten = u.carbs_mg_min + u.planned_mg_min + u.late_carbs_mg_min
    return eaten - not_absorbed + p.BW * (f.produced - f.needed - f.excreted - f.used)


def insulin_content(y: Any, p: Any) -> Any:
    """Insulin in plasma, liver, portal vein and under the skin [pmol]; linear in the states."""
    return p.BW * (y[5] + y[6] + y[7] + y[12] + y[13])


def insulin_flow(y: Any, u: Any, p: Any) -> Any:
    """What is secreted and injected less what liver and periphery clear [pmol/min]."""
    Ip, Il, Ipo, Y = y[5], y[6], y[7], y[8]
    basal = basal_state(p)
    f = fluxes(y, u, p, basal)
    Gp_slope = f.produced + f.absorbed - f.needed - f.excreted - f.exchanged
    cleared = p.m4 * Ip + _cleared_in_liver(Il, Ipo, p)
    given = PMOL_PER_UNIT_OF_INSULIN * (u.insulin_u_min + u.appearing_u_min)
    return given + p.BW * (secretion(Y, Gp_slope, p, basal) - cleared)


MODEL = OdeModel(
    name="dalla_man_t2d",
    title="Dalla Man normal to type 2 diabetes",
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
    signed_states=("Y", "X"),
    balances=(
        Balance("glucose", glucose_content, glucose_flow),
        Balance("insulin", insulin_content, insulin_flow),
    ),
    references=(
        "Dalla Man, Rizza, Cobelli 2007, IEEE Trans Biomed Eng 54(10):1740, doi 10.1109/TBME.2007.893506",
        "Dalla Man, Camilleri, Cobelli 2006, IEEE Trans Biomed Eng 53(12):2472, doi 10.1109/TBME.2006.883792",
        "Dalla Man, Raimondo, Rizza, Cobelli 2007, J Diabetes Sci Technol 1(3):323",
    ),
)
