"""When scheduled prompts are due, also where clocks change."""

from datetime import UTC, datetime, timedelta

import pytest

from parley.schedule_times import InvalidSchedule, ScheduleTimes


def next_times(cron, start, count=3, zone="Europe/Berlin"):
    """Return the next times of a cron expression after a moment in UTC, in minutes."""
    times, moment = ScheduleTimes(cron, None, zone), datetime.fromisoformat(f"{start}+00:00")
    found = []
    for _ in range(count):
        moment = times.next_after(moment)
        found.append(f"{moment:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 7 * * 1-5", ["11-30 07:30", "12-01 07:30", "12-02 07:30"]),
        ("0 */12 * * *", ["11-28 12:00", "11-29 00:00", "11-29 12:00"]),
        ("15,45 9-10 28 nov *", ["11-28 09:15", "11-28 09:45", "11-28 10:15"]),
        ("0 9 1 * mon", ["11-30 09:00", "12-01 09:00", "12-07 09:00"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
        ("0 8 * * 7", ["11-29 08:00", "12-06 08:00", "12-13 08:00"]),
        ("5/25 0 * * *", ["11-29 00:05", "11-29 00:30", "11-29 00:55"]),
    ],
)
def test_times_are_those_of_cron(cron, expected):
    assert next_times(cron, "2026-11-28T08:00", zone="UTC") == expected


def test_a_time_that_the_clock_skips_is_due_when_the_clock_has_jumped():
    # On 29 March 2026, Berlin's clocks jump from 02:00 to 03:00, which is 01:00 UTC. 02:30 becomes 03:30.
    assert next_times("30 2 * * *", "2026-03-28T00:00") == ["03-28 01:30", "03-29 01:30", "03-30 00:30"]


def test_a_time_that_occurs_twice_is_due_once():
    # On 25 October 2026, Berlin's clocks go back from 03:00 to 02:00, which is 01:00 UTC.
    assert next_times("30 2 * * *", "2026-10-24T12:00") == ["10-25 00:30", "10-26 01:30", "10-27 01:30"]


def test_hours_around_a_skipped_hour_are_due_in_order_and_once():
    assert next_times("0 * * * *", "2026-03-29T00:00", count=3) == ["03-29 01:00", "03-29 02:00", "03-29 03:00"]


def test_minutes_are_counted_from_the_last_time():
    moment = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)

    assert ScheduleTimes(None, 90).next_after(moment) == moment + timedelta(minutes=90)
    assert ScheduleTimes(None, 5).next_after(moment, least_minutes=60) == moment + timedelta(minutes=60)


def test_a_cron_expression_keeps_to_the_least_interval_too():
    moment = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)

    assert ScheduleTimes("*/10 * * * *", None).next_after(moment, least_minutes=60) == moment + timedelta(minutes=60)


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "0 0 31 2 *",
        "a * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "0 0 0 * *",
        "0 0 * foo *",
        "1,,2 * * * *",
    ],
)
def test_times_that_never_occur_are_refused(cron):
    with pytest.raises(InvalidSchedule):
        ScheduleTimes(cron, None).check(datetime(2026, 11, 28, tzinfo=UTC), least_minutes=5)


@pytest.mark.parametrize(("cron", "every_minutes"), [("*/10 * * * *", None), ("0,1 0 29 2 *", None), ("59,0 23,0 * * *", None), (None, 59)])
def test_times_too_close_together_are_refused(cron, every_minutes):
    with pytest.raises(InvalidSchedule, match="every 60 minutes"):
        ScheduleTimes(cron, every_minutes).check(datetime(2026, 11, 28, tzinfo=UTC), least_minutes=60)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "Europe"])
def test_an_unknown_time_zone_is_refused(zone):
    with pytest.raises(InvalidSchedule):
        ScheduleTimes("0 8 * * *", None, zone).check(datetime(2026, 11, 28, tzinfo=UTC), least_minutes=5)
