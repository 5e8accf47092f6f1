"""Local times without a zone, placed in UTC; the two nights on which clocks change are handled row by row.

A clock that goes back shows one hour twice. Rows of one file are taken in their order: within the hour that
is shown twice they belong to the first pass until they step back in time, and from there on to the second.
A clock that goes forward skips an hour: a time within it does not exist.
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from twin_core.domain.errors import UnknownName

_MINUTE = timedelta(minutes=1)


class Placed(NamedTuple):
    """A local time in UTC, and the minutes that local time is ahead."""

    instant: datetime
    offset_min: int


class LocalClock:
    """The clock of one file, asked for its rows in order; it remembers the last row of a repeated hour.

    Attributes
    ----------
    repeated
        How many rows were placed in an hour that the clock shows twice.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._last_repeated: datetime | None = None
        self._second_pass: date | None = None
        self.repeated = 0

    def place(self, local: datetime) -> Placed | None:
        """The instant of a naive local time, or None when the clock skips it."""
        first = local.replace(tzinfo=self._zone).utcoffset() or timedelta()
        second = local.replace(tzinfo=self._zone, fold=1).utcoffset() or timedelta()
        if first < second:
            return None
        offset = first if first == second or not self._in_second_pass(local) else second
        return Placed((local - offset).replace(tzinfo=UTC), offset // _MINUTE)

    def _in_second_pass(self, local: datetime) -> bool:
        self.repeated += 1
        last, self._last_repeated = self._last_repeated, local
        if last is not None and last.date() == local.date() and local < last:
            self._second_pass = local.date()
        return self._second_pass == local.date()


def zone_named(time_zone: str) -> ZoneInfo:
    """The zone of an IANA name such as `Europe/London`; another name is `UnknownName`."""
    try:
        return ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownName("time zone (give an IANA name such as 'Europe/London')", time_zone) from error
