"""The time that a question names: "what did I say last week", "in May", "two days ago".

English only, as the built-in embedding model is. Days are UTC, as in passages. Every pattern is bounded, so the time of a search is
linear in the question's length.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from parley.clock import MONTHS, WEEKDAYS

_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_COUNTS |= {"ten": 10, "eleven": 11, "twelve": 12, "couple of": 2, "a couple of": 2, "few": 3, "a few": 3, "": 1}
_DAYS_OF = {"day": 1, "week": 7, "month": 31, "year": 366}
_COUNT = rf"(\d{{1,3}}|{'|'.join(filter(None, _COUNTS))})"
_WEEKDAY = f"({'|'.join(WEEKDAYS).lower()})"
_MONTH = f"({'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in MONTHS).lower()})"
_DAY_OF_MONTH = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"((?:19|20)\d\d)"
# "On Monday" and "in May" may be still to come: they count in a question about the past only.
_PAST = re.compile(
    r"\b(?:did|was|were|had|been|said|told|asked|talked|spoke|discussed|mentioned|wrote|written|decided|agreed|happened|bought|went|met)\b"
)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in UTC, from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def start(self) -> datetime:
        """Midnight before the first day."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """Midnight after the last day."""
        return datetime.combine(self.last, time(), UTC) + timedelta(days=1)


def named_period(question: str, *, today: date) -> Period | None:
    """Return the period before or around `today` that the question names first, None if it names none."""
    words = " ".join(question.lower().split())
    is_past = _PAST.search(words) is not None
    for pattern, needs_past, period_of in _TIMES:
        if (is_past or not needs_past) and (match := pattern.search(words)):
            period = period_of(today, *match.groups(default=""))
            if period and period.first <= today:
                return period
    return None


def _iso_day(_today: date, year: str, month: str, day: str) -> Period | None:
    return _single_day(int(year), int(month), int(day))


def _day_before_month(today: date, day: str, month: str, year: str) -> Period | None:
    return _single_day(int(year) if year else _last_year_with(today, _month_number(month), int(day)), _month_number(month), int(day))


def _month_before_day(today: date, month: str, day: str, year: str) -> Period | None:
    return _day_before_month(today, day, month, year)


def _ago(today: date, count: str, unit: str) -> Period:
    number = _number(count)
    match unit:
        case "day":
            return Period(*[today - timedelta(days=number)] * 2)
        case "week":
            middle = today - timedelta(weeks=number)
            return Period(middle - timedelta(days=3), middle + timedelta(days=3))
        case "month":
            return _month_period(today.year, today.month - number)
        case _:
            return _year_period(today.year - number)


def _recent(today: date, count: str, unit: str) -> Period:
    return Period(today - timedelta(days=_number(count) * _DAYS_OF[unit]), today)


def _number(count: str) -> int:
    return _COUNTS[count] if count in _COUNTS else int(count)


def _calendar(today: date, which: str, unit: str) -> Period:
    back = 0 if which == "this" else 1
    monday = today - timedelta(days=today.weekday() + 7 * back)
    match unit:
        case "week":
            return Period(monday, monday + timedelta(days=6))
        case "weekend":
            return Period(monday + timedelta(days=5), monday + timedelta(days=6))
        case "month":
            return _month_period(today.year, today.month - back)
        case _:
            return _year_period(today.year - back)


def _relative_day(today: date, name: str) -> Period:
    days = {"the day before yesterday": 2, "yesterday": 1, "last night": 1}.get(name, 0)
    return Period(*[today - timedelta(days=days)] * 2)


def _weekday(today: date, name: str) -> Period:
    """Return the newest such day before today."""
    days = (today.weekday() - [weekday.lower() for weekday in WEEKDAYS].index(name)) % 7 or 7
    return Period(*[today - timedelta(days=days)] * 2)


def _month(today: date, name: str, year: str) -> Period:
    number = _month_number(name)
    return _month_period(int(year) if year else _last_year_with(today, number, 1), number)


def _year(_today: date, year: str) -> Period:
    return _year_period(int(year))


def _month_number(name: str) -> int:
    return [month[:3].lower() for month in MONTHS].index(name[:3]) + 1


def _last_year_with(today: date, month: int, day: int) -> int:
    return today.year - ((month, day) > (today.month, today.day))


def _single_day(year: int, month: int, day: int) -> Period | None:
    try:
        return Period(*[date(year, month, day)] * 2)
    except ValueError:
        return None


def _month_period(year: int, month: int) -> Period:
    """Return a month's days; months of 0 and less are those of earlier years."""
    first = date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
    return Period(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def _year_period(year: int) -> Period:
    return Period(date(year, 1, 1), date(year, 12, 31))


# Pattern, whether it needs a question about the past, and the period of its groups. More exact times come first.
_TIMES: list[tuple[re.Pattern[str], bool, Callable[..., Period | None]]] = [
    (re.compile(rf"\b{_YEAR}-(\d\d)-(\d\d)\b"), False, _iso_day),
    (re.compile(rf"\b{_DAY_OF_MONTH}(?: of)? {_MONTH}(?:,? {_YEAR})?\b"), True, _day_before_month),
    (re.compile(rf"\b{_MONTH} {_DAY_OF_MONTH}(?:,? {_YEAR})?\b"), True, _month_before_day),
    (re.compile(rf"\b{_COUNT} (day|week|month|year)s? ago\b"), False, _ago),
    (re.compile(r"\b(the day before yesterday|yesterday|last night)\b"), False, _relative_day),
    (re.compile(r"\b(earlier today|this morning|today)\b"), True, _relative_day),
    (re.compile(rf"\b(?:last|past|previous) {_COUNT} (day|week|month|year)s?\b"), False, _recent),
    (re.compile(r"\bpast()? (week|month|year)\b"), False, _recent),
    (re.compile(r"\b(last|previous) (weekend|week|month|year)\b"), False, _calendar),
    (re.compile(r"\b(this) (weekend|week|month|year)\b"), True, _calendar),
    (re.compile(rf"\blast {_WEEKDAY}\b"), False, _weekday),
    (re.compile(rf"\b(?:on|this|since) {_WEEKDAY}\b"), True, _weekday),
    (re.compile(rf"\blast {_MONTH}()\b"), False, _month),
    (re.compile(rf"\b(?:in|during|since|of) {_MONTH}(?:,? {_YEAR})?\b"), True, _month),
    (re.compile(rf"\bin {_YEAR}\b"), True, _year),
]
