"""Type 1 diabetes: the meal simulation model of Dalla Man and colleagues with subcutaneous insulin (UVA/Padova).

Gut [1, 2], with Q = Qsto1 + Qsto2 and D the stomach's content when the meal began plus what was eaten since:

    Qsto1' = -kmax Qsto1 + d                                     d: carbohydrate eaten [mg/min]
    Qsto2' =  kmax Qsto1 - kempt Qsto2
    Qgut'  =  kempt Qsto2 - kabs Qgut                            Ra = f kabs Qgut / BW
    kempt  =  kmin + (kmax - kmin)/2 {tanh[5 (Q - b D)/(2 D (1 - b))] - tanh[5 (Q - c D)/(2 D c)] + 2}

Glucose [1]:

    Gp' = max(EGP, 0) + Ra - Fcns - E - k1 Gp + k2 Gt            EGP = kp1 - kp2 Gp - kp3 XL
    Gt' = -Uid + k1 Gp - k2 Gt                                   Uid = max(Vm0 + Vmx X, 0) Gt / (Km0 + Gt)
    E   = ke1 max(Gp - ke2, 0)
    Gs' = ksc (Gp - Gs)                                          glucose = Gp / VG, sensed = Gs / VG

Insulin [1, 3]:

    Ip' = -(m2 + m4) Ip + m1 Il + ka1 Isc1 + ka2 Isc2            I = Ip / VI
    Il' = -(m1 + m30) Il + m2 Ip                                 m30 = HEb m1 / (1 - HEb)
    X'  = -p2u (X - (I - Ib));  I1' = -ki (I1 - I);  XL' = -ki (XL - I1)
    Isc1' = u - (ka1 + kd) Isc1;  Isc2' = kd Isc1 - ka2 Isc2     u: insulin given [pmol/kg/min]

The basal state is solved, never read: Gpb = Gb VG; Ipb from the basal insulin rate; Ib = Ipb / VI;
Gtb = (k1 Gpb - (EGPb - Fcns - Eb)) / k2; Vm0 = (EGPb - Fcns - Eb)(Km0 + Gtb)/Gtb; kp1 = EGPb + kp2 Gpb + kp3 Ib.

Switches. Each comes as an input and changes nothing at its resting value:

    sensitivity s [5]             kp3 XL -> s kp3 XL;  Vmx X -> s Vmx X
    production P, added A [5]     EGP -> P (kp1 - kp2 Gp - s kp3 XL) + A                 dawn, alcohol
    exercise Y, Z W [6, 7]        Vm0 -> Vm0 (1 + beta Y);  X -> X + alpha Z W (X + Ib)
                                  Km0 -> Km0 (1 - gamma Z W (X + Ib)), at least Km0/10
    glucagon H [8, 9]             EGP -> EGP + EGPh H / (H50 BW + H)                     in plasma, as the liver sees it

In hypoglycaemia insulin drives more uptake [4]. The logarithms halve the speed (2,800 instead of 5,800 patient-days a
CPU second), so this switch is a model of its own, `S2013`, of the same equations:

    X -> X (1 + r1 risk);  risk = 10 [ln(G)^r2 - ln(Gb)^r2]^2,  G = Gp/VG in mg/dL, held between Gth and Gb

So written the risk is zero at the person's own Gb, rises from there without a jump, and is frozen below Gth. With the
fixed 5.381 of the symmetrised glucose scale for ln(Gb)^r2 it would jump at Gb, the more the further Gb is from
112.5 mg/dL. The logarithm is taken of 60 G/Gth, which is G in mg/dL for the published Gth of 60.

Choices: the grinding rate kgri equals kmax (so in every published set); `eaten_mg` grows at the begin of each whole
minute of a meal by that minute's mouthful, as simglucose 0.2.11 (MIT) does it; tanh is written with exp, to which it
is identical (tanh x = 1 - 2/(e^2x + 1)); below a twentieth of basal glucose (about 6 mg/dL) Fcns falls linearly to
zero, so that glucose cannot become negative; tissue gives no glucose back (Uid >= 0) and takes up at most the share
kut of what it holds in a minute, so that steps of a minute stay stable under any dose (10,000 people drawn from the
prior stay below 0.3 on a day of three meals, simglucose's thirty below 0.6).

A planned meal, one that a what-if asks about, empties from a stomach of its own (Qp1, Qp2, with D what was eaten of
it). In the published equations a snack changes how fast the meal before it empties: kempt depends on Q/D, which jumps
to 1 when eating begins again, so that 1 g can raise glucose by 50 mg/dL now and lower it by 50 later (measured). That
answers no question; with a stomach of its own a planned meal only ever adds, in proportion as it goes to 0.

Valid for: adults, adolescents and children with type 1 diabetes; meals of carbohydrate; insulin under the skin.
Left out: glucagon that the body makes itself [4], endogenous insulin, and a scaling of the stomach to 30 g that one
reader of the commercial simulator reports.

References
----------
[1] Dalla Man, Rizza, Cobelli 2007, IEEE Trans Biomed Eng 54(10):1740, doi 10.1109/TBME.2007.893506; table 1.
[2] Dalla Man, Camilleri, Cobelli 2006, IEEE Trans Biomed Eng 53(12):2472, doi 10.1109/TBME.2006.883792.
[3] Dalla Man, Raimondo, Rizza, Cobelli 2007 (GIM), J Diabetes Sci Technol 1(3):323.
[4] Dalla Man et al. 2014 (S2013), J Diabetes Sci Technol 8(1):26.
[5] Visentin et al. 2018 (S2017), J Diabetes Sci Technol 12(2):273.
[6] Breton 2008, J Diabetes Sci Technol 2(1):169, doi 10.1177/193229680800200127.
[7] Dalla Man, Breton, Cobelli 2009, J Diabetes Sci Technol 3(1):56, doi 10.1177/193229680900300107, equation (12).
[8] Wendt et al. 2017, J Diabetes Sci Technol 11(6):1101: glucagon raises production to a limit.
[9] El Youssef et al. 2014, Diabetes Care 37(11):3054, doi 10.2337/dc14-0803: 175 ug under the skin add 112 +- 152 mg/kg
    in an hour at low insulin, 25 ug 5 +- 68.
[10] Mean of the ten adults of the 2008 academic simulator, as summarised in simglucose 0.2.11's parameter file.
[11] ReplayBG 1.4.0, which takes r1 and r2 as fixed numbers of [4].
[12] LoopInsighT1, the file UvaPadova_Breton2008, which cites its numbers from [7].
"""

