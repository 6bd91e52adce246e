"""Work whose message or worker was lost: which rows are found again, and that two workers never take the same one."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from parley.clock import utc_now
from parley.db import outbox
from parley.db.imports import imports
from parley.db.schedules import alarm, runs, scheduled_prompts
from parley.db.transactions import user_scope
from parley.db.webhooks import deliveries, webhooks
from parley.ids import new_id
from tests.support.concurrency import closing_engine

# More than the rows that other tests leave.
MANY = 10_000
PROMPT = {"prompt": "What is new?", "cron": "0 8 * * *", "every_minutes": None, "time_zone": "UTC"}


@pytest.fixture
def set_columns(engines):
    """Return a function that changes a row as the owner of the tables."""

    def change(table, id, assignments):
        with engines["owner"].begin() as connection:
            connection.execute(text(f"UPDATE {table} SET {assignments} WHERE id = :id"), {"id": id})

    return change


@pytest.fixture
def run_id(engine, engines, alice):
    """A run of a prompt of alice's, queued just now."""
    with user_scope(engine, alice.id) as connection:
        schedule_id = scheduled_prompts.add(connection, new_id(), user_id=alice.id, next_at=utc_now(), **PROMPT).id
    values = {"user": alice.id, "id": new_id(), "schedule": schedule_id}
    with engines["owner"].begin() as connection:
        connection.execute(
            text("INSERT INTO schedule_runs (user_id, id, schedule_id, due_at) VALUES (:user, :id, :schedule, now())"), values
        )
    return values["id"]


@pytest.fixture
def delivery_id(engine, alice):
    """A delivery to a web hook of alice's, due now."""
    with user_scope(engine, alice.id) as connection:
        values = {"url": "https://example.com/", "events": ["budget.warning"], "secret": b"secret"}
        webhooks.add(connection, new_id(), user_id=alice.id, **values)
        (noted,) = deliveries.note(connection, "budget.warning", user_id=alice.id, key="k", data={})
    return noted


@pytest.fixture
def entry_id(engine, alice):
    """An entry of the outbox."""
    with user_scope(engine, alice.id) as connection:
        return outbox.add(connection, "export", user_id=alice.id, subject_id=new_id()).id


def lost_runs(connection):
    return [run_id for _, run_id, _ in alarm.take_lost(connection, limit=MANY)]


def lost_deliveries(connection):
    return [delivery_id for _, delivery_id in deliveries.take_lost(connection, limit=MANY)]


def due_entries(connection):
    return [entry.id for entry in outbox.take_due(connection, limit=MANY)]


@pytest.fixture
def is_found(engines):
    """Return a function that tells whether a worker finds a row. What it takes is given back."""

    def find(take, id):
        with engines["background"].connect() as connection:
            found = id in take(connection)
            connection.rollback()
        return found

    return find


@pytest.mark.parametrize(("age", "is_lost"), [("119 seconds", False), ("125 seconds", True)])
def test_a_run_is_started_again_two_minutes_after_its_message(is_found, set_columns, run_id, age, is_lost):
    set_columns("schedule_runs", run_id, f"sent_at = now() - interval '{age}'")

    assert is_found(lost_runs, run_id) is is_lost


def test_a_run_is_not_started_again_while_its_worker_lives(is_found, set_columns, run_id):
    set_columns("schedule_runs", run_id, "sent_at = now() - interval '1 hour', leased_until = now() - interval '1 minute'")
    assert not is_found(lost_runs, run_id)
    set_columns("schedule_runs", run_id, "leased_until = now() - interval '125 seconds'")

    assert is_found(lost_runs, run_id)


@pytest.mark.parametrize("status", ["completed", "waiting", "failed"])
def test_a_run_that_has_ended_or_waits_is_not_started_again(is_found, set_columns, run_id, status):
    set_columns("schedule_runs", run_id, f"sent_at = now() - interval '1 hour', status = '{status}'")

    assert not is_found(lost_runs, run_id)


@pytest.mark.parametrize(("age", "is_lost"), [("50 seconds", False), ("65 seconds", True)])
def test_a_delivery_is_sent_again_a_minute_after_it_was_due(is_found, set_columns, delivery_id, age, is_lost):
    set_columns("webhook_deliveries", delivery_id, f"due_at = now() - interval '{age}'")

    assert is_found(lost_deliveries, delivery_id) is is_lost


@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_a_delivery_that_has_ended_is_not_sent_again(is_found, set_columns, delivery_id, status):
    set_columns("webhook_deliveries", delivery_id, f"due_at = now() - interval '1 hour', status = '{status}'")

    assert not is_found(lost_deliveries, delivery_id)


