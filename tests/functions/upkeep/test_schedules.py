"""Due prompts are started once, by one alarm for all, and never for a disabled account."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from parley.clock import utc_now
from parley.db.schedules import runs
from parley.db.transactions import user_scope
from parley.jobs import RingAlarm, ScheduleNotice
from tests.functions.upkeep.schedule_rows import add_run, add_schedule
from tests.functions.upkeep.test_webhooks import RecordingUpkeepQueue
from tests.support.concurrency import outcomes
from tests.support.queues import emails_to


@pytest.fixture
def queue():
    return RecordingUpkeepQueue()


@pytest.fixture
def started():
    """The runs that were started."""
    return []


@pytest.fixture
def worker(upkeep, queue, started, postgres, monkeypatch):
    """The upkeep function with a recording queue and chat function, and no alarm set."""
    from functions.upkeep import app

    def start_run(request):
        started.append((UUID(request["user_id"]), UUID(request["run_id"])))

    postgres.execute("UPDATE schedule_alarm SET rings_at = NULL")
    postgres.execute("DELETE FROM scheduled_prompts")
    monkeypatch.setattr(app, "services", replace(app.services, start_run=start_run, queue=queue))
    return upkeep


def ring(worker):
    return worker.deliver(RingAlarm(utc_now()))


def of(started, person):
    return [run_id for user_id, run_id in started if user_id == person.id]


def test_a_prompt_runs_once_however_often_the_alarm_rings(worker, engine, alice, started):
    add_schedule(engine, alice)
    for _ in range(3):
        ring(worker)

    assert len(of(started, alice)) == 1


def test_a_prompt_runs_once_if_alarms_ring_at_the_same_time(worker, engine, alice, started):
    from functions.upkeep import app
    from functions.upkeep.schedules import start_due

    for _ in range(3):
        add_schedule(engine, alice)
    outcomes([lambda: start_due(app.services)] * 4)

    assert len(set(of(started, alice))) == len(of(started, alice)) == 3


def test_times_that_passed_while_the_system_was_down_are_made_up_for_once(worker, engine, alice, started, postgres):
    schedule_id = add_schedule(engine, alice, cron=None, every_minutes=60, next_at=utc_now() - timedelta(days=3))
    ring(worker)
    ring(worker)
    ((is_future,),) = postgres.execute(f"SELECT next_at > now() + interval '59 minutes' FROM scheduled_prompts WHERE id = '{schedule_id}'")

    assert (len(of(started, alice)), is_future) == (1, True)


def test_a_time_is_run_once_even_if_the_clock_steps_back(worker, engine, alice, started, postgres):
    schedule_id = add_schedule(engine, alice)
    before = postgres.execute(f"SELECT next_at FROM scheduled_prompts WHERE id = '{schedule_id}'")[0][0]
    ring(worker)
    postgres.execute(f"UPDATE scheduled_prompts SET next_at = '{before}' WHERE id = '{schedule_id}'")
    ring(worker)

    assert len(of(started, alice)) == 1


@pytest.mark.parametrize("state", ["UPDATE users SET disabled_at = now()", "UPDATE scheduled_prompts SET paused_at = now()"])
def test_neither_a_disabled_account_nor_a_paused_prompt_runs(worker, engine, alice, started, postgres, state):
    add_schedule(engine, alice)
    column = "id" if "users" in state else "user_id"
    postgres.execute(f"{state} WHERE {column} = '{alice.id}'")
    ring(worker)

    assert of(started, alice) == []


def test_one_alarm_waits_for_all_prompts(worker, engine, alice, queue):
    soon, later = utc_now() + timedelta(hours=1), utc_now() + timedelta(hours=2)
    worker.deliver(RingAlarm(later), RingAlarm(soon), RingAlarm(later))

    assert queue.sent == [RingAlarm(later, is_set=True), RingAlarm(soon, is_set=True)]


def test_an_alarm_that_has_rung_is_set_for_the_next_prompt(worker, engine, alice, queue):
    add_schedule(engine, alice)
    next_at = utc_now() + timedelta(minutes=5)
    add_schedule(engine, alice, next_at=next_at)
    ring(worker)

    assert RingAlarm(next_at, is_set=True) in queue.sent


def test_an_alarm_waits_on_without_the_database(worker, queue, monkeypatch):
    from functions.upkeep import app

    monkeypatch.setattr(app, "services", replace(app.services, engine=None, background=None))
    job = RingAlarm(utc_now() + timedelta(hours=3), is_set=True)

    assert (worker.deliver(job), queue.sent) == ([], [job])


def test_a_run_whose_start_was_lost_is_started_again_and_at_last_given_up(worker, engine, alice, started, postgres):
    run_id = add_run(engine, alice, add_schedule(engine, alice, next_at=utc_now() + timedelta(days=1)))
    aged = f"UPDATE schedule_runs SET sent_at = now() - interval '3 minutes', leased_until = NULL, attempts = {{}} WHERE id = '{run_id}'"
    postgres.execute(aged.format(2))
    worker.recover()
    postgres.execute(aged.format(3))
    worker.recover()

    assert of(started, alice) == [run_id]
    assert postgres.execute(f"SELECT status, error_code FROM schedule_runs WHERE id = '{run_id}'") == [("failed", "function_lost")]


def test_a_prompt_is_paused_after_three_failures_in_a_row(worker, engine, alice):
    schedule_id = add_schedule(engine, alice, next_at=utc_now() + timedelta(days=1))
    ends = []
    for status in ("failed", "failed", "completed", "failed", "failed", "failed"):
        run_id = add_run(engine, alice, schedule_id)
        with user_scope(engine, alice.id) as connection:
            ends.append(runs.end(connection, run_id, user_id=alice.id, status=status).is_paused)

    assert ends == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("notice", "subject"), [("paused", "A scheduled prompt was paused"), ("ended", "A scheduled prompt has an answer")]
)
def test_the_user_is_told_by_email(worker, alice, notice, subject):
    worker.deliver(ScheduleNotice(alice.id, notice, None))

    assert [email.subject for email in emails_to(alice.email)] == [subject]


def test_old_runs_are_swept(worker, engine, alice, postgres):
    run_id = add_run(engine, alice, add_schedule(engine, alice, next_at=utc_now() + timedelta(days=1)))
    postgres.execute(f"UPDATE schedule_runs SET created_at = now() - interval '31 days' WHERE id = '{run_id}'")

    assert worker.sweep()["schedule_runs"] == 1