from collections import namedtuple
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from twin_core.domain.models import Balance, OdeModel, Quantity, State
from twin_core.domain.units import PMOL_PER_UNIT_OF_INSULIN

STATES = (
    State("Qsto1", "mg", "carbohydrate in the stomach, solid"),
    State("Qsto2", "mg", "carbohydrate in the stomach, ground"),
    State("Qgut", "mg", "carbohydrate in the intestine"),
    State("Gp", "mg/kg", "glucose in plasma and fast tissue"),
    State("Gt", "mg/kg", "glucose in slow tissue"),
    State("Ip", "pmol/kg", "insulin in plasma"),
    State("Il", "pmol/kg", "insulin in the liver"),
    State("X", "pmol/L", "insulin acting on uptake, above basal"),
    State("I1", "pmol/L", "insulin acting on the liver, first delay (I' of [1])"),
    State("XL", "pmol/L", "insulin acting on the liver, second delay"),
    State("Isc1", "pmol/kg", "insulin under the skin, as injected"),
    State("Isc2", "pmol/kg", "insulin under the skin, monomeric"),
    State("Gs", "mg/kg", "glucose under the skin"),
    State("Q0", "mg", "content of the stomach when the meal began"),
    State("Qp1", "mg", "carbohydrate of planned meals in their own stomach, solid"),
    State("Qp2", "mg", "carbohydrate of planned meals in their own stomach, ground"),
)

THRESHOLD = 60.0
"""Glucose [mg/dL] below which the risk of [4] no longer rises."""

OUTPUTS = (
    State("glucose_mg_dl", "mg/dL", "sensed glucose, under the skin"),
    State("plasma_glucose_mg_dl", "mg/dL", "plasma glucose"),
    State("plasma_insulin_pmol_l", "pmol/L", "plasma insulin"),
)