@pytest.mark.parametrize(("age", "is_due"), [("-1 minute", False), ("0", True)])
def test_an_entry_is_sent_again_when_it_is_due(is_found, set_columns, entry_id, age, is_due):
    set_columns("outbox", entry_id, f"due_at = now() - interval '{age}'")

    assert is_found(due_entries, entry_id) is is_due


def test_an_entry_that_fails_again_and_again_is_sent_again_within_a_week(engines, set_columns, entry_id):
    set_columns("outbox", entry_id, "due_at = now(), tries = 1000")
    with user_scope(engines["background"], new_id()) as connection:
        outbox.take_due(connection, limit=MANY)
    due = text("SELECT due_at BETWEEN now() + interval '4 days' AND now() + interval '7 days' FROM outbox WHERE id = :id")
    with engines["owner"].connect() as connection:
        assert connection.scalar(due, {"id": entry_id})


@pytest.mark.parametrize(
    ("topic", "tries", "due_in", "claim_ends_in", "is_left"),
    [
        ("remember", 1, "1 s", "-1 s", False),
        ("remember", 1, "1 s", "1 s", True),
        ("remember", 1, "-1 s", "-1 s", True),
        ("remember", 0, "1 s", None, True),
        ("erase", 0, "-1 s", "1 s", False),
    ],
)
def test_a_job_is_left_while_it_runs_or_may_run(engines, entry_id, topic, tries, due_in, claim_ends_in, is_left):
    values = {"topic": topic, "tries": tries, "due_in": due_in, "claim_ends_in": claim_ends_in}
    changed = """
        UPDATE outbox SET topic = :topic, tries = :tries, due_at = now() + CAST(:due_in AS interval),
                          claimed_until = now() + CAST(:claim_ends_in AS interval)
    """
    with engines["owner"].connect() as connection:
        connection.execute(text("DELETE FROM outbox WHERE id <> :id"), {"id": entry_id})
        connection.execute(text(changed), values)
        assert outbox.is_any_left(connection) is is_left
        connection.rollback()


@pytest.mark.parametrize("take", [lost_runs, lost_deliveries, due_entries])
def test_two_workers_take_different_rows_and_none_waits_for_the_other(engines, database, set_columns, run_id, delivery_id, entry_id, take):
    for table, id, column in (
        ("schedule_runs", run_id, "sent_at"),
        ("webhook_deliveries", delivery_id, "due_at"),
        ("outbox", entry_id, "due_at"),
    ):
        set_columns(table, id, f"{column} = now() - interval '1 hour'")
    with engines["background"].connect() as first, closing_engine(database, role="background") as another, another.connect() as second:
        second.execute(text("SET LOCAL lock_timeout = '10s'"))
        taken, others = take(first), take(second)
        first.rollback()
        second.rollback()

    assert len({run_id, delivery_id, entry_id} & set(taken)) == 1
    assert set(taken).isdisjoint(others)


@pytest.mark.parametrize("take", [alarm.take_lost, deliveries.take_lost, outbox.take_due])
def test_a_worker_takes_no_more_rows_than_it_can_send(engines, engine, alice, set_columns, delivery_id, run_id, take):
    with user_scope(engine, alice.id) as connection:
        entries = [outbox.add(connection, "export", user_id=alice.id, subject_id=new_id()).id for _ in range(2)]
        others = deliveries.note(connection, "budget.warning", user_id=alice.id, key="another", data={})
    with engines["owner"].begin() as connection:
        copy = "SELECT user_id, :id, schedule_id, due_at + interval '1 hour' FROM schedule_runs WHERE id = :run"
        other_run = new_id()
        connection.execute(text(f"INSERT INTO schedule_runs (user_id, id, schedule_id, due_at) {copy}"), {"id": other_run, "run": run_id})
    for table, ids, column in (
        ("outbox", entries, "due_at"),
        ("webhook_deliveries", [delivery_id, *others], "due_at"),
        ("schedule_runs", [run_id, other_run], "sent_at"),
    ):
        for id in ids:
            set_columns(table, id, f"{column} = now() - interval '1 hour'")
    with engines["background"].connect() as connection:
        taken = take(connection, limit=1)
        connection.rollback()

    assert len(taken) == 1


@pytest.fixture
def run(engine, alice):
    """Return a function that runs a step as alice, in its own transaction."""

    def run_step(step, *arguments, **options):
        with user_scope(engine, alice.id) as connection:
            return step(connection, *arguments, user_id=alice.id, **options)

    return run_step


