"""The figure of a drug's concentration over time: people, this person, and the regimen that may follow."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from dashboard.theme.display import Screen
from dashboard.theme.plots import Figure, axis, base_layout, translucent
from dashboard.theme.tokens import Palette
from twin_core.domain.dosing import Candidate, Level
from twin_core.domain.drugs import Dose, Drug, Exposure, TargetBand
from twin_core.domain.history import FloatArray

FOLLOWING = ("next 95 %", "next 5 %", "next 75 %", "next 25 %", "next 50 %")
"""Names of the traces of the regimen that follows, in the order of `FOLLOWING_PERCENTILES`."""
FOLLOWING_PERCENTILES = (4, 0, 3, 1, 2)
"""Which of the 5, 25, 50, 75 and 95 % each of them is."""
_HOURS_A_DAY = 24.0


class _Bands(Protocol):
    """Percentiles over time, `(5, n_times)` [mg/L]."""

    @property
    def times_h(self) -> FloatArray: ...

    @property
    def percentiles_mg_l(self) -> FloatArray: ...


class _NextBands(Protocol):
    """The bands of the regimen that follows, for any amount of its dose."""

    @property
    def times_h(self) -> FloatArray: ...

    def percentiles(self, amount_mg: float) -> FloatArray: ...

    def nodes(self, largest_mg: float) -> tuple[FloatArray, FloatArray]: ...


class _Residual(Protocol):
    """A level, and how far the most probable person is from it."""

    @property
    def level(self) -> Level: ...

    @property
    def predicted_mg_l(self) -> float: ...

    @property
    def in_sd(self) -> float: ...


class _DrawnCase(Protocol):
    """What was entered."""

    @property
    def drug(self) -> Drug: ...

    @property
    def given(self) -> Dose: ...

    @property
    def following(self) -> Candidate: ...


class _DrawnView(Protocol):
    """What is drawn of a case."""

    @property
    def case(self) -> _DrawnCase: ...

    @property
    def doses(self) -> tuple[Dose, ...]: ...

    @property
    def dose_times_h(self) -> tuple[float, ...]: ...

    @property
    def population(self) -> _Bands: ...

    @property
    def a_priori(self) -> _Bands: ...

    @property
    def a_posteriori(self) -> _Bands | None: ...

    @property
    def following(self) -> _NextBands: ...

    @property
    def next_dose_h(self) -> float: ...

    @property
    def residuals(self) -> Sequence[_Residual]: ...

    @property
    def has_levels(self) -> bool: ...


def concentration_figure(view: _DrawnView, screen: Screen) -> Figure:
    """Population, a-priori, a-posteriori and following curves in the drug's unit, with doses, levels and target."""
    colours, drug = screen.colours, view.case.drug
    prior, times = view.a_priori.percentiles_mg_l * drug.levels_per_mg_l, view.a_priori.times_h
    typical = view.population.percentiles_mg_l * drug.levels_per_mg_l
    data = [
        _line(times, typical[4], "population 95 %", drug, {"color": colours.muted, "width": 1, "dash": "dot"}),
        _line(times, typical[0], "population 5 %", drug, {"color": colours.muted, "width": 1, "dash": "dot"}),
        _line(times, typical[2], "population 50 %", drug, {"color": colours.muted, "width": 1, "dash": "dash"}),
        *_band(times, prior, "people 50 %", drug, colours.insulin, filled=not view.has_levels),
    ]
    if view.a_posteriori is not None:
        own = view.a_posteriori.percentiles_mg_l * drug.levels_per_mg_l
        data += _band(times, own, "this person 50 %", drug, colours.accent, filled=True)
    data += _following(view, colours)
    data += _levels(view.residuals, drug, colours)
    doses = [*view.dose_times_h]
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "dose",
            "x": doses,
            "y": [0.0] * len(doses),
            "marker": {"symbol": "triangle-up", "size": 9, "color": colours.carbs},
            "hovertemplate": "dose at %{x:.1f} h",
        }
    )
    title = {"size": 12}
    layout = base_layout(colours) | {
        "xaxis": axis(colours, title={"text": "Hours since the first dose", "font": title}, rangemode="tozero"),
        "yaxis": axis(colours, title={"text": f"Concentration {drug.level_unit}", "font": title}, rangemode="tozero"),
        "uirevision": "dosing",
        "shapes": _shapes(view, colours),
    }
    return {"data": data, "layout": layout}


def paint_of(view: _DrawnView, largest_mg: float) -> Figure:
    """What the browser needs to repaint the figure while a dose is dragged; a linear model makes it exact on nodes.

    Without levels all curves are proportional to the dose given. The curves that follow are interpolated between
    amounts of the next dose.
    """
    drug = view.case.drug
    amounts, curves = view.following.nodes(largest_mg)
    scaled = curves[:, FOLLOWING_PERCENTILES, :] * drug.levels_per_mg_l
    others = len(view.doses) > 1
    figure = [] if view.has_levels or others else [*_scalable(view)]
    return {
        "given": view.case.given.amount_mg,
        "next": view.case.following.amount_mg,
        "history": figure,
        "due": [*view.dose_times_h, *_planned(view)],
        "following": {
            "names": FOLLOWING,
            "nodes": amounts.tolist(),
            "curves": [[_rounded(curve) for curve in node] for node in scaled],
        },
    }


def _planned(view: _DrawnView) -> list[float]:
    """Times [h] of the doses of the regimen that follows, as far as it is drawn."""
    interval_h, end_h = view.case.following.interval_h, float(view.following.times_h[-1])
    return np.arange(view.next_dose_h, end_h, interval_h).tolist()


