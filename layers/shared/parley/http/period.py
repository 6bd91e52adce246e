"""A stretch of time in a query: `?from=` and `?to=`, dates or moments, in UTC where they say nothing else."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Query

from parley.clock import utc_now
from parley.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class PeriodRequest:
    """From `start` on, up to but not with `end`."""

    start: datetime
    end: datetime


async def period_request(
    from_: Annotated[str | None, Query(alias="from", max_length=40)] = None, to: Annotated[str | None, Query(max_length=40)] = None
) -> PeriodRequest:
    """Read the query string; it means this month so far where it is silent."""
    now = utc_now()
    start = _moment(from_, "from") if from_ else now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = _moment(to, "to") if to else now
    return PeriodRequest(start, end)


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise InvalidInput("neither a date nor a time as RFC 3339 writes them", loc=("query", name)) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Period = Annotated[PeriodRequest, Depends(period_request)]
