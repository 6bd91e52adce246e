"""Turns note events for web hooks: when they wait for an approval, and when most of a budget is spent."""

from decimal import Decimal
from uuid import UUID

import pytest

from parley.db.transactions import user_scope
from parley.db.webhooks import deliveries, webhooks
from parley.ids import new_id
from parley.jobs import DeliverEvent
from parley.metering.limits import BillingSubject, DefaultLimits
from parley.metering.metered_call import MeteredCall
from tests.functions.chat import test_limits
from tests.support.api_gateway import PASSWORD
from tests.support.toolbox import RecordingToolbox, ScriptedRounds, tool_calls_answer
from tests.support.turns import HELLO, make_services, take

WRITES = tool_calls_answer(("w", "write", {"to": "bob"}))


@pytest.fixture
def hook(engine, alice):
    """The id of a web hook of alice for all events."""
    webhook_id = new_id()
    with user_scope(engine, alice.id) as connection:
        events = ["turn.waiting_for_approval", "budget.warning"]
        webhooks.add(connection, webhook_id, user_id=alice.id, url="https://example.com/", events=events, secret=b"secret")
    return webhook_id


def noted(engine, person, webhook_id):
    with user_scope(engine, person.id) as connection:
        return [(found.type, found.id) for found in deliveries.page(connection, webhook_id, user_id=person.id, limit=9, after=None)]


def test_a_turn_that_waits_for_an_approval_is_an_event(engine, alice, hook):
    toolbox = RecordingToolbox().add("write", lambda to: f"sent to {to}", requires_approval=True)
    services = make_services(engine, ScriptedRounds(WRITES), toolbox=toolbox)
    take(services, alice, "write to bob", model="handy", tools=True)
    ((name, delivery_id),) = noted(engine, alice, hook)

    assert name == "turn.waiting_for_approval"
    assert DeliverEvent(alice.id, delivery_id) in [message for message, _ in services.queue.sent]


@pytest.fixture
def spend(postgres, engine, alice):
    """Make alice's spending of this month `usd` of 5 USD."""

    def spend(usd):
        take(test_limits.make_services(engine, HELLO), alice)
        postgres.execute(f"UPDATE budgets SET spent_usd = {usd} WHERE user_id = '{alice.id}'", dbname="parley")

    return spend


@pytest.mark.parametrize(("before_usd", "warnings"), [(3.99, 0), (3.9985, 1), (4.5, 1)])
def test_a_budget_of_which_four_fifths_are_spent_is_an_event_once(engine, alice, hook, spend, before_usd, warnings):
    spend(before_usd)
    services = test_limits.make_services(engine, HELLO, HELLO)
    for _ in range(2 if warnings else 1):
        take(services, alice)

    assert [name for name, _ in noted(engine, alice, hook)] == ["budget.warning"] * warnings
    assert len([message for message, _ in services.queue.sent if isinstance(message, DeliverEvent)]) == warnings


def test_a_call_outside_of_a_turn_warns_too(engine, alice, hook, spend):
    spend(4.1)
    with MeteredCall(engine, BillingSubject(alice.id), DefaultLimits(9, Decimal(5)), amount_usd=Decimal("0.01"), purpose="embedding"):
        pass

    assert [name for name, _ in noted(engine, alice, hook)] == ["budget.warning"]


def test_a_nearly_spent_budget_of_an_api_key_is_an_event_of_its_own(engine, postgres, auth, alice, hook):
    key = auth.post("/auth/api-keys", {"name": "k", "password": PASSWORD, "monthly_budget_usd": 1}, as_=alice).json["id"]
    values = f"'{alice.id}', '{key}', date_trunc('month', now() AT TIME ZONE 'UTC'), 0.85"
    postgres.execute(f"INSERT INTO budgets (user_id, subject_id, month, spent_usd) VALUES ({values})", dbname="parley")
    subject, limits = BillingSubject(alice.id, UUID(key)), DefaultLimits(9, Decimal(5))
    for _ in range(2):
        with MeteredCall(engine, subject, limits, amount_usd=Decimal("0.01"), purpose="embedding"):
            pass
    found = postgres.execute(f"SELECT data FROM webhook_deliveries WHERE user_id = '{alice.id}'", dbname="parley")

    assert [(data["api_key_id"], data["spent_usd"], data["budget_usd"]) for (data,) in found] == [(key, 0.85, 1.0)]


def test_a_turn_without_web_hooks_notes_nothing(engine, alice):
    toolbox = RecordingToolbox().add("write", lambda to: f"sent to {to}", requires_approval=True)
    services = make_services(engine, ScriptedRounds(WRITES), toolbox=toolbox)
    take(services, alice, "write to bob", model="handy", tools=True)

    assert [message for message, _ in services.queue.sent if isinstance(message, DeliverEvent)] == []
