"""The period of a list: the current month by default, in UTC unless the client names an offset."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine

from parley.errors import InvalidInput
from parley.http.date_range import read_date_range

NOW = datetime(2026, 11, 28, 12, 34, 56, 789, tzinfo=UTC)


def period(start=None, end=None):
    with time_machine.travel(NOW, tick=False):
        found = asyncio.run(read_date_range(start, end))
    return found.start, found.end


def test_the_period_is_the_current_month_up_to_now():
    assert period() == (datetime(2026, 11, 1, tzinfo=UTC), NOW)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-03", datetime(2026, 2, 3, tzinfo=UTC)),
        ("2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        ("2026-02-03T04:05:06+02:00", datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_a_time_is_in_utc_unless_it_names_its_offset(text, moment):
    assert period(text) == (moment, NOW)
    assert period("2020-01-01", text)[1] == moment


@pytest.mark.parametrize("name", ["from", "to"])
def test_a_text_that_is_no_time_is_refused_by_its_name(name):
    with pytest.raises(InvalidInput) as refused:
        period(*(("yesterday", None) if name == "from" else (None, "yesterday")))

    assert refused.value.errors[0]["loc"] == ["query", name]
