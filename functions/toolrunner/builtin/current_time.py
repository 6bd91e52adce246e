"""What time it is, anywhere."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from parley.clock import utc_now
from parley.tools.decorator import tool
from parley.tools.spec import ToolFailed


@tool(timeout_s=2)
def current_time(
    timezone: Annotated[str, Field(description="A time zone of the IANA's, such as Europe/Lisbon", max_length=64)] = "UTC",
) -> str:
    """Tell the current date and time in a time zone, with the day of the week and the distance from UTC."""
    return _format_time(utc_now().astimezone(_zone(timezone)), timezone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ToolFailed(f"There is no time zone {name!r}. Name one of the IANA's, such as Europe/Lisbon.") from exc


def _format_time(now: datetime, timezone: str) -> str:
    return f"{now:%A, %d %B %Y, %H:%M:%S} in {timezone} ({now.isoformat(timespec='seconds')})"
