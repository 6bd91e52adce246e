"""The current time in any time zone."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from parley.clock import utc_now
from parley.tools.decorator import tool
from parley.tools.spec import ToolFailed


@tool(timeout_s=2)
def current_time(
    timezone: Annotated[str, Field(description="An IANA time zone, such as Europe/Lisbon", max_length=64)] = "UTC",
) -> str:
    """Return the current date and time in a time zone, with the day of the week and the offset from UTC."""
    return _format_time(utc_now().astimezone(_zone(timezone)), timezone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ToolFailed(f"Unknown time zone {name!r}. Use an IANA name, such as Europe/Lisbon.") from exc


def _format_time(now: datetime, timezone: str) -> str:
    return f"{now:%A, %d %B %Y, %H:%M:%S} in {timezone} ({now.isoformat(timespec='seconds')})"
