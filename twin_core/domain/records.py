"""What is stored of a person: readings and events, each with the original it came from.

The instant is UTC; beside it stand the local time exactly as received, and the offset that led from one to
the other, so that nothing of the original is lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Quality(StrEnum):
    """What is known of a reading besides its number."""

    GOOD = "good"
    BELOW_SENSOR_RANGE = "below_sensor_range"
    ABOVE_SENSOR_RANGE = "above_sensor_range"


class EventKind(StrEnum):
    """What happened, and the unit of its amount."""

    CARBS = "carbs"
    BOLUS = "bolus"
    BASAL_RATE = "basal_rate"
    LONG_ACTING = "long_acting"
    ACTIVITY = "activity"
    DRUG = "drug"
    """A drug other than insulin; what it is stands in `details`, see `DRUG_NAME` and `REPEATS_H`."""

    @property
    def unit(self) -> str:
        """The unit of `Event.amount`."""
        return _UNIT_OF_EVENT[self]


_UNIT_OF_EVENT = {
    EventKind.CARBS: "g",
    EventKind.BOLUS: "U",
    EventKind.BASAL_RATE: "U/h",
    EventKind.LONG_ACTING: "U",
    EventKind.ACTIVITY: "steps",
    EventKind.DRUG: "mg",
}
DRUG_NAME = "drug"
"""Of a drug's event, in `details`: the name of its model."""
REPEATS_H = "repeats_h"
"""Likewise: hours between repeats of this dose, until the drug's next event; a dose without it is taken once."""
VIRTUAL_SOURCE = "virtual"
"""Source of what nobody took or measured, but was added to show something."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GlucoseReading:
    """One sensor reading in canonical form."""

    instant: datetime
    """UTC, timezone-aware."""
    local: str
    """The local time exactly as received."""
    offset_min: int
    """Minutes that local time is ahead of UTC."""
    source: str
    glucose_mg_dl: float
    value_received: float
    unit_received: str
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Carbohydrate, insulin or activity in canonical form.

    A basal rate holds from its instant until the next basal rate (at most 24 h).
    """

    instant: datetime
    local: str
    offset_min: int
    source: str
    kind: EventKind
    amount: float
    """In `kind.unit`."""
    details: Mapping[str, float | str] = field(default_factory=dict)
    """What else came with it, such as `protein_g`, `fat_g`, `fibre_g`, `met`, `duration_min`."""
