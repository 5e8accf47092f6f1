"""The rule table: who may do what, and why."""

import pytest

from twin_core.domain.access import Purpose, Role, Viewer
from twin_core.domain.errors import AccessDenied
from twin_core.security.access import RULES, Action, may, require


def viewer(role: Role, purpose: Purpose) -> Viewer:
    return Viewer(name="somebody", role=role, purpose=purpose)


def test_the_owner_may_do_everything_for_every_purpose() -> None:
    assert all(may(viewer(Role.OWNER, purpose), action) for purpose in Purpose for action in Action)


@pytest.mark.parametrize("purpose", [Purpose.CARE, Purpose.EXPORT])
def test_the_system_may_do_nothing_for_care_or_export(purpose: Purpose) -> None:
    assert not any(may(viewer(Role.SYSTEM, purpose), action) for action in Action)


def test_the_live_feed_reads_and_appends_and_nothing_else() -> None:
    allowed = {action for action in Action if may(viewer(Role.SYSTEM, Purpose.LIVE_FEED), action)}
    assert allowed == {Action.READ_PEOPLE, Action.READ_RECORD, Action.WRITE_RECORD}


def test_calibration_keeps_twins_but_changes_no_record() -> None:
    calibrating = viewer(Role.SYSTEM, Purpose.CALIBRATION)
    assert may(calibrating, Action.WRITE_TWIN)
    assert not may(calibrating, Action.WRITE_RECORD)


def test_the_system_never_removes_a_person() -> None:
    assert not any(Action.REMOVE_PERSON in actions for actions in RULES[Role.SYSTEM].values())


def test_a_denial_says_who_what_why_and_what_would_be_allowed() -> None:
    with pytest.raises(AccessDenied) as denial:
        require(viewer(Role.SYSTEM, Purpose.LIVE_FEED), Action.WRITE_TWIN)
    for part in ("somebody", "system", "keep a twin", "live_feed", "calibration"):
        assert part in str(denial.value)


def test_a_purpose_chosen_anew_changes_what_is_allowed() -> None:
    feeding = viewer(Role.SYSTEM, Purpose.LIVE_FEED)
    require(feeding.with_purpose(Purpose.CALIBRATION), Action.WRITE_TWIN)


def test_the_rules_cannot_be_changed_while_running() -> None:
    with pytest.raises(TypeError):
        RULES[Role.SYSTEM] = RULES[Role.OWNER]  # type: ignore[index]
