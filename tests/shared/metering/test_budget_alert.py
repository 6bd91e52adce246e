"""The warning that most of a month's budget is spent."""

import json
from decimal import Decimal

import pytest
from sqlalchemy import insert

from parley.clock import utc_now
from parley.db.metering.quotas import BillingSubject
from parley.db.tables import api_keys
from parley.db.transactions import user_scope
from parley.db.webhooks import webhooks
from parley.ids import new_id
from parley.metering.budget_alert import note_budget_warning


@pytest.fixture
def warnings(engine, postgres, alice):
    """Return a function that sets what is spent, of alice's budget and of a key's, and returns the warnings' data."""
    with user_scope(engine, alice.id) as connection:
        url, events = "https://example.com/", ["budget.warning"]
        webhooks.add(connection, new_id(), user_id=alice.id, url=url, events=events, secret=b"secret")

    def warn(spent_usd, budget_usd, *, key=None, key_spent_usd=0):
        for subject, usd in ((alice.id, spent_usd), (key, key_spent_usd)):
            if subject:
                values = f"'{alice.id}', '{subject}', date_trunc('month', now() AT TIME ZONE 'UTC'), {usd}"
                postgres.execute(f"INSERT INTO budgets (user_id, subject_id, month, spent_usd) VALUES ({values})", dbname="parley")
        with user_scope(engine, alice.id) as connection:
            noted = note_budget_warning(connection, BillingSubject(alice.id, key), default_usd=Decimal(budget_usd))
        rows = postgres.execute(f"SELECT data::text FROM webhook_deliveries WHERE user_id = '{alice.id}'", dbname="parley")
        assert len(rows) == len(noted)
        return [json.loads(data) for (data,) in rows]

    return warn


@pytest.fixture
def key(engines, alice):
    """Return a function that adds an API key of alice with a monthly budget, or without one."""

    def add(budget_usd):
        values = {"user_id": alice.id, "id": (id := new_id()), "name": "k", "scopes": ["chat"], "expires_at": utc_now()}
        with engines["owner"].begin() as connection:
            connection.execute(insert(api_keys).values(values | {"monthly_budget_usd": budget_usd}))
        return id

    return add


@pytest.mark.parametrize(
    ("spent_usd", "budget_usd", "count"), [("3.999999", 5, 0), ("4", 5, 1), ("5", 5, 1), ("0.4", "0.5", 1), ("0", 0, 0)]
)
def test_a_budget_warns_once_four_fifths_of_it_are_spent_unless_it_is_zero(warnings, spent_usd, budget_usd, count):
    assert len(warnings(spent_usd, budget_usd)) == count


@pytest.mark.parametrize(("key_spent_usd", "count"), [("1.599999", 0), ("1.6", 1)])
def test_a_keys_own_budget_warns_and_names_the_key(warnings, key, key_spent_usd, count):
    key_id = key(2)
    found = warnings(1, 5, key=key_id, key_spent_usd=key_spent_usd)

    assert [(data["api_key_id"], data["spent_usd"], data["budget_usd"]) for data in found] == [(str(key_id), 1.6, 2.0)] * count


def test_a_key_without_a_budget_of_its_own_warns_of_its_users_only(warnings, key):
    (data,) = warnings(4, 5, key=key(None), key_spent_usd=4)

    assert ("api_key_id" in data, data["spent_usd"], data["budget_usd"]) == (False, 4.0, 5.0)