_EFFECT = "mg*L/(kg*min*pmol)"
"""Glucose flow per insulin concentration."""
_TABLE = "[1] table 1, normal"
_RISK = "[4] equation A12, numbers of [11], unverified in the paper"
_EXERCISE = "[7] model C, numbers of [12], unverified in the paper"
_HALF = "solved for [9]: 112 mg/kg in the first hour after 175 ug, 80 kg, with the kinetics of the schedule"


class Parameters(NamedTuple):
    """One person. The default is the published mean of the healthy adult with the subcutaneous insulin of [3]."""

    BW: Annotated[float, Quantity("kg", 3.0, 250.0, "body weight", "[10]: adults 86.1 +- 16.6 kg")] = 86.1
    Gb: Annotated[float, Quantity("mg/dL", 50.0, 300.0, "basal glucose", "[4]: drawn around 120")] = 120.0
    EGPb: Annotated[
        float, Quantity("mg/kg/min", 1.05, 8.0, "basal glucose production", "[4]: 2.4 in type 1 diabetes")
    ] = 2.4
    basal_u_h: Annotated[
        float, Quantity("U/h", 0.01, 20.0, "basal insulin that holds Gb", "[10]: adults 1.252 +- 0.236 U/h")
    ] = 1.252
    VG: Annotated[float, Quantity("dL/kg", 0.5, 5.0, "volume of glucose", _TABLE)] = 1.88
    k1: Annotated[float, Quantity("1/min", 0.005, 0.6, "glucose, plasma to tissue", _TABLE)] = 0.065
    k2: Annotated[float, Quantity("1/min", 0.005, 0.8, "glucose, tissue to plasma", _TABLE)] = 0.079
    VI: Annotated[float, Quantity("L/kg", 0.01, 0.3, "volume of insulin", _TABLE)] = 0.05
    m1: Annotated[float, Quantity("1/min", 0.01, 1.5, "insulin, liver to plasma", _TABLE)] = 0.190
    m2: Annotated[float, Quantity("1/min", 0.02, 2.5, "insulin, plasma to liver", _TABLE)] = 0.484
    m4: Annotated[float, Quantity("1/min", 0.01, 1.5, "insulin cleared in the periphery", f"{_TABLE}; 0.4 m2")] = 0.194
    HEb: Annotated[float, Quantity("1", 0.05, 0.95, "share of insulin that the liver extracts", _TABLE)] = 0.6
    kmax: Annotated[float, Quantity("1/min", 0.005, 0.5, "fastest emptying of the stomach", _TABLE)] = 0.0558
    kmin: Annotated[float, Quantity("1/min", 0.0005, 0.1, "slowest emptying of the stomach", _TABLE)] = 0.0080
    kabs: Annotated[float, Quantity("1/min", 0.002, 3.0, "absorption from the intestine", _TABLE)] = 0.057
    f: Annotated[float, Quantity("1", 0.3, 1.0, "share of carbohydrate that reaches the plasma", _TABLE)] = 0.90
    b: Annotated[float, Quantity("1", 0.05, 0.999, "share of the meal at which emptying has slowed half", "[2]")] = 0.69
    c: Annotated[float, Quantity("1", 0.0005, 0.95, "share of the meal at which emptying is fast again", "[2]")] = 0.17
    Fcns: Annotated[float, Quantity("mg/kg/min", 0.1, 2.0, "uptake that needs no insulin", _TABLE)] = 1.0
    ke1: Annotated[float, Quantity("1/min", 0.0, 0.01, "renal excretion", _TABLE)] = 0.0005
    ke2: Annotated[float, Quantity("mg/kg", 100.0, 1000.0, "renal threshold", _TABLE)] = 339.0
    kp2: Annotated[float, Quantity("1/min", 0.0001, 0.05, "glucose restrains the liver", _TABLE)] = 0.0021
    kp3: Annotated[float, Quantity(_EFFECT, 0.0002, 0.2, "insulin restrains the liver", _TABLE)] = 0.009
    ki: Annotated[float, Quantity("1/min", 0.0005, 0.1, "delay of insulin's action on the liver", _TABLE)] = 0.0079
    Vmx: Annotated[float, Quantity(_EFFECT, 0.001, 0.8, "insulin drives uptake", _TABLE)] = 0.047
    Km0: Annotated[float, Quantity("mg/kg", 30.0, 1500.0, "half saturation of uptake", _TABLE)] = 225.59
    p2u: Annotated[float, Quantity("1/min", 0.002, 0.5, "delay of insulin's action on uptake", _TABLE)] = 0.0331
    kd: Annotated[float, Quantity("1/min", 0.001, 0.2, "insulin under the skin dissociates", "[3]")] = 0.0164
    ka1: Annotated[float, Quantity("1/min", 0.0, 0.1, "absorption of insulin as injected", "[3]")] = 0.0018
    ka2: Annotated[float, Quantity("1/min", 0.001, 0.2, "absorption of monomeric insulin", "[3]")] = 0.0182
    ksc: Annotated[float, Quantity("1/min", 0.01, 1.0, "plasma to skin glucose", "[3]: sensor lag 10 min")] = 0.1
    kut: Annotated[
        float, Quantity("1/min", 0.1, 1.0, "most of its glucose that tissue takes up", "chosen, see the head")
    ] = 1.0
    alpha: Annotated[float, Quantity("1", 0.0, 0.003, "exercise strengthens insulin, lasting", _EXERCISE)] = 3e-4
    beta: Annotated[float, Quantity("min", 0.0, 0.1, "exercise drives uptake at once", _EXERCISE)] = 0.01
    gamma: Annotated[float, Quantity("L/pmol", 0.0, 1e-6, "exercise lowers half saturation", _EXERCISE)] = 1e-7
    EGPh: Annotated[float, Quantity("mg/kg/min", 0.0, 20.0, "most that glucagon adds", "[8], unverified")] = 8.2
    H50: Annotated[float, Quantity("mg/kg", 1e-5, 1e-2, "plasma glucagon of half effect", _HALF)] = 5.4e-4


