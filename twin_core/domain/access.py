"""Who asks, and why: every read and write of the store names its `Viewer`."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What kind of account asks."""

    OWNER = "owner"
    """The single user of an embedded installation: may do all."""
    SYSTEM = "system"
    """A job of the installation itself, such as the virtual sensor."""


class Purpose(StrEnum):
    """Why the store is asked."""

    CARE = "care"
    LIVE_FEED = "live_feed"
    IMPORT = "import"
    CALIBRATION = "calibration"
    EXPORT = "export"


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """Who asks the store for something, and why."""

    name: str
    role: Role
    purpose: Purpose

    def with_purpose(self, purpose: Purpose) -> "Viewer":
        """The same viewer with another reason."""
        return Viewer(name=self.name, role=self.role, purpose=purpose)
