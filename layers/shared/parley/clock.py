"""Time, always UTC."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment, aware of being UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Write `moment` as RFC 3339 in UTC with `Z` and microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