class Inputs(NamedTuple):
    """What acts on the person during one step, constant over it."""

    carbs_mg_min: Annotated[float, Quantity("mg/min", 0.0, 5e5, "carbohydrate eaten", "schedule")] = 0.0
    eaten_mg: Annotated[float, Quantity("mg", 0.0, 5e5, "eaten of this meal, whole minutes", "schedule")] = 0.0
    insulin_u_min: Annotated[float, Quantity("U/min", 0.0, 100.0, "insulin given", "schedule")] = 0.0
    planned_mg_min: Annotated[float, Quantity("mg/min", 0.0, 5e5, "planned carbohydrate eaten", "schedule")] = 0.0
    planned_eaten_mg: Annotated[float, Quantity("mg", 0.0, 5e5, "eaten of the planned meals", "schedule")] = 0.0
    own_basal: Annotated[float, Quantity("1", 0.0, 1.0, "share of the person's own basal that runs", "schedule")] = 1.0
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
    exertion_per_min: Annotated[float, Quantity("1/min", 0.0, 250.0, "exercise now: Y of [7]", "schedule")] = 0.0
    exertion_lasting: Annotated[float, Quantity("1", 0.0, 1e6, "exercise done: Z W of [7]", "schedule")] = 0.0
    glucagon_mg: Annotated[float, Quantity("mg", 0.0, 10.0, "injected glucagon that acts", "schedule")] = 0.0
    unexplained_mg_kg_min: Annotated[
        float, Quantity("mg/kg/min", -100.0, 100.0, "flow of glucose that no record explains", "schedule")
    ] = 0.0


class Basal(NamedTuple):
    """The basal state, solved from the parameters."""

    insulin_pmol_kg_min: Any
    Gp: Any
    Gt: Any
    Ip: Any
    I: Any
    uptake: Any
    Vm0: Any
    kp1: Any


