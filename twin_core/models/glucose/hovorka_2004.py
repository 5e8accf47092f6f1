"""Type 1 diabetes: the model of Hovorka and colleagues, with exercise by heart rate.

Gut [1]:

    D1' = AG d - D1/tG;  D2' = (D1 - D2)/tG                      d: carbohydrate eaten [mg/min]; UG = D2/tG

Glucose [1, 2]:

    Q1' = -F01c - FR - x1 Q1 + k12 Q2 + UG/BW + EGP - Up         G = Q1/VG, F01c = F01 min(G/G01, 1)
    Q2' = x1 Q1 - (k12 + x2) Q2 + Us - x2 p5 EEl                 FR = kR max(G - GR, 0) VG
    EGP = max(EGP0 (1 - x3), 0) (1 + p1 EEf + p2 EEh)            Up = p3 EGPb EEf, Us = (p3 - p4) EGPb EEf
    Gs' = (G - Gs)/ts                                            sensed glucose

Insulin [1]:

    S1' = u - S1/tI;  S2' = (S1 - S2)/tI                         u: insulin given [U/kg/min]
    I'  = S2/(tI VI) - ke I                                      xi' = kai (Si I - xi), Si = SIT, SID, SIE

Exercise [2], with r the share of the heart-rate reserve and high = max(r - VT, 0)/(1 - VT):

    EEf' = p6 (r - EEf);  EEh' = p8 (high - EEh);  EEl' = p6 EEf - p7 EEl

The basal state is solved, never read: I, x1, x2, x3 from the basal insulin rate, Q1 = Gb VG, Q2 = x1 Q1/(k12 + x2),
EGPb = F01c + FR + x2 Q2 and EGP0 = EGPb/(1 - x3). `basal_rate_for` solves the other way: the rate that holds Gb
with a given EGP0. Only Si times the rate counts at rest, so who needs n times that rate with the same EGP0 has SIT,
SID and SIE of 1/n.

Choices: amounts are per kg, glucose in mg and insulin in U, where [1] has mmol and mU; sensitivities in L/U are the
published ones times 1000. A basal rate that would stop the liver altogether cannot hold any glucose: SIE counts at
most as far as x3 = 0.9 at basal. `sensitivity` multiplies x1, x2 and x3 at once. What exercise takes from Q1 fades
with F01c below G01, what EEl takes from Q2 fades below Q2 = p5, so that neither becomes negative. [2] gives p3, p4 and
p5 for each person in mmol/min; here p3 and p4 are multiples of the person's basal production, so that they fit people
of any weight. The renal loss is a flow of glucose: with VG left out of it, as in another implementation, a meal of
90 g with half the insulin stands at 500 in place of 292 mg/dL ten hours later.

Valid for: adults with type 1 diabetes; meals of carbohydrate; rapid insulin under the skin; exercise of up to an hour
or two below the threshold VT.
Left out: the dependence of insulin's action on glucose itself that [2] adds, its second, faster gut for rescue
carbohydrate; a lasting rise of sensitivity after exercise (EEl decays within half an hour); counter-regulation,
glucagon.

References
----------
[1] Hovorka et al. 2004, Physiol Meas 25(4):905, doi 10.1088/0967-3334/25/4/010; nominal values as in LoopInsighT1.
[2] mGIPsim (py-mgipsim), from the group of Rashid et al. 2019, Comput Chem Eng 130:106565, doi
    10.1016/j.compchemeng.2019.106565. Table A-1 of Rashid 2019 itself lists other exercise states (E1, TE, E2, driven
    by beats a minute), so that the form above rests on one implementation: unverified.
[3] Dalla Man, Raimondo, Rizza, Cobelli 2007 (GIM), J Diabetes Sci Technol 1(3):323.
[4] Mean of the ten adults of the 2008 academic simulator, as summarised in simglucose 0.2.11's parameter file.
"""

from typing import Annotated, Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from twin_core.domain.models import Balance, OdeModel, Quantity, State
from twin_core.domain.units import PMOL_PER_UNIT_OF_INSULIN

