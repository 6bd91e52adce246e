"""EventBridge's schedule expressions: `rate(…)`, `cron(…)` and `at(…)`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, CroniterError, croniter

_RATE_PATTERN = re.compile(r"rate\((\d+) (minute|hour|day)(s?)\)")
_CRON_PATTERN = re.compile(r"cron\((.+)\)")
_AT_PATTERN = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class ScheduleExpressionInvalid(Exception):
    """EventBridge would reject the expression, or the emulator does not support it."""


@dataclass(frozen=True)
class ScheduleExpression:
    """The times of a schedule; exactly one of `period`, `cron` (in croniter's order of fields) and `once` is set."""

    zone: tzinfo
    period: timedelta | None = None
    cron: str | None = None
    once: datetime | None = None

    @classmethod
    def parse(cls, text: str, *, timezone: str = "UTC") -> "ScheduleExpression":
        """Return the parsed expression. Raises `ScheduleExpressionInvalid` with the reason."""
        zone = _zone(timezone)
        if match := _RATE_PATTERN.fullmatch(text):
            return cls(zone, period=_period(int(match[1]), match[2], match[3], text))
        if match := _AT_PATTERN.fullmatch(text):
            return cls(zone, once=datetime.fromisoformat(match[1]).replace(tzinfo=zone))
        if match := _CRON_PATTERN.fullmatch(text):
            return cls(zone, cron=_cron(match[1], text))
        raise ScheduleExpressionInvalid(f"{text!r} is not rate(…), cron(…) or at(…)")

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first due time after `moment`, in UTC, or None if the schedule has ended.

        A rate counts from `moment`; on AWS it counts from the deployment.
        """
        if self.period:
            return moment + self.period
        if self.once:
            return self.once.astimezone(UTC) if self.once > moment else None
        try:
            due: datetime = croniter(self.cron, moment.astimezone(self.zone)).get_next(datetime)
        except CroniterBadDateError:
            return None
        return due.astimezone(UTC)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # ZoneInfo("UTC") fails on a system without the time zone database
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ScheduleExpressionInvalid(f"{name!r} is not a time zone") from error


def _period(count: int, unit: str, plural: str, text: str) -> timedelta:
    if count < 1 or (count == 1) == bool(plural):
        raise ScheduleExpressionInvalid(f"{text!r}: write rate(1 {unit}) or rate(2 {unit}s)")
    return timedelta(**{f"{unit}s": count})


def _cron(fields: str, text: str) -> str:
    """Translate EventBridge's `minute hour day month weekday year` to croniter's fields and weekday names."""
    parts = fields.split()
    if len(parts) != 6:
        raise ScheduleExpressionInvalid(f"{text!r} has {len(parts)} fields; EventBridge needs six, the last for the year")
    minute, hour, day, month, weekday, year = parts
    if (day == "?") == (weekday == "?"):
        raise ScheduleExpressionInvalid(f"{text!r}: exactly one of day and weekday must be '?'")
    if "W" in day.upper() or weekday.upper().endswith("L"):
        raise ScheduleExpressionInvalid(f"{text!r}: the emulator does not support W or a weekday's L")
    translated = " ".join([minute, hour, day.replace("?", "*"), month, _weekday(weekday), "0", year])
    try:
        croniter(translated)
    except CroniterError as error:
        raise ScheduleExpressionInvalid(f"{text!r}: {error}") from error
    return translated


def _weekday(field: str) -> str:
    """Replace weekday numbers by names, because Sunday is 1 in EventBridge and 0 in cron."""
    if field == "?":
        return "*"
    head, slash, step = field.partition("/")
    head, hash_, nth = head.partition("#")
    named = re.sub(r"\d+", lambda match: _day(int(match[0])), head)
    return f"{named}{hash_}{nth}{slash}{step}"


def _day(number: int) -> str:
    if not 1 <= number <= 7:
        raise ScheduleExpressionInvalid(f"{number} is not a weekday: 1 is Sunday, 7 is Saturday")
    return _DAYS[number - 1]