@register_jitable(forceinline=True)
def basal_state(p: Parameters) -> Basal:
    """The state that the basal insulin holds, and the constants that make it steady; equations in the head."""
    insulin = PMOL_PER_UNIT_OF_INSULIN / 60.0 * p.basal_u_h / p.BW
    Ip = insulin / (p.m2 + p.m4 - (1.0 - p.HEb) * p.m2)
    Ib = Ip / p.VI
    Gp = p.Gb * p.VG
    uptake = p.EGPb - p.Fcns - p.ke1 * np.maximum(Gp - p.ke2, 0.0)
    Gt = (p.k1 * Gp - uptake) / p.k2
    return Basal(insulin, Gp, Gt, Ip, Ib, uptake, uptake * (p.Km0 + Gt) / Gt, p.EGPb + p.kp2 * Gp + p.kp3 * Ib)


@register_jitable(forceinline=True)
def emptying_rate(Q: Any, D: Any, p: Parameters) -> Any:
    """The rate kempt at which the stomach empties [1/min]; equation (8) of [2] with tanh as exp.

    Exponents end at 40: there e^-x is below the rounding of 1, and e^x stays far from overflow.
    """
    rising = np.exp(np.minimum(5.0 / (1.0 - p.b) * (Q / D - p.b), 40.0))
    falling = np.exp(np.minimum(5.0 / p.c * (Q / D - p.c), 40.0))
    return p.kmin + (p.kmax - p.kmin) * (1.0 + (rising - falling) / ((1.0 + rising) * (1.0 + falling)))


@register_jitable(forceinline=True)
def production(Gp: Any, XL: Any, u: Any, p: Any) -> Any:
    """Glucose that the liver makes [mg/kg/min]."""
    own = basal_state(p).kp1 - p.kp2 * Gp - p.kp3 * u.sensitivity * XL
    by_glucagon = p.EGPh * u.glucagon_mg / (p.H50 * p.BW + u.glucagon_mg)
    produced = np.maximum(u.production_share * own + u.production_added_mg_kg_min + by_glucagon, 0.0)
    return produced + np.maximum(u.unexplained_mg_kg_min, 0.0)


@register_jitable(forceinline=True)
def needed(Gp: Any, u: Any, p: Any) -> Any:
    """Glucose that is taken up without insulin [mg/kg/min]."""
    return (p.Fcns + np.maximum(-u.unexplained_mg_kg_min, 0.0)) * np.minimum(Gp / (0.05 * basal_state(p).Gp), 1.0)


@register_jitable(forceinline=True)
def unchanged(Gp: Any, p: Any) -> Any:  # noqa: ARG001
    """Insulin works in hypoglycaemia as it does elsewhere [1]."""
    return 1.0


@register_jitable(forceinline=True)
def strengthened(Gp: Any, p: Any) -> Any:
    """Insulin drives more uptake in hypoglycaemia [4]."""
    return 1.0 + p.r1 * risk(Gp / p.VG, p)


@register_jitable(forceinline=True)
def risk(G: Any, p: Any) -> Any:
    """Risk of low glucose: 0 from Gb up, frozen below Gth; [4] equation A12 with Gb for the fixed 112.5 mg/dL."""
    low = np.minimum(np.maximum(G / p.Gth, 1.0), p.Gb / p.Gth)
    return 10.0 * (np.log(THRESHOLD * low) ** p.r2 - np.log(THRESHOLD * (p.Gb / p.Gth)) ** p.r2) ** 2