EGP0_MG_KG_MIN = 2.9005
"""Published glucose production without insulin: 0.0161 mmol/kg/min [1] times 180.156 mg/mmol."""

MOST_RESTRAINED = 0.9
"""The most of production that basal insulin may hold back; beyond, no production would fit."""

STATES = (
    State("D1", "mg", "carbohydrate in the gut, first compartment"),
    State("D2", "mg", "carbohydrate in the gut, second compartment"),
    State("Q1", "mg/kg", "glucose in plasma and fast tissue"),
    State("Q2", "mg/kg", "glucose in slow tissue"),
    State("S1", "U/kg", "insulin under the skin, as injected"),
    State("S2", "U/kg", "insulin under the skin, about to be absorbed"),
    State("I", "U/L", "insulin in plasma"),
    State("x1", "1/min", "insulin acting on transport"),
    State("x2", "1/min", "insulin acting on disposal"),
    State("x3", "1", "insulin acting on the liver"),
    State("Gs", "mg/dL", "glucose under the skin"),
    State("EEf", "1", "exertion, fast"),
    State("EEh", "1", "exertion above the threshold"),
    State("EEl", "1", "exertion, lingering"),
)

OUTPUTS = (
    State("glucose_mg_dl", "mg/dL", "sensed glucose, under the skin"),
    State("plasma_glucose_mg_dl", "mg/dL", "plasma glucose"),
    State("plasma_insulin_pmol_l", "pmol/L", "plasma insulin"),
)

_FORM = "[2]; one implementation, unverified"


class Parameters(NamedTuple):
    """One person. The default has the published nominal values, and the basal rate that gives the published EGP0."""

    BW: Annotated[float, Quantity("kg", 3.0, 250.0, "body weight", "[4]: adults 86.1 +- 16.6 kg; [1]: 75")] = 75.0
    Gb: Annotated[float, Quantity("mg/dL", 50.0, 300.0, "basal glucose", "[2]: 6 mmol/L in all its people")] = 108.0
    basal_u_h: Annotated[
        float, Quantity("U/h", 0.01, 20.0, "basal insulin that holds Gb", "solved for EGP0 of [1]; see head")
    ] = 0.4133
    VG: Annotated[float, Quantity("dL/kg", 0.5, 5.0, "volume of glucose", "[1]: 0.16 L/kg")] = 1.6
    k12: Annotated[float, Quantity("1/min", 0.005, 0.8, "glucose, slow tissue to plasma", "[1]")] = 0.066
    F01: Annotated[
        float, Quantity("mg/kg/min", 0.2, 6.0, "uptake that needs no insulin", "[1]: 0.0097 mmol/kg/min")
    ] = 1.7475
    G01: Annotated[float, Quantity("mg/dL", 40.0, 120.0, "glucose below which F01 falls", "[1]: 4.5 mmol/L")] = 81.07
    kR: Annotated[float, Quantity("1/min", 0.0, 0.02, "renal excretion", "[1]: 0.003")] = 0.003
    GR: Annotated[float, Quantity("mg/dL", 60.0, 400.0, "renal threshold", "[1]: 9 mmol/L")] = 162.14
    AG: Annotated[float, Quantity("1", 0.3, 1.0, "share of carbohydrate that reaches the plasma", "[1]")] = 0.8
    tG: Annotated[float, Quantity("min", 5.0, 200.0, "time of the gut's fastest absorption", "[1]")] = 40.0
    tI: Annotated[float, Quantity("min", 10.0, 250.0, "time of insulin's fastest absorption", "[1]")] = 55.0
    VI: Annotated[float, Quantity("L/kg", 0.02, 0.6, "volume of insulin", "[1]")] = 0.12
    ke: Annotated[float, Quantity("1/min", 0.01, 1.0, "insulin eliminated", "[1]")] = 0.138
    ka1: Annotated[float, Quantity("1/min", 0.0005, 0.1, "delay of action on transport", "[1]")] = 0.006
    ka2: Annotated[float, Quantity("1/min", 0.005, 0.6, "delay of action on disposal", "[1]")] = 0.06
    ka3: Annotated[float, Quantity("1/min", 0.002, 0.3, "delay of action on the liver", "[1]")] = 0.03
    SIT: Annotated[float, Quantity("L/(U*min)", 0.05, 100.0, "insulin drives transport", "[1]: 51.2e-4 L/(mU min)")] = (
        5.12
    )
    SID: Annotated[float, Quantity("L/(U*min)", 0.01, 20.0, "insulin drives disposal", "[1]: 8.2e-4 L/(mU min)")] = 0.82
    SIE: Annotated[float, Quantity("L/U", 0.5, 1000.0, "insulin restrains the liver", "[1]: 520e-4 L/mU")] = 52.0
    ts: Annotated[float, Quantity("min", 1.0, 60.0, "lag of glucose under the skin", "[3]: sensor lag 10 min")] = 10.0
    VT: Annotated[float, Quantity("1", 0.3, 0.95, "share of reserve above which the liver is driven", _FORM)] = 0.72
    p1: Annotated[float, Quantity("1", 0.0, 10.0, "exertion raises production", _FORM)] = 2.73
    p2: Annotated[float, Quantity("1", 0.0, 30.0, "exertion above VT raises production", _FORM)] = 8.23
    p3: Annotated[
        float,
        Quantity("1", 0.0, 30.0, "exertion draws from plasma, of basal production", f"{_FORM}: 2.87 by 0.576 mmol/min"),
    ] = 5.0
    p4: Annotated[
        float,
        Quantity("1", 0.0, 30.0, "of that used up, of basal production", f"{_FORM}: 2.23 by 0.576 mmol/min"),
    ] = 3.9
    p5: Annotated[
        float, Quantity("mg/kg", 0.01, 50.0, "lingering exertion draws on slow tissue", f"{_FORM}: 1.16 mmol, 79.2 kg")
    ] = 2.64
    p6: Annotated[float, Quantity("1/min", 0.01, 2.0, "exertion sets in", _FORM)] = 0.18
    p7: Annotated[float, Quantity("1/min", 0.005, 1.0, "lingering exertion ends", _FORM)] = 0.1
    p8: Annotated[float, Quantity("1/min", 0.005, 1.0, "exertion above VT sets in", _FORM)] = 0.1