def _scalable(view: _DrawnView) -> list[Figure]:
    drug = view.case.drug
    people, prior = view.population.percentiles_mg_l, view.a_priori.percentiles_mg_l
    named = [("population 95 %", people[4]), ("population 5 %", people[0]), ("population 50 %", people[2])]
    named += [(name, prior[which]) for name, which in _names_of_band("people 50 %")]
    return [{"name": name, "y": _rounded(curve * drug.levels_per_mg_l)} for name, curve in named]


def _names_of_band(middle: str) -> list[tuple[str, int]]:
    """Traces of a band in the order in which they are filled, and which percentile each is."""
    whose = middle.removesuffix(" 50 %")
    return [(f"{whose} {share} %", which) for share, which in ((95, 4), (5, 0), (75, 3), (25, 1), (50, 2))]


def _band(
    times_h: FloatArray, percentiles: FloatArray, middle: str, drug: Drug, colour: str, *, filled: bool
) -> list[Figure]:
    """Five percentiles: two filled bands and a line, or outlines where another band is filled."""
    wide, narrow = translucent(colour, 0.14), translucent(colour, 0.24)
    outline = None if filled else {"color": translucent(colour, 0.55), "width": 1, "dash": "dash"}
    hidden = None if filled else {"color": colour, "width": 0}
    width = {"color": colour, "width": 2.5 if filled else 1.5} | ({} if filled else {"dash": "dash"})
    fills = {5: wide, 25: narrow} if filled else {}
    traces = []
    for name, which in _names_of_band(middle):
        share = (5, 25, 50, 75, 95)[which]
        line = width if share == 50 else outline if share in (5, 95) else hidden
        traces.append(_line(times_h, percentiles[which], name, drug, line, fills.get(share)))
    return traces


def _following(view: _DrawnView, colours: Palette) -> list[Figure]:
    drug, colour = view.case.drug, colours.what_if
    percentiles = view.following.percentiles(view.case.following.amount_mg) * drug.levels_per_mg_l
    fills = {"next 5 %": translucent(colour, 0.12), "next 25 %": translucent(colour, 0.2)}
    return [
        _line(
            view.following.times_h,
            percentiles[which],
            name,
            drug,
            {"color": colour, "width": 2.5} if name == "next 50 %" else None,
            fills.get(name),
        )
        for name, which in zip(FOLLOWING, FOLLOWING_PERCENTILES, strict=True)
    ]


def _levels(residuals: Sequence[_Residual], drug: Drug, colours: Palette) -> list[Figure]:
    """Levels as dots, each with a line to what the most probable person has at its time."""
    if not residuals:
        return []
    scale = drug.levels_per_mg_l
    stems: list[Figure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "residual",
            "x": [value for each in residuals for value in (each.level.time_h, each.level.time_h, None)],
            "y": [
                value
                for each in residuals
                for value in (each.level.concentration_mg_l * scale, each.predicted_mg_l * scale, None)
            ],
            "line": {"color": colours.ink, "width": 1},
            "hoverinfo": "skip",
        }
    ]
    words = [
        f"{each.in_sd:+.1f} SD from this person's curve{', below quantification' * each.level.below_quantification}"
        for each in residuals
    ]
    dots: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": "level",
        "x": [each.level.time_h for each in residuals],
        "y": [each.level.concentration_mg_l * scale for each in residuals],
        "marker": {
            "size": 10,
            "color": colours.ink,
            "symbol": ["circle-open" if each.level.below_quantification else "circle" for each in residuals],
        },
        "text": words,
        "hovertemplate": "%{y:.3~r} " + drug.level_unit + ", %{text}",
    }
    return [*stems, dots]


def _shapes(view: _DrawnView, colours: Palette) -> list[Figure]:
    """The rule at the next dose, and the target; that of an area stands as the day's mean concentration."""
    rule: Figure = {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": view.next_dose_h,
        "x1": view.next_dose_h,
        "y0": 0,
        "y1": 1,
        "line": {"color": colours.muted, "width": 1.5, "dash": "dot"},
    }
    band = target_on_the_axis(view.case.drug)
    if band is None:
        return [rule]
    tint: Figure = {
        "type": "rect",
        "xref": "paper",
        "yref": "y",
        "x0": 0,
        "x1": 1,
        "y0": band[0],
        "y1": band[1],
        "fillcolor": translucent(colours.target, 0.14),
        "line": {"width": 0},
        "layer": "below",
    }
    return [tint, rule]


def target_on_the_axis(drug: Drug) -> tuple[float, float] | None:
    """Both ends of the target in the unit of the levels: an area over 24 h divided by 24 h; None without a target."""
    if not isinstance(drug.target, TargetBand):
        return None
    scale = drug.levels_per_mg_l / (_HOURS_A_DAY if drug.target.exposure is Exposure.AUC24 else 1.0)
    return drug.target.low * scale, drug.target.high * scale


def _rounded(values: FloatArray) -> list[float]:
    digits = 4 if float(np.max(values, initial=0.0)) < 10.0 else 2
    rounded: list[float] = np.round(values, digits).tolist()
    return rounded


def _line(
    times_h: FloatArray, values: FloatArray, name: str, drug: Drug, line: Figure | None = None, fill: str | None = None
) -> Figure:
    trace: Figure = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": np.round(times_h, 3).tolist(),
        "y": _rounded(values),
        "line": line or {"width": 0},
        "hovertemplate": "%{y:.3~r} " + drug.level_unit if name.endswith(" 50 %") else None,
        "hoverinfo": None if name.endswith(" 50 %") else "skip",
    }
    trace = {key: value for key, value in trace.items() if value is not None}
    return trace | ({"fill": "tonexty", "fillcolor": fill} if fill else {})
