"""Levels of the drugs that a person takes, at the person's present: what a published model expects, without any level.

A dose in the record is an event of kind `drug`. One that repeats is taken to have been so for long before (a steady
state) if it is the drug's first, and ends with the drug's next event. No level is measured here: the percentiles are
how people with the model's default covariates differ, not what is known of this person.
"""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil, floor
from zoneinfo import ZoneInfo

import numpy as np

from twin_core.domain.access import Purpose, Viewer
from twin_core.domain.drug_levels import DrugLevel
from twin_core.domain.drugs import Dose, Drug, Route
from twin_core.domain.errors import OutOfRange
from twin_core.domain.history import instant_of, minutes_of
from twin_core.domain.records import DRUG_NAME, REPEATS_H, VIRTUAL_SOURCE, Event
from twin_core.services.dosing import BAND_LABEL, Dosing
from twin_core.services.kept import Kept
from twin_core.services.live import Live
from twin_core.services.personal_dosing import Person, fitted, personal_curves
from twin_core.services.records import Records, drug_event

ENTERED = "entered"
INTERVALS_H = (6.0, 8.0, 12.0, 24.0, 168.0)
_LOOK_BACK_DAYS = 366.0
_FORGOTTEN_DAYS = 60.0
"""A single dose so long ago is not shown any more."""
_AROUND_H, _STEP_H = 12.0, 0.5
_PEOPLE = 400
_KEPT = 32


class LiveDrugs:
    """What people take besides insulin, and the levels that follow."""

    def __init__(self, records: Records, live: Live, dosing: Dosing) -> None:
        self._records = records
        self._live = live
        self._dosing = dosing
        self._made = Kept[tuple[DrugLevel, ...]](_KEPT)

    @property
    def choices(self) -> tuple[Drug, ...]:
        """Drugs that people take themselves: by mouth or under the skin."""
        return tuple(
            drug for drug in self._dosing.drugs if {Route.ORAL, Route.SUBCUTANEOUS} & {*drug.routes} and drug.omega
        )

    def of(self, viewer: Viewer, person_id: str) -> tuple[DrugLevel, ...]:
        """The person's drugs at their present, by name; empty for who takes none."""
        now_min = float(floor(self._live.now_min(viewer, person_id)))
        key = (person_id, self._records.version(viewer, person_id), now_min)
        return self._made.of(key, lambda: self._build(viewer, person_id, now_min))

    def _build(self, viewer: Viewer, person_id: str, now_min: float) -> tuple[DrugLevel, ...]:
        start_min = now_min - 1440.0 * _LOOK_BACK_DAYS
        by_drug: dict[str, list[Event]] = {}
        for event in self._records.drug_events(viewer, person_id, start_min, now_min + 1.0):
            by_drug.setdefault(str(event.details.get(DRUG_NAME, "")), []).append(event)
        return tuple(
            _level(self._dosing.drug(name), tuple(events), now_min)
            for name, events in sorted(by_drug.items())
            if _is_current(events[-1], now_min)
        )

    def take(self, viewer: Viewer, person_id: str, name: str, amount_mg: float, repeats_h: float | None) -> None:
        """Note a dose at the person's present, once or from now on.

        Raises
        ------
        UnknownName, BadInput, OutOfRange
            A drug, amount or interval that cannot be.
        """
        drug = self._dosing.drug(name)
        if not 0.0 < amount_mg <= drug.largest_dose_mg:
            raise OutOfRange(f"The dose of {drug.title}", amount_mg, 0.0, drug.largest_dose_mg, "mg")
        drug.check_doses((_dose(drug, 0.0, amount_mg, repeats_h, 0, steady_state=False),))
        now_min = float(floor(self._live.now_min(viewer, person_id)))
        zone = ZoneInfo(self._records.person(viewer, person_id).time_zone)
        offset = instant_of(now_min).astimezone(zone).utcoffset() or timedelta()
        event = drug_event(name, amount_mg, repeats_h, now_min, int(offset.total_seconds() // 60), ENTERED)
        self._records.ingest(viewer.with_purpose(Purpose.IMPORT), person_id, (), (event,))


def _is_current(last: Event, now_min: float) -> bool:
    return REPEATS_H in last.details or now_min - minutes_of(last.instant) <= 1440.0 * _FORGOTTEN_DAYS


def _repeats(event: Event) -> float | None:
    return float(event.details[REPEATS_H]) if REPEATS_H in event.details else None


def _dose(
    drug: Drug, time_h: float, amount_mg: float, repeats_h: float | None, additional: int, *, steady_state: bool
) -> Dose:
    route = Route.ORAL if Route.ORAL in drug.routes else Route.SUBCUTANEOUS
    return Dose(
        time_h=time_h,
        amount_mg=amount_mg,
        route=route,
        interval_h=repeats_h,
        additional=additional,
        steady_state=steady_state,
    )


def doses_of(drug: Drug, events: Sequence[Event], until_min: float) -> tuple[Dose, ...]:
    """Dose lines of one drug's events, in hours since the first of them, up to a time."""
    origin = minutes_of(events[0].instant)
    starts = [minutes_of(event.instant) for event in events]
    doses = []
    for place, (event, start, stop) in enumerate(zip(events, starts, [*starts[1:], until_min], strict=True)):
        repeats_h = _repeats(event)
        additional = 0 if repeats_h is None else max(0, ceil((stop - start) / (60.0 * repeats_h)) - 1)
        steady = place == 0 and repeats_h is not None
        doses.append(_dose(drug, (start - origin) / 60.0, event.amount, repeats_h, additional, steady_state=steady))
    return tuple(doses)


def _level(drug: Drug, events: tuple[Event, ...], now_min: float) -> DrugLevel:
    last, origin = events[-1], minutes_of(events[0].instant)
    times_min = now_min + 60.0 * np.arange(-_AROUND_H, _AROUND_H + _STEP_H / 2.0, _STEP_H)
    doses = doses_of(drug, events, float(times_min[-1]) + 1.0)
    fit = fitted(drug, Person(covariates={}, doses=doses), n_draws=_PEOPLE)
    curves = personal_curves(fit, (times_min - origin) / 60.0, n_draws=_PEOPLE)
    repeats_h, last_min = _repeats(last), minutes_of(last.instant)
    given = 0 if repeats_h is None else floor((now_min - last_min) / (60.0 * repeats_h))
    latest_min = last_min if repeats_h is None else last_min + 60.0 * repeats_h * given
    return DrugLevel(
        name=drug.name,
        title=drug.title,
        unit=drug.level_unit,
        now_min=now_min,
        times_min=times_min,
        typical=curves.most_probable_mg_l * drug.levels_per_mg_l,
        percentiles=curves.percentiles_mg_l * drug.levels_per_mg_l,
        amount_mg=last.amount,
        repeats_h=repeats_h,
        last_dose_min=latest_min,
        next_dose_min=None if repeats_h is None else latest_min + 60.0 * repeats_h,
        band_label=BAND_LABEL,
        virtual=all(event.source == VIRTUAL_SOURCE for event in events),
    )