class Inputs(NamedTuple):
    """What acts on the person during one step, constant over it."""

    carbs_mg_min: Annotated[float, Quantity("mg/min", 0.0, 5e5, "carbohydrate eaten", "schedule")] = 0.0
    planned_mg_min: Annotated[float, Quantity("mg/min", 0.0, 5e5, "planned carbohydrate eaten", "schedule")] = 0.0
    insulin_u_min: Annotated[float, Quantity("U/min", 0.0, 100.0, "insulin given", "schedule")] = 0.0
    own_basal: Annotated[float, Quantity("1", 0.0, 1.0, "share of the person's own basal that runs", "schedule")] = 1.0
    late_carbs_mg_min: Annotated[float, Quantity("mg/min", 0.0, 1e4, "glucose from protein and fat", "schedule")] = 0.0
    emptying_share: Annotated[float, Quantity("1", 0.1, 1.0, "gut slowed by fat and fibre", "schedule")] = 1.0
    appearing_u_min: Annotated[
        float, Quantity("U/min", 0.0, 100.0, "insulin that reaches the plasma from its own depot", "schedule")
    ] = 0.0
    sensitivity: Annotated[float, Quantity("1", 0.05, 10.0, "factor of insulin's action", "schedule")] = 1.0
    production_share: Annotated[float, Quantity("1", 0.0, 3.0, "factor of glucose production", "schedule")] = 1.0
    unexplained_mg_kg_min: Annotated[
        float, Quantity("mg/kg/min", -100.0, 100.0, "flow of glucose that no record explains", "schedule")
    ] = 0.0
    production_added_mg_kg_min: Annotated[
        float, Quantity("mg/kg/min", 0.0, 10.0, "glucose production added, as at dawn", "schedule")
    ] = 0.0
    heart_rate_reserve: Annotated[float, Quantity("1", 0.0, 1.0, "share of the heart-rate reserve", "schedule")] = 0.0


