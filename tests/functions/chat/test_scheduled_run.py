"""A run of a scheduled prompt is a turn of its user, taken once, within the user's limits."""

from uuid import UUID

import pytest

from functions.chat.scheduled_run import run_scheduled
from parley.db.schedules import runs, scheduled_prompts
from parley.db.transactions import user_scope
from parley.db.webhooks import deliveries, webhooks
from parley.deadline import Deadline
from parley.ids import new_id
from parley.jobs import DeliverEvent, ScheduleNotice
from parley.llm.errors import ProviderFailed
from tests.functions.chat import test_limits
from tests.functions.upkeep.schedule_rows import add_run, add_schedule
from tests.support.turns import HELLO


@pytest.fixture
def schedule_id(engine, alice):
    return add_schedule(engine, alice, email=True)


@pytest.fixture
def run(engine, engines, alice, schedule_id):
    """Start a run of alice's prompt, and return its status."""

    def run(services, run_id=None):
        run_id = run_id or add_run(engine, alice, schedule_id, background=engines["background"])
        event = {"op": "run_scheduled", "user_id": str(alice.id), "run_id": str(run_id)}
        return run_scheduled(services, event, Deadline.after(60))["status"]

    return run


def stored_runs(engine, alice, schedule_id):
    with user_scope(engine, alice.id) as connection:
        return runs.page(connection, schedule_id, user_id=alice.id, limit=10, after=None)


def test_the_answer_is_in_a_new_conversation(engine, conversation, alice, schedule_id, run):
    services = test_limits.make_services(engine, HELLO)

    assert run(services) == "completed"
    (stored,) = stored_runs(engine, alice, schedule_id)
    found = conversation.get(f"/conversations/{stored.conversation_id}/messages", as_=alice).json["items"]
    assert [message["text"] for message in found] == ["What is new?", "Hello"]
    assert ScheduleNotice(alice.id, "ended", stored.conversation_id) in [message for message, _ in services.queue.sent]


def test_a_run_that_is_started_twice_takes_one_turn(engine, engines, postgres, alice, schedule_id, run):
    run_id = add_run(engine, alice, schedule_id, background=engines["background"])
    services = test_limits.make_services(engine, HELLO, HELLO)
    first = run(services, run_id)
    postgres.execute(f"UPDATE schedule_runs SET status = 'running', leased_until = NULL WHERE id = '{run_id}'")  # as if it had died

    assert (first, run(services, run_id), run(services, run_id)) == ("completed", "completed", "skipped")
    assert postgres.execute(f"SELECT count(*) FROM turns WHERE user_id = '{alice.id}'") == [(1,)]


def test_a_disabled_account_takes_no_turn(engine, postgres, alice, schedule_id, run):
    postgres.execute(f"UPDATE users SET disabled_at = now() WHERE id = '{alice.id}'")

    assert run(test_limits.make_services(engine, HELLO)) == "failed"
    assert postgres.execute(f"SELECT count(*) FROM turns WHERE user_id = '{alice.id}'") == [(0,)]


def test_a_run_of_a_deleted_prompt_is_skipped(engine, engines, alice, schedule_id, run):
    run_id = add_run(engine, alice, schedule_id, background=engines["background"])
    with user_scope(engine, alice.id) as connection:
        scheduled_prompts.remove(connection, schedule_id, user_id=alice.id)

    assert run(test_limits.make_services(engine, HELLO), run_id) == "skipped"


def test_a_run_beyond_the_budget_fails_and_tells_why(engine, alice, schedule_id, run):
    assert run(test_limits.make_services(engine, HELLO, budget="0.0001")) == "failed"
    assert stored_runs(engine, alice, schedule_id)[0].error_code == "budget_exhausted"


def test_the_third_failure_in_a_row_pauses_the_prompt_and_is_mailed(engine, alice, schedule_id, run):
    services = test_limits.make_services(engine, *[[ProviderFailed("acme", "500")] for _ in range(9)])
    for _ in range(3):
        run(services)
    with user_scope(engine, alice.id) as connection:
        paused = scheduled_prompts.get(connection, schedule_id, user_id=alice.id)

    assert (paused.paused_at is None, paused.next_at, paused.failures) == (False, None, 3)
    assert [message.notice for message, _ in services.queue.sent if isinstance(message, ScheduleNotice)] == ["paused"]


@pytest.mark.parametrize(
    ("turn", "shown"),
    [
        ("waiting", ("waiting", None)),
        ("running", ("running", None)),
        ("completed", ("completed", None)),
        ("stopped", ("completed", None)),
        ("interrupted", ("failed", "interrupted")),
    ],
)
def test_a_run_that_waited_for_an_approval_goes_on_and_ends_as_its_turn(engine, postgres, alice, schedule_id, run, turn, shown):
    run(test_limits.make_services(engine, HELLO))
    postgres.execute(f"UPDATE schedule_runs SET status = 'waiting' WHERE user_id = '{alice.id}'", dbname="parley")
    postgres.execute(f"UPDATE turns SET status = '{turn}' WHERE user_id = '{alice.id}'", dbname="parley")
    (stored,) = stored_runs(engine, alice, schedule_id)

    assert (stored.status, stored.error_code) == shown


def test_a_run_that_waited_has_ended_if_its_conversation_is_deleted(engine, postgres, conversation, alice, schedule_id, run):
    run(test_limits.make_services(engine, HELLO))
    postgres.execute(f"UPDATE schedule_runs SET status = 'waiting' WHERE user_id = '{alice.id}'", dbname="parley")
    conversation.delete(f"/conversations/{stored_runs(engine, alice, schedule_id)[0].conversation_id}", as_=alice)

    assert stored_runs(engine, alice, schedule_id)[0].status == "completed"


def test_the_end_of_a_run_is_an_event(engine, alice, run):
    webhook_id, services = new_id(), test_limits.make_services(engine, HELLO)
    with user_scope(engine, alice.id) as connection:
        to = {"url": "https://example.com/", "events": ["schedule.ended"], "secret": b"secret"}
        webhooks.add(connection, webhook_id, user_id=alice.id, **to)
    run(services)
    with user_scope(engine, alice.id) as connection:
        (noted,) = deliveries.page(connection, webhook_id, user_id=alice.id, limit=9, after=None)

    assert DeliverEvent(alice.id, noted.id) in [message for message, _ in services.queue.sent]
    assert isinstance(noted.id, UUID)
