"""The current time, its RFC 3339 form, and dates in words, always in UTC."""

from datetime import UTC, date, datetime

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def utc_now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Format `moment` as RFC 3339 in UTC, with microseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def date_in_words(day: date) -> str:
    """Format `day` as "2023-05-08, Monday, 8 May 2023", in English wherever the server is. Models find both forms in a question."""
    return f"{day:%Y-%m-%d}, {WEEKDAYS[day.weekday()]}, {day.day} {MONTHS[day.month - 1]} {day.year}"
