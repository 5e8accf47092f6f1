"""Cut the sample out of a folder of T1D-UOM: `python sample_data/make_sample.py SOURCE_FOLDER`.

Every line is copied byte for byte, header included; lines are only chosen, never changed. What is chosen and
why stands in README.md beside this file.
"""
# ruff: noqa: T201  (a script: it prints what it chose)

import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from twin_core.domain.imports import Imported
from twin_core.domain.records import EventKind
from twin_core.sources.t1d_uom import LAYOUTS, T1D_UOM, people_in

HERE = Path(__file__).parent
ZONE = ZoneInfo("Europe/London")
PEOPLE = ("2308", "2313")
DAYS = 14
LAST_SHARE = 0.2
"""The sample lies in the last fifth of the glucose record: the shipped forecaster has not seen it."""
SLOT_MIN = 5
SLOTS_A_DAY = 288
DAY_EARLIER = {"basal", "bolus"}
"""Kinds that start a day earlier, so that insulin on board is known when glucose starts."""
INSULIN = {EventKind.BOLUS, EventKind.BASAL_RATE, EventKind.LONG_ACTING}

DEFECTS: dict[str, tuple[tuple[int, int], ...]] = {
    "glucose/glucose_2301.csv": ((7996, 8019), (24085, 24110)),
    "basal/basal_2301.csv": ((2, 6), (5955, 5966), (6925, 6932)),
    "bolus/bolus_2301.csv": ((8, 20), (550, 560)),
    "glucose/glucose_2304.csv": ((2, 51), (6509, 6512)),
    "glucose/glucose_2305.csv": ((2, 21),),
    "bolus/bolus_2305.csv": ((100, 110), (130, 138)),
    "activity/activity_2305.csv": ((2, 13), (44, 47), (212, 230)),
    "glucose/glucose_2309.csv": ((12795, 12830),),
    "basal/basal_2309.csv": ((381, 390),),
    "nutrition/nutrition_2309.csv": ((38, 58), (62, 84)),
    "nutrition/nutrition_2320.csv": ((2, 30),),
}
"""Line ranges (both ends included; line 1, the header, always comes along) of each excerpt of defects."""


class Window(NamedTuple):
    """Consecutive local days, and how well they are recorded."""

    first_day: date
    days_logged: int
    """Days with both carbohydrate and insulin."""
    slots: int
    """Intervals of 5 min with a reading; sensors of the record report somewhat faster at times."""
    meals: int

    @property
    def last_day(self) -> date:
        """The last of the local days."""
        return self.first_day + timedelta(days=DAYS - 1)

    @property
    def completeness(self) -> float:
        """The share of 5-min intervals with a reading."""
        return self.slots / (DAYS * SLOTS_A_DAY)


def windows_of(imported: Imported) -> list[Window]:
    """Every stretch of whole local days inside the last share of the glucose record."""
    first, last = imported.readings[0].instant, imported.readings[-1].instant
    start = (last - LAST_SHARE * (last - first)).astimezone(ZONE)
    first_day = start.date() + timedelta(days=1)
    count = (last.astimezone(ZONE).date() - first_day).days - DAYS + 1
    return [window_from(imported, first_day + timedelta(days=offset)) for offset in range(count)]


def window_from(imported: Imported, first_day: date) -> Window:
    """One stretch and how well it is recorded."""
    days = {first_day + timedelta(days=offset) for offset in range(DAYS)}
    instants = [reading.instant for reading in imported.readings if reading.instant.astimezone(ZONE).date() in days]
    slots = {int(instant.timestamp()) // (60 * SLOT_MIN) for instant in instants}
    events = [(event.instant.astimezone(ZONE).date(), event.kind) for event in imported.events]
    meals = [day for day, kind in events if kind is EventKind.CARBS and day in days]
    insulin = {day for day, kind in events if kind in INSULIN and day in days}
    return Window(first_day, len(insulin & set(meals)), len(slots), len(meals))


def cut(source: Path, target: Path, first_day: date, last_day: date) -> None:
    """Copy the header and the lines whose local date lies between two days, both included."""
    header, *lines = source.read_bytes().splitlines(keepends=True)
    write(target, header, (line for line in lines if first_day <= (day_of(line) or date.min) <= last_day))


def day_of(line: bytes) -> date | None:
    """The local date that a line begins with."""
    found = re.match(rb"[0-9]{2}/[0-9]{2}/[0-9]{4}", line)
    return datetime.strptime(found[0].decode(), "%d/%m/%Y").date() if found else None


def excerpt(source: Path, target: Path, ranges: Iterable[tuple[int, int]]) -> None:
    """Copy the header and ranges of lines."""
    lines = source.read_bytes().splitlines(keepends=True)
    write(target, lines[0], (line for first, last in ranges for line in lines[first - 1 : last]))


def write(target: Path, header: bytes, lines: Iterable[bytes]) -> None:
    """Write a header and lines, in a folder that may not exist yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(header + b"".join(lines))


def cut_person(source: Path, person: str, files: Sequence[Path]) -> None:
    """Choose a person's best window and copy it from each file."""
    windows = windows_of(T1D_UOM.import_files(files, ZONE.key))
    for window in windows:
        print(person, window.first_day, window.last_day, window[1:], f"{window.completeness:.1%}")
    best = max(windows, key=lambda window: (window.days_logged, window.slots, window.meals))
    print(person, "chosen", best.first_day, "to", best.last_day)
    for layout in LAYOUTS:
        path = Path(layout.kind) / f"{layout.kind}_{person}.csv"
        first_day = best.first_day - timedelta(days=layout.kind in DAY_EARLIER)
        cut(source / path, HERE / "t1d_uom" / path, first_day, best.last_day)


def main(source: Path) -> None:
    """Make both folders of the sample."""
    people = people_in(source)
    for person in PEOPLE:
        cut_person(source, person, people[person])
    for path, ranges in DEFECTS.items():
        excerpt(source / path, HERE / "defects" / path, ranges)
    for folder in ("t1d_uom", "defects"):
        for name in ("ATTRIBUTION.txt", "LICENSE.md"):
            shutil.copyfile(source / name, HERE / folder / name)
    print(Counter(path.parts[-2] for path in HERE.rglob("*.csv")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
