"""What is made once for each state of a person and kept while it may be asked for again."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Kept(Generic[Made]):
    """The `most` things made last, by a key that names the state they were made from; for several threads at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._made: dict[Hashable, Made] = {}

    def of(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What was made for a key, or is made now. Two threads that ask at once may both make it."""
        try:
            return self._made[key]
        except KeyError:
            made = make()
        with self._lock:
            self._made[key] = made
            for old in list(self._made)[: -self._most]:
                del self._made[old]
        return made