class Basal(NamedTuple):
    """The basal state, solved from the parameters."""

    insulin_u_kg_min: Any
    I: Any
    Q1: Any
    Q2: Any
    SIE: Any
    EGPb: Any
    EGP0: Any


@register_jitable(forceinline=True)
def basal_state(p: Parameters) -> Basal:
    """The state that the basal insulin holds, and the production that makes it steady; equations in the head."""
    insulin = p.basal_u_h / 60.0 / p.BW
    I = insulin / (p.VI * p.ke)
    SIE = np.minimum(p.SIE, MOST_RESTRAINED / I)
    Q1 = p.Gb * p.VG
    Q2 = p.SIT * I * Q1 / (p.k12 + p.SID * I)
    EGPb = _uptake_without_insulin(p.Gb, p) + _excretion(p.Gb, p) + p.SID * I * Q2
    return Basal(insulin, I, Q1, Q2, SIE, EGPb, EGPb / (1.0 - SIE * I))


def basal_rate_for(p: Parameters, EGP0: Any = EGP0_MG_KG_MIN) -> Any:
    """The basal insulin that holds `p.Gb` when production without insulin is EGP0 [U/h]; `p.basal_u_h` is not read.

    The positive root of EGP0 (1 - SIE I) = F01c + FR + SIT SID I^2 Q1/(k12 + SID I), where `basal_state` solves the
    same equation for EGP0.

    Parameters
    ----------
    EGP0
        [mg/kg/min], more than what is taken up and excreted without insulin at `p.Gb`; the rate is not above 0 else.
    """
    spared = EGP0 - _uptake_without_insulin(p.Gb, p) - _excretion(p.Gb, p)
    a = p.SIT * p.SID * p.Gb * p.VG + EGP0 * p.SIE * p.SID
    half = 0.5 * (EGP0 * p.SIE * p.k12 - spared * p.SID)
    I = (np.sqrt(half * half + a * spared * p.k12) - half) / a
    return 60.0 * I * p.VI * p.ke * p.BW


@register_jitable(forceinline=True)
def _uptake_without_insulin(G: Any, p: Any) -> Any:
    return p.F01 * np.minimum(G / p.G01, 1.0)


@register_jitable(forceinline=True)
def _excretion(G: Any, p: Any) -> Any:
    return p.kR * np.maximum(G - p.GR, 0.0) * p.VG


class Fluxes(NamedTuple):
    """Where glucose comes from and goes to [mg/kg/min]."""

    produced: Any
    taken_up: Any
    excreted: Any
    to_tissue: Any
    to_plasma: Any
    disposed: Any
    drawn: Any
    worked_off: Any
    lingering: Any


@register_jitable(forceinline=True)
def fluxes(y: Any, u: Any, p: Any) -> Fluxes:
    """All flows of glucose but those of the gut, from the state and what acts."""
    _, _, Q1, Q2, _, _, _, x1, x2, x3, _, EEf, EEh, EEl = y
    basal = basal_state(p)
    G = Q1 / p.VG
    own = np.maximum(basal.EGP0 * (1.0 - u.sensitivity * x3), 0.0) * (1.0 + p.p1 * EEf + p.p2 * EEh)
    enough = np.minimum(G / p.G01, 1.0)
    return Fluxes(
        produced=u.production_share * own + u.production_added_mg_kg_min + np.maximum(u.unexplained_mg_kg_min, 0.0),
        taken_up=_uptake_without_insulin(G, p) + np.maximum(-u.unexplained_mg_kg_min, 0.0) * enough,
        excreted=_excretion(G, p),
        to_tissue=u.sensitivity * x1 * Q1,
        to_plasma=p.k12 * Q2,
        disposed=u.sensitivity * x2 * Q2,
        drawn=np.maximum(p.p3, p.p4) * basal.EGPb * EEf * enough,
        worked_off=p.p4 * basal.EGPb * EEf * enough,
        lingering=u.sensitivity * x2 * EEl * np.minimum(Q2, p.p5),
    )


