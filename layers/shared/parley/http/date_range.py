"""A date range in the query string: `?from=` and `?to=`, dates or timestamps, in UTC unless they say otherwise."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query

from parley.clock import utc_now
from parley.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class DateRange:
    """From `start` on, up to but not with `end`."""

    start: datetime
    end: datetime


async def read_date_range(
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None, to: Annotated[str | None, Query(max_length=40)] = None
) -> DateRange:
    """Read the query string; it means this month so far where it is silent."""
    now = utc_now()
    start = _parse_timestamp(from_, "from") if from_ else now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = _parse_timestamp(to, "to") if to else now
    return DateRange(start, end)


def _parse_timestamp(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidInput("neither a date nor a time as RFC 3339 writes them", loc=("query", name)) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


DateRangeQuery = Annotated[DateRange, Depends(read_date_range)]
