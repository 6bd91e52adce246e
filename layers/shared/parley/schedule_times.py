"""When a scheduled prompt is due: a cron expression in a time zone, or a number of minutes.

Expressions have the five fields of cron: minute, hour, day of the month, month and weekday (0 or 7 is Sunday). If both days are given, a
day matches either, as in cron. A local time that a clock change skips is due as much later as the clock jumps, and a time that occurs
twice is due the first time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from parley.errors import InvalidInput

# A leap day may be eight years away.
_HORIZON_DAYS = 9 * 366
_CHECKED_TIMES = 60
_FIELDS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
_NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "weekday": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_PART = re.compile(r"(?P<first>\*|[0-9]{1,2}|[a-z]{3})(?:-(?P<last>[0-9]{1,2}|[a-z]{3}))?(?:/(?P<step>[0-9]{1,2}))?")


class InvalidSchedule(InvalidInput):
    """The times of a schedule are malformed, never occur, or are closer together than the deployment allows."""


@dataclass(frozen=True, slots=True)
class ScheduleTimes:
    """The times of a schedule; exactly one of `cron` and `every_minutes` is set."""

    cron: str | None
    every_minutes: int | None
    time_zone: str = "UTC"

    def next_after(self, moment: datetime, *, least_minutes: int = 0) -> datetime:
        """Return the first time after `moment`, and at least `least_minutes` after it, in UTC. Raises InvalidSchedule."""
        if self.every_minutes is not None:
            return moment + timedelta(minutes=max(self.every_minutes, least_minutes))
        earliest = moment + timedelta(minutes=least_minutes)
        for due in self._times_from(earliest):
            if due > moment and due >= earliest:
                return due
        raise InvalidSchedule("this time never occurs", loc=("body", "cron"))

    def check(self, now: datetime, *, least_minutes: int) -> None:
        """Raise InvalidSchedule if the times are malformed, never occur, or two of the next are less than `least_minutes` apart."""
        if self.every_minutes is not None:
            gaps = [timedelta(minutes=self.every_minutes)]
        else:
            times = [self.next_after(now)]
            for due in self._times_from(times[0]):
                times += [due] if due > times[-1] else []
                if len(times) == _CHECKED_TIMES:
                    break
            gaps = [later - earlier for earlier, later in pairwise(times)]
        if gaps and min(gaps) < timedelta(minutes=least_minutes):
            place = "cron" if self.cron is not None else "every_minutes"
            raise InvalidSchedule(f"a prompt may run every {least_minutes} minutes at most", loc=("body", place))

    def _times_from(self, earliest: datetime) -> Iterator[datetime]:
        """Yield the times in order, in UTC, beginning a little before `earliest`."""
        fields, zone = _parse(self.cron or ""), _zone(self.time_zone)
        first_day = earliest.astimezone(zone).date() - timedelta(days=1)
        for number in range(_HORIZON_DAYS):
            day = first_day + timedelta(days=number)
            if _matches(fields, day):
                # After a skipped hour, two local times may be the same moment, or change their order.
                local = (datetime(day.year, day.month, day.day, hour, minute) for hour in fields["hour"] for minute in fields["minute"])
                yield from sorted({moment.replace(tzinfo=zone).astimezone(UTC) for moment in local})


type _Cron = dict[str, frozenset[int]]


def _matches(fields: _Cron, day: date) -> bool:
    if day.month not in fields["month"]:
        return False
    is_day, is_weekday = day.day in fields["day"], day.isoweekday() % 7 in fields["weekday"]
    # A field with all values is not a condition. If both are conditions, cron accepts either.
    if len(fields["day"]) < 31 and len(fields["weekday"]) < 7:
        return is_day or is_weekday
    return is_day and is_weekday


def _parse(expression: str) -> _Cron:
    parts = expression.lower().split()
    if len(parts) != len(_FIELDS):
        raise InvalidSchedule("cron has five fields: minute, hour, day, month and weekday", loc=("body", "cron"))
    fields = {name: _values(name, part) for name, part in zip(_FIELDS, parts, strict=True)}
    return fields | {"weekday": frozenset(number % 7 for number in fields["weekday"])}


def _values(name: str, field: str) -> frozenset[int]:
    least, most = _FIELDS[name]
    values: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise InvalidSchedule(f"the field {name} cannot be read", loc=("body", "cron"))
        step = int(match["step"] or 1)
        first = least if match["first"] == "*" else _number(name, match["first"])
        last = _number(name, match["last"]) if match["last"] else most if match["first"] == "*" or match["step"] else first
        if not least <= first <= last <= most or step == 0:
            raise InvalidSchedule(f"the field {name} is out of range", loc=("body", "cron"))
        values |= set(range(first, last + 1, step))
    return frozenset(values)


def _number(name: str, text: str) -> int:
    if text.isdecimal():
        return int(text)
    names = _NAMES.get(name, ())
    if text not in names:
        raise InvalidSchedule(f"the field {name} cannot be read", loc=("body", "cron"))
    return names.index(text) + (1 if name == "month" else 0)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise InvalidSchedule("this is not a time zone, such as Europe/Berlin", loc=("body", "time_zone")) from exc
