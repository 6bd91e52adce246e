"""Calls outside of turns: what they reserve before and what their settlement warns of."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from parley.db.engine import make_engine
from parley.db.transactions import user_scope
from parley.db.webhooks import webhooks
from parley.deadline import Deadline
from parley.errors import Unavailable
from parley.ids import new_id
from parley.llm.messages import Usage
from parley.llm.model import Model, ModelCall
from parley.metering.limits import BillingSubject, DefaultLimits
from parley.metering.metered_call import MeteredCall, count_spending
from parley.settings import DatabaseSettings
from tests.fakes.cloudwatch import read_metrics, total

MODEL = Model(provider="offline", name="m", input_usd_per_mtok=Decimal(1))
LIMITS = DefaultLimits(1000, Decimal(1))


@pytest.fixture
def nowhere(database):
    """An engine without a database."""
    return make_engine(DatabaseSettings.model_validate(database.model_dump() | {"database_port": 9}))


@pytest.mark.parametrize("usd", ["0.000001", "1", "2"])
def test_a_call_with_a_price_does_not_begin_while_the_database_is_away(nowhere, alice, usd):
    with pytest.raises(Unavailable):
        MeteredCall(nowhere, BillingSubject(alice.id), LIMITS, amount_usd=Decimal(usd), purpose="title").reserve()


def test_a_call_without_a_price_begins_while_the_database_is_away(nowhere, alice):
    MeteredCall(nowhere, BillingSubject(alice.id), LIMITS, amount_usd=Decimal(0), purpose="title").reserve()


@pytest.fixture
def warnings(engine, alice):
    """Return a function that makes a call with a reservation and a cost, and counts the warnings of alice's web hook."""
    with user_scope(engine, alice.id) as connection:
        webhooks.add(connection, new_id(), user_id=alice.id, url="https://example.com/", events=["budget.warning"], secret=b"secret")

    def count(reserved_usd, cost_usd):
        subject, call = BillingSubject(alice.id), ModelCall("m", MODEL, usage=Usage(int(cost_usd * 1_000_000)))
        with MeteredCall(engine, subject, LIMITS, amount_usd=Decimal(reserved_usd), purpose="title", calls=[call]):
            pass
        with user_scope(engine, alice.id) as connection:
            return connection.execute(text("SELECT count(*) FROM webhook_deliveries")).scalar_one()

    return count


@pytest.mark.parametrize(("reserved_usd", "cost_usd", "count"), [("0.9", 0.9, 1), ("0.9", 0.1, 0), ("0.1", 0.1, 0)])
def test_a_call_that_spends_most_of_the_budget_warns_its_user(warnings, reserved_usd, cost_usd, count):
    assert warnings(reserved_usd, cost_usd) == count


class InterruptedCall(MeteredCall):
    """A call whose first settlement finds no database."""

    is_away = True

    def _settle_once(self):
        if self.is_away:
            self.is_away = False
            raise Unavailable("database")
        super()._settle_once()


@pytest.fixture
def charged(engine, alice):
    """Return a function that settles a call while the database is away for a moment, and reads what alice has spent."""

    def settle(deadline):
        call = ModelCall("m", MODEL, usage=Usage(100_000))
        with InterruptedCall(
            engine, BillingSubject(alice.id), LIMITS, amount_usd=Decimal(0), purpose="title", calls=[call], deadline=deadline
        ):
            pass
        with user_scope(engine, alice.id) as connection:
            return connection.execute(text("SELECT sum(cost_usd) FROM usage")).scalar_one()

    return settle


def test_with_a_deadline_a_settlement_waits_for_the_database(charged):
    assert charged(Deadline.after(60)) == Decimal("0.1")


def test_without_a_deadline_a_settlement_does_not_wait(charged):
    with pytest.raises(Unavailable):
        charged(None)


def test_the_tokens_of_a_metric_are_those_read_and_those_written(capsys):
    calls = [ModelCall("m", MODEL, usage=Usage(100, 10)), ModelCall("m", MODEL, usage=Usage(1000, 1))]
    count_spending(calls, purpose="title")
    data = read_metrics(capsys.readouterr().out)

    assert (total(data, "Tokens"), total(data, "Tokens", purpose="title")) == (1111, 1111)