def test_a_run_is_claimed_by_one_worker_until_its_lease_ends(run, set_columns, run_id):
    assert (run(runs.claim, run_id, lease_s=60).attempts, run(runs.claim, run_id, lease_s=60)) == (1, None)
    set_columns("schedule_runs", run_id, "leased_until = now() - interval '1 second'")

    assert run(runs.claim, run_id, lease_s=60).attempts == 2


@pytest.mark.parametrize("status", ["completed", "waiting", "failed"])
def test_a_run_that_has_ended_is_neither_claimed_nor_ended_again(run, run_id, status):
    assert run(runs.end, run_id, status=status) is not None

    assert run(runs.claim, run_id, lease_s=60) is None
    assert run(runs.end, run_id, status="failed") is None


def test_a_claimed_delivery_is_not_claimed_again_before_its_two_minutes_are_over(run, set_columns, delivery_id):
    assert (run(deliveries.claim, delivery_id).attempts, run(deliveries.claim, delivery_id)) == (1, None)
    set_columns("webhook_deliveries", delivery_id, "due_at = due_at - interval '122 seconds'")

    assert run(deliveries.claim, delivery_id).attempts == 2


@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_a_delivery_that_has_ended_is_not_claimed(run, set_columns, delivery_id, status):
    set_columns("webhook_deliveries", delivery_id, f"status = '{status}'")

    assert run(deliveries.claim, delivery_id) is None


@pytest.mark.parametrize(
    ("status", "age", "is_lost"),
    [("queued", "61 seconds", True), ("processing", "61 seconds", True), ("processing", "59 seconds", False)]
    + [(status, "1 day", False) for status in ("ready", "failed")],
)
def test_an_import_that_waits_or_runs_is_started_again(engines, alice, status, age, is_lost):
    with engines["owner"].begin() as connection:
        values = {"user": alice.id, "id": (id := new_id()), "status": status}
        add = (
            "INSERT INTO imports (user_id, id, filename, status, bytes, created_at) "
            f"VALUES (:user, :id, 'x', :status, 1, now() - interval '{age}')"
        )
        connection.execute(text(add), values)
    with engines["background"].connect() as connection:
        found = {import_id for _, import_id in imports.find_stalled(connection, limit=MANY, older_than_s=60)}

    assert (id in found) is is_lost


@pytest.mark.parametrize(("is_excused", "failures"), [(True, [1, 0, 0]), (False, [2, 2, 2])])
def test_an_excused_attempt_of_an_import_is_no_failure(engines, run, alice, is_excused, failures):
    with engines["owner"].begin() as connection:
        values = {"user": alice.id, "id": (id := new_id())}
        add = "INSERT INTO imports (user_id, id, filename, status, bytes, failures) VALUES (:user, :id, 'x', 'processing', 1, 2)"
        connection.execute(text(add), values)
    left = []
    for _ in range(3):
        run(imports.release_lease, id, is_excused=is_excused)
        with engines["owner"].connect() as connection:
            left.append(connection.scalar(text("SELECT failures FROM imports WHERE id = :id"), {"id": id}))

    assert left == failures


@pytest.mark.parametrize(("code", "ended"), [(None, ("ready", 1.0)), ("corrupt", ("failed", 0.0))])
def test_only_an_import_that_succeeds_is_complete(engines, run, alice, code, ended):
    with engines["owner"].begin() as connection:
        values = {"user": alice.id, "id": (id := new_id())}
        add = "INSERT INTO imports (user_id, id, filename, status, bytes) VALUES (:user, :id, 'x', 'processing', 1)"
        connection.execute(text(add), values)
    run(imports.finish, id, code=code)
    stored = run(imports.get, id)

    assert (stored.status, stored.progress) == ended


@pytest.mark.parametrize("is_disabled", [False, True])
def test_the_alarm_is_set_for_the_prompts_of_users_who_are_not_disabled(engines, alice, run_id, is_disabled):
    soon = utc_now() + timedelta(hours=1)
    with engines["owner"].connect() as connection:
        connection.execute(text("UPDATE schedule_alarm SET rings_at = NULL"))
        connection.execute(
            text("UPDATE scheduled_prompts SET next_at = CASE WHEN user_id = :id THEN :at END"), {"id": alice.id, "at": soon}
        )
        connection.execute(
            text("UPDATE users SET disabled_at = CASE WHEN :off THEN now() END WHERE id = :id"), {"off": is_disabled, "id": alice.id}
        )
        rings_at = alarm.set_again(connection, now=utc_now())
        connection.rollback()

    assert rings_at == (None if is_disabled else soon)
