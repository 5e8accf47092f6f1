"""Every error that Biotwin raises on purpose.

    BiotwinError
    |-- BadInput                 something given from outside cannot be used
    |   |-- BadScenario          a JSON scenario: names the field, what was got, what is allowed
    |   |-- BadFile              a file that no source can read
    |   `-- OutOfRange           a number outside the range that its quantity allows
    |-- UnknownName              a model, drug, person or parameter that does not exist
    |-- AccessDenied             the viewer may not do this
    |-- SimulationFailed         an integration left the finite numbers
    `-- DamagedArtifact          shipped or cached data whose checksum or form is wrong

A message says what was wrong, what was got, and what to do. An *expected* refusal (a stale sensor, too
little data) is no error: it is a value with a status and a sentence, such as `domain.forecasts.Forecast`.
"""

from collections.abc import Iterable


class BiotwinError(Exception):
    """The root: catch it at a border to turn any deliberate refusal into a sentence."""


class BadInput(BiotwinError):
    """Something given from outside cannot be used."""


class BadScenario(BadInput):
    """A JSON scenario that does not keep the contract of `python -m twin_core schema`."""


class BadFile(BadInput):
    """A file that cannot be read at all (a bad *row* is no error: it is rejected in the import report)."""


class OutOfRange(BadInput):
    """A number outside the range that its quantity allows."""

    def __init__(self, name: str, got: float, low: float, high: float, unit: str) -> None:
        super().__init__(f"{name} is {got:g} {unit}; allowed is {low:g} to {high:g} {unit}.")


class UnknownName(BiotwinError):
    """A model, drug, person or parameter that does not exist."""

    def __init__(self, kind: str, got: str, allowed: Iterable[str] = ()) -> None:
        names = ", ".join(sorted(allowed))
        hint = f" Known: {names}." if names else ""
        super().__init__(f"There is no {kind} called {got!r}.{hint}")


class AccessDenied(BiotwinError):
    """The viewer may not do this."""


class SimulationFailed(BiotwinError):
    """An integration left the finite numbers or a state went below zero."""


class DamagedArtifact(BiotwinError):
    """Shipped or cached data whose checksum or form is wrong."""