def rhs(t: Any, y: Any, u: Any, p: Any) -> tuple[Any, ...]:  # noqa: ARG001
    """The equations of the head; time in minutes."""
    D1, D2, Q1, _, S1, S2, I, x1, x2, x3, Gs, EEf, EEh, EEl = y
    basal = basal_state(p)
    f = fluxes(y, u, p)
    moved, absorbed = u.emptying_share * D1 / p.tG, D2 / p.tG
    given = u.insulin_u_min / p.BW + u.own_basal * basal.insulin_u_kg_min
    appearing = u.appearing_u_min / (p.BW * p.VI)
    reserve = np.minimum(np.maximum(u.heart_rate_reserve, 0.0), 1.0)
    high = np.maximum(reserve - p.VT, 0.0) / (1.0 - p.VT)
    plasma = f.produced + absorbed / p.BW + f.to_plasma - f.taken_up - f.excreted - f.to_tissue - f.drawn
    return (
        p.AG * (u.carbs_mg_min + u.planned_mg_min) - moved,
        moved + p.AG * u.late_carbs_mg_min - absorbed,
        plasma,
        f.to_tissue - f.to_plasma - f.disposed + (f.drawn - f.worked_off) - f.lingering,
        given - S1 / p.tI,
        (S1 - S2) / p.tI,
        S2 / (p.tI * p.VI) + appearing - p.ke * I,
        p.ka1 * (p.SIT * I - x1),
        p.ka2 * (p.SID * I - x2),
        p.ka3 * (basal.SIE * I - x3),
        (Q1 / p.VG - Gs) / p.ts,
        p.p6 * (reserve - EEf),
        p.p8 * (high - EEh),
        p.p6 * EEf - p.p7 * EEl,
    )


def outputs(y: Any, p: Any) -> tuple[Any, Any, Any]:
    """Sensed glucose, plasma glucose [mg/dL] and plasma insulin [pmol/L]."""
    return y[10], y[2] / p.VG, PMOL_PER_UNIT_OF_INSULIN * y[6]


def basal_inputs(p: Parameters) -> Inputs:  # noqa: ARG001
    """Fasting, at rest, with the person's own basal insulin."""
    return Inputs()


def steady_state(p: Parameters) -> tuple[Any, ...]:
    """The fasting state that the person's own basal insulin holds."""
    basal = basal_state(p)
    none = 0.0 * p.BW
    under_skin = basal.insulin_u_kg_min * p.tI
    acting = p.SIT * basal.I, p.SID * basal.I, basal.SIE * basal.I
    return none, none, basal.Q1, basal.Q2, under_skin, under_skin, basal.I, *acting, p.Gb, none, none, none


def glucose_content(y: Any, p: Any) -> Any:
    """Glucose in gut and body [mg]; linear in the states."""
    return y[0] + y[1] + p.BW * (y[2] + y[3])


def glucose_flow(y: Any, u: Any, p: Any) -> Any:
    """What enters less what leaves the whole body [mg/min]."""
    f = fluxes(y, u, p)
    lost = f.taken_up + f.excreted + f.disposed + f.worked_off + f.lingering
    eaten = u.carbs_mg_min + u.planned_mg_min + u.late_carbs_mg_min
    return p.AG * eaten + p.BW * (f.produced - lost)


MODEL = OdeModel(
    name="hovorka_t1d",
    title="Hovorka type 1 diabetes",
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
    balances=(Balance("glucose", glucose_content, glucose_flow),),
    references=(
        "Hovorka et al. 2004, Physiol Meas 25(4):905, doi 10.1088/0967-3334/25/4/010",
        "Rashid et al. 2019, Comput Chem Eng 130:106565, doi 10.1016/j.compchemeng.2019.106565",
    ),
)
