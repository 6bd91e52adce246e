"""A date range in the query string: `?from=` and `?to=` are dates or timestamps, in UTC unless they have an offset."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query

from parley.clock import utc_now
from parley.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class DateRange:
    """The half-open interval [`start`, `end`)."""

    start: datetime
    end: datetime


async def read_date_range(
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None, to: Annotated[str | None, Query(max_length=40)] = None
) -> DateRange:
    """Read the range from the query string; it defaults to the current month (UTC) up to now."""
    now = utc_now()
    start = _parse_timestamp(from_, "from") if from_ else now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = _parse_timestamp(to, "to") if to else now
    return DateRange(start, end)


def _parse_timestamp(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidInput("must be an RFC 3339 date or timestamp", loc=("query", name)) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


DateRangeQuery = Annotated[DateRange, Depends(read_date_range)]