def equations(strength: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Right-hand side, and glucose flow of the whole body, for a `strength(Gp, p)` of insulin in hypoglycaemia."""

    @register_jitable(forceinline=True)
    def uptake(Gp: Any, Gt: Any, X: Any, u: Any, p: Any) -> Any:
        """Glucose that insulin-dependent tissue takes up [mg/kg/min]."""
        basal = basal_state(p)
        lasting = u.exertion_lasting * (X + basal.I)
        insulin = p.Vmx * u.sensitivity * strength(Gp, p) * (X + p.alpha * lasting)
        most = np.maximum(basal.Vm0 * (1.0 + p.beta * u.exertion_per_min) + insulin, 0.0)
        half = p.Km0 * np.maximum(1.0 - p.gamma * lasting, 0.1)
        return np.minimum(most / (half + Gt), p.kut) * Gt

    def rhs(t: Any, y: Any, u: Any, p: Any) -> tuple[Any, ...]:  # noqa: ARG001
        """Equations (1) to (19) of [1] with the subcutaneous insulin of [3]; time in minutes."""
        Qsto1, Qsto2, Qgut, Gp, Gt, Ip, Il, X, I1, XL, Isc1, Isc2, Gs, Q0, Qp1, Qp2 = y
        basal = basal_state(p)
        # a thousandth of a milligram for each kg: an empty stomach must not divide by zero
        D = np.maximum(Q0 + u.eaten_mg, 1e-3 * p.BW)
        emptied = u.emptying_share * emptying_rate(Qsto1 + Qsto2, D, p) * Qsto2
        ground = p.kmax * Qsto1
        planned_emptied = emptying_rate(Qp1 + Qp2, np.maximum(u.planned_eaten_mg, 1e-3 * p.BW), p) * Qp2
        planned_ground = p.kmax * Qp1
        absorbed = p.kabs * Qgut
        excreted = p.ke1 * np.maximum(Gp - p.ke2, 0.0)
        exchanged = p.k1 * Gp - p.k2 * Gt
        I = Ip / p.VI
        injected = PMOL_PER_UNIT_OF_INSULIN * u.insulin_u_min / p.BW + u.own_basal * basal.insulin_pmol_kg_min
        appearing = PMOL_PER_UNIT_OF_INSULIN / p.BW * u.appearing_u_min
        return (
            u.carbs_mg_min - ground,
            ground - emptied,
            emptied + planned_emptied + u.late_carbs_mg_min - absorbed,
            production(Gp, XL, u, p) + p.f / p.BW * absorbed - needed(Gp, u, p) - excreted - exchanged,
            exchanged - uptake(Gp, Gt, X, u, p),
            p.m1 * Il + p.ka1 * Isc1 + p.ka2 * Isc2 + appearing - (p.m2 + p.m4) * Ip,
            p.m2 * Ip - p.m1 / (1.0 - p.HEb) * Il,
            p.p2u * (I - basal.I - X),
            p.ki * (I - I1),
            p.ki * (I1 - XL),
            injected - (p.ka1 + p.kd) * Isc1,
            p.kd * Isc1 - p.ka2 * Isc2,
            p.ksc * (Gp - Gs),
            0.0 * ground,
            u.planned_mg_min - planned_ground,
            planned_ground - planned_emptied,
        )

    def glucose_flow(y: Any, u: Any, p: Any) -> Any:
        """What enters less what leaves the whole body [mg/min], from the fluxes of [1]."""
        Gp, Gt, X, XL = y[3], y[4], y[7], y[9]
        excreted = p.ke1 * np.maximum(Gp - p.ke2, 0.0)
        not_absorbed = (1.0 - p.f) * p.kabs * y[2]
        eaten = u.carbs_mg_min + u.planned_mg_min + u.late_carbs_mg_min
        used = needed(Gp, u, p) + excreted + uptake(Gp, Gt, X, u, p)
        return eaten - not_absorbed + p.BW * (production(Gp, XL, u, p) - used)

    return rhs, glucose_flow


def outputs(y: Any, p: Any) -> tuple[Any, Any, Any]:
    """Sensed glucose, plasma glucose [mg/dL] and plasma insulin [pmol/L]."""
    return y[12] / p.VG, y[3] / p.VG, y[5] / p.VI


def restart(y: Any, u: Any, p: Any) -> tuple[Any, ...]:  # noqa: ARG001
    """A meal begins: what is still in the stomach counts towards its size D."""
    Qsto1, Qsto2, Qgut, Gp, Gt, Ip, Il, X, I1, XL, Isc1, Isc2, Gs, _, Qp1, Qp2 = y
    return Qsto1, Qsto2, Qgut, Gp, Gt, Ip, Il, X, I1, XL, Isc1, Isc2, Gs, Qsto1 + Qsto2, Qp1, Qp2


def basal_inputs(p: Parameters) -> Inputs:  # noqa: ARG001
    """Fasting, with the person's own basal insulin."""
    return Inputs()


def steady_state(p: Parameters) -> tuple[Any, ...]:
    """The fasting state that the person's own basal insulin holds."""
    basal = basal_state(p)
    Il = (1.0 - p.HEb) * p.m2 / p.m1 * basal.Ip
    Isc1 = basal.insulin_pmol_kg_min / (p.ka1 + p.kd)
    Isc2 = p.kd * Isc1 / p.ka2
    none = 0.0 * p.BW
    insulin = basal.Ip, Il, 0.0 * basal.I, basal.I, basal.I, Isc1, Isc2
    return none, none, none, basal.Gp, basal.Gt, *insulin, basal.Gp, none, none, none


def tissue_glucose(Gp: Any, X: Any, p: Parameters) -> Any:
    """The Gt at which it would rest if Gp and X stayed as they are [mg/kg].

    The positive root of k1 Gp - k2 Gt - V Gt/(Km0 + Gt) = 0 with V = max(Vm0 + Vmx X, 0).
    """
    V = np.maximum(basal_state(p).Vm0 + p.Vmx * X, 0.0)
    half = 0.5 * (p.Km0 + (V - p.k1 * Gp) / p.k2)
    return np.sqrt(half * half + p.k1 * Gp * p.Km0 / p.k2) - half


def glucose_content(y: Any, p: Any) -> Any:
    """Glucose in stomach, intestine and body [mg]; linear in the states."""
    return y[0] + y[1] + y[2] + y[14] + y[15] + p.BW * (y[3] + y[4])


class Hypoglycemia(NamedTuple):
    """What `S2013` has beyond `Parameters`."""

    r1: Annotated[float, Quantity("1", 0.0, 5.0, "low glucose strengthens insulin", _RISK)] = 1.4407
    r2: Annotated[float, Quantity("1", 0.5, 1.5, "shape of the risk of low glucose", _RISK)] = 0.8124
    Gth: Annotated[float, Quantity("mg/dL", 50.0, 70.0, "glucose below which the risk is frozen", "[4]")] = THRESHOLD


def _joined(name: str, *parts: Any) -> Any:
    """A named tuple type with the fields of all parts, in their order, with their notes and defaults."""
    notes = {field: note for part in parts for field, note in part.__annotations__.items()}
    defaults = [part._field_defaults[field] for part in parts for field in part._fields]
    joined = namedtuple(name, notes, defaults=defaults, module=__name__)  # type: ignore[misc]
    joined.__annotations__ = notes
    return joined


Parameters2013 = _joined("Parameters2013", Parameters, Hypoglycemia)


def _model(name: str, title: str, parameters: type, strength: Callable[[Any, Any], Any]) -> OdeModel:
    rhs, glucose_flow = equations(strength)
    return OdeModel(
        name=name,
        title=title,
        organ="glucose",
        time_unit="min",
        states=STATES,
        output_states=OUTPUTS,
        parameters=parameters,
        inputs=Inputs,
        rhs=rhs,
        outputs=outputs,
        steady_state=steady_state,
        basal_inputs=basal_inputs,
        restart=restart,
        signed_states=("X",),
        balances=(Balance("glucose", glucose_content, glucose_flow),),
        references=(
            "Dalla Man, Rizza, Cobelli 2007, IEEE Trans Biomed Eng 54(10):1740, doi 10.1109/TBME.2007.893506",
            "Dalla Man, Camilleri, Cobelli 2006, IEEE Trans Biomed Eng 53(12):2472, doi 10.1109/TBME.2006.883792",
            "Dalla Man, Raimondo, Rizza, Cobelli 2007, J Diabetes Sci Technol 1(3):323",
            "Dalla Man et al. 2014, J Diabetes Sci Technol 8(1):26, doi 10.1177/1932296813514502",
            "Visentin et al. 2018, J Diabetes Sci Technol 12(2):273, doi 10.1177/1932296818757747",
            "Dalla Man, Breton, Cobelli 2009, J Diabetes Sci Technol 3(1):56, doi 10.1177/193229680900300107",
        ),
    )


MODEL = _model("uva_padova_t1d", "UVA/Padova type 1 diabetes", Parameters, unchanged)
S2013 = _model(
    "uva_padova_t1d_2014", "UVA/Padova type 1 diabetes, stronger insulin in hypoglycaemia", Parameters2013, strengthened
)

MODELS = (MODEL, S2013)
"""Without and with the strengthening of insulin in hypoglycaemia."""
