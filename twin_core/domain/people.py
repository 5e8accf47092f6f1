"""The person that a twin follows."""

from dataclasses import dataclass
from enum import StrEnum


class RecordKind(StrEnum):
    """How the person's clock runs."""

    RECORDED = "recorded"
    """A finished record: 'now' is its last reading."""
    PLAYED = "played"
    """A record played back by the virtual sensor: 'now' is the playback's clock."""
    LIVE = "live"
    """A connected sensor: 'now' is now."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody whose data are kept, known by an opaque id."""

    person_id: str
    label: str
    """What the screen calls them; never a name that the project made up."""
    time_zone: str
    """IANA name, such as `Europe/London`; times are shown in it."""
    record: RecordKind
    therapy: str = ""
    """Such as `insulin pump` or `injections`, where known."""
    body_weight_kg: float | None = None
    attribution: str = ""
    """Where the data come from and under which licence, to be shown with them."""
