"""The alarm of scheduled prompts, and how their runs are shown and found again."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from parley.clock import utc_now
from parley.db.schedules import alarm, runs, scheduled_prompts
from parley.db.tables import schedule_runs
from parley.ids import new_id
from tests.shared.db.turn.test_turns import Turns

NOW = utc_now()
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def connection(unrestricted):
    """A transaction that no policy restricts, in which there are no prompts."""
    unrestricted.execute(text("DELETE FROM scheduled_prompts"))
    return unrestricted


@pytest.fixture
def add_prompt(connection, alice):
    """Return a function that stores a prompt, of alice unless another person is given, and returns its id."""

    def add(person=alice, *, next_at=NOW + HOUR):
        times = {"prompt": "What is new?", "cron": "0 8 * * *", "every_minutes": None, "time_zone": "UTC"}
        return scheduled_prompts.add(connection, new_id(), user_id=person.id, next_at=next_at, **times).id

    return add


@pytest.fixture
def add_run(connection, alice):
    """Return a function that stores a run of a prompt."""

    def add(schedule_id, *, person=alice, **columns):
        values = {"user_id": person.id, "id": new_id(), "schedule_id": schedule_id, "due_at": NOW} | columns
        connection.execute(insert(schedule_runs).values(values))
        return values["id"]

    return add


# Due prompts


def tomorrow(prompt, now):
    return now + 24 * HOUR


def test_prompts_are_started_a_few_at_a_time_in_the_order_of_their_times(connection, add_prompt):
    late, early = add_prompt(next_at=NOW - MINUTE), add_prompt(next_at=NOW - HOUR)
    started = [alarm.start_due(connection, tomorrow, now=NOW, limit=1) for _ in range(3)]
    schedules = [connection.scalar(text("SELECT schedule_id FROM schedule_runs WHERE id = :id"), {"id": one[0][1]}) for one in started[:2]]

    assert (schedules, started[2]) == ([early, late], [])


def test_a_prompt_of_another_user_with_the_same_id_keeps_its_next_time(connection, add_prompt, alice, bob):
    id, own = add_prompt(next_at=NOW - MINUTE), add_prompt(bob)
    connection.execute(text("UPDATE scheduled_prompts SET id = :id WHERE id = :own"), {"id": id, "own": own})
    alarm.start_due(connection, tomorrow, now=NOW, limit=9)
    next_times = {person.id: scheduled_prompts.get(connection, id, user_id=person.id).next_at for person in (alice, bob)}

    assert next_times == {alice.id: NOW + 24 * HOUR, bob.id: NOW + HOUR}


def test_two_alarms_that_ring_at_once_start_different_prompts(superuser, alice):
    add = (
        "INSERT INTO scheduled_prompts (user_id, id, prompt, cron, time_zone, next_at) "
        "VALUES (:user, gen_random_uuid(), 'What is new?', '0 8 * * *', 'UTC', '1999-01-01')"
    )
    with superuser.begin() as connection:
        connection.execute(text(add), [{"user": alice.id}] * 2)
    with superuser.connect() as first, superuser.connect() as second:
        second.execute(text("SET LOCAL lock_timeout = '10s'"))
        for one in (first, second):
            alarm.start_due(one, tomorrow, now=NOW, limit=1)
        moved = [
            set(one.scalars(text("SELECT id FROM scheduled_prompts WHERE next_at = :at"), {"at": NOW + 24 * HOUR}))
            for one in (first, second)
        ]
        first.rollback()
        second.rollback()
    with superuser.begin() as connection:
        connection.execute(text("DELETE FROM scheduled_prompts WHERE user_id = :user"), {"user": alice.id})

    assert [len(ids) for ids in moved] == [1, 1]
    assert moved[0].isdisjoint(moved[1])


# The alarm


@pytest.fixture
def rings_at(connection):
    """Return a function that sets the time of the alarm, or reads it."""

    def set_or_read(*at):
        if at:
            connection.execute(text("UPDATE schedule_alarm SET rings_at = :at"), {"at": at[0]})
        return connection.scalar(text("SELECT rings_at FROM schedule_alarm"))

    return set_or_read


ALARMS = [(None, True), (NOW - MINUTE, True), (NOW + 2 * HOUR, True), (NOW + MINUTE, False)]


@pytest.mark.parametrize(("before", "is_set"), ALARMS)
def test_the_alarm_is_moved_only_to_an_earlier_time_unless_it_has_rung(connection, rings_at, before, is_set):
    rings_at(before)

    assert alarm.set_earlier(connection, NOW + HOUR, now=NOW) is is_set
    assert rings_at() == (NOW + HOUR if is_set else before)


@pytest.mark.parametrize(("before", "is_set"), [*ALARMS, (NOW + HOUR, False)])
def test_the_alarm_is_set_for_the_next_prompt_unless_it_rings_earlier(connection, add_prompt, rings_at, before, is_set):
    for hours in (3, 1, 2):
        add_prompt(next_at=NOW + hours * HOUR)
    rings_at(before)

    assert alarm.set_again(connection, now=NOW) == (NOW + HOUR if is_set else None)
    assert rings_at() == (NOW + HOUR if is_set else before)


def test_no_alarm_is_set_for_a_paused_prompt(connection, add_prompt, rings_at):
    id = add_prompt()
    connection.execute(text("UPDATE scheduled_prompts SET paused_at = now() WHERE id = :id"), {"id": id})
    rings_at(None)

    assert alarm.set_again(connection, now=NOW) is None


def test_a_lost_run_of_another_user_with_the_same_id_is_left_alone(connection, add_prompt, add_run, alice, bob):
    id, now = new_id(), utc_now()
    for person, age in ((alice, HOUR), (bob, timedelta())):
        add_run(add_prompt(person), person=person, id=id, sent_at=now - age)

    assert (alice.id, id, 0) in alarm.take_lost(connection, limit=10_000)
    assert connection.scalar(text("SELECT sent_at FROM schedule_runs WHERE user_id = :user"), {"user": bob.id}) == now


# Runs


@pytest.mark.parametrize(
    ("status", "turn", "shown"),
    [
        ("waiting", "status = 'waiting'", ("waiting", None)),
        ("waiting", "status = 'running'", ("running", None)),
        ("waiting", "status = 'completed'", ("completed", None)),
        ("waiting", "status = 'stopped'", ("completed", None)),
        ("waiting", "status = 'interrupted'", ("failed", "interrupted")),
        ("waiting", "status = 'failed', error_code = 'model_failed'", ("failed", "model_failed")),
        ("waiting", None, ("completed", None)),
        ("completed", "status = 'failed', error_code = 'model_failed'", ("completed", None)),
        ("failed", "status = 'completed'", ("failed", "own")),
    ],
)
def test_a_run_that_waited_ends_as_its_turn_does(connection, add_prompt, add_run, alice, status, turn, shown):
    schedule_id, mine = add_prompt(), Turns(connection, alice.id)
    begun, other = mine.begin(), mine.begin()
    mine.change(other, "status = 'failed', error_code = 'other'")
    add_run(schedule_id, status=status, turn_id=begun.turn_id if turn else new_id(), error_code="own" if status == "failed" else None)
    mine.change(begun, turn or "status = 'failed'")
    (run,) = runs.page(connection, schedule_id, user_id=alice.id, limit=9, after=None)

    assert (run.status, run.error_code) == shown


def test_a_run_that_waited_ended_when_its_turn_did(connection, add_prompt, add_run, alice):
    schedule_id, mine = add_prompt(), Turns(connection, alice.id)
    waited, ended = mine.begin(), mine.begin()
    for turn, status in ((waited, "waiting"), (ended, "completed")):
        mine.change(turn, "status = 'completed', ended_at = now() - interval '1 minute'")
        add_run(schedule_id, status=status, turn_id=turn.turn_id, due_at=NOW + HOUR * (status == "waiting"), finished_at=NOW - HOUR)
    found = {run.turn_id: run.finished_at for run in runs.page(connection, schedule_id, user_id=alice.id, limit=9, after=None)}

    assert found[ended.turn_id] == NOW - HOUR < found[waited.turn_id]
    assert connection.scalar(text("SELECT now() - interval '1 minute'")) == found[waited.turn_id]


def test_runs_are_kept_for_thirty_days(connection, add_prompt, add_run):
    schedule_id = add_prompt()
    kept, _ = (add_run(schedule_id, due_at=NOW - age, created_at=NOW - age) for age in (timedelta(days=29), timedelta(days=31)))
    runs.sweep(connection)

    assert connection.scalars(text("SELECT id FROM schedule_runs WHERE schedule_id = :id"), {"id": schedule_id}).all() == [kept]


def test_a_turn_of_another_user_with_the_same_id_says_nothing_about_a_run(connection, add_prompt, add_run, alice, bob):
    schedule_id, of_bob = add_prompt(), Turns(connection, bob.id)
    turn = of_bob.begin()
    of_bob.change(turn, "status = 'failed'")
    add_run(schedule_id, status="waiting", turn_id=turn.turn_id)
    (run,) = runs.page(connection, schedule_id, user_id=alice.id, limit=9, after=None)

    assert run.status == "completed"
