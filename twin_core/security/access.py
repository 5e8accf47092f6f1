"""Who may do what, and why: one table, asked before every read and write of the store.

A viewer carries a role and a purpose. The owner of an embedded installation may do all. The installation's
own jobs (`Role.SYSTEM`) may do only what feeding a sensor, importing or calibrating needs: none of them may
remove a person, read for care or export.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.errors import AccessDenied


class Action(StrEnum):
    """What can be done with the store; the value completes the sentence "may not ..."."""

    READ_PEOPLE = "see the people"
    WRITE_PERSON = "add or change a person"
    REMOVE_PERSON = "remove a person"
    READ_RECORD = "read a record"
    WRITE_RECORD = "add to a record"
    READ_IMPORT = "read import reports"
    WRITE_IMPORT = "keep an import report"
    READ_TWIN = "read a twin"
    WRITE_TWIN = "keep a twin"
    READ_SCENARIO = "read saved what-if scenarios"
    WRITE_SCENARIO = "keep or remove a what-if scenario"
    READ_PREFERENCE = "read display preferences"
    WRITE_PREFERENCE = "keep display preferences"


_EVERYTHING = frozenset(Action)
_NOTHING: frozenset[Action] = frozenset()

RULES: Mapping[Role, Mapping[Purpose, frozenset[Action]]] = MappingProxyType(
    {
        Role.OWNER: MappingProxyType(dict.fromkeys(Purpose, _EVERYTHING)),
        Role.SYSTEM: MappingProxyType(
            {
                Purpose.LIVE_FEED: frozenset({Action.READ_PEOPLE, Action.READ_RECORD, Action.WRITE_RECORD}),
                Purpose.IMPORT: frozenset(
                    {
                        Action.READ_PEOPLE,
                        Action.WRITE_PERSON,
                        Action.READ_RECORD,
                        Action.WRITE_RECORD,
                        Action.READ_IMPORT,
                        Action.WRITE_IMPORT,
                    }
                ),
                Purpose.CALIBRATION: frozenset(
                    {Action.READ_PEOPLE, Action.READ_RECORD, Action.READ_TWIN, Action.WRITE_TWIN}
                ),
            }
        ),
    }
)
"""The actions that each role may do for each purpose; what does not stand here is denied."""


def may(viewer: Viewer, action: Action) -> bool:
    """Whether the rules allow the action to this viewer."""
    return action in RULES.get(viewer.role, {}).get(viewer.purpose, _NOTHING)


def require(viewer: Viewer, action: Action) -> None:
    """Return if the rules allow the action, else raise `AccessDenied` with a sentence that names all three."""
    if not may(viewer, action):
        raise AccessDenied(
            f"{viewer.name} ({viewer.role}) may not {action} for the purpose {viewer.purpose}. "
            f"Ask as {Role.OWNER}, or for a purpose that allows it: {_purposes_of(viewer.role, action)}."
        )


def _purposes_of(role: Role, action: Action) -> str:
    purposes = [purpose for purpose, actions in RULES.get(role, {}).items() if action in actions]
    return ", ".join(purposes) or "none"
