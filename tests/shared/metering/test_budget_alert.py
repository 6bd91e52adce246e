"""The warning that most of a month's budget is spent."""

from decimal import Decimal

import pytest

from parley.db.metering.quotas import BillingSubject
from parley.db.transactions import user_scope
from parley.db.webhooks import webhooks
from parley.ids import new_id
from parley.metering.budget_alert import note_budget_warning


@pytest.fixture
def warnings(engine, postgres, alice):
    """Return a function that counts the warnings of a budget of which something is spent."""
    with user_scope(engine, alice.id) as connection:
        url, events = "https://example.com/", ["budget.warning"]
        webhooks.add(connection, new_id(), user_id=alice.id, url=url, events=events, secret=b"secret")

    def count(spent_usd, budget_usd):
        values = f"'{alice.id}', '{alice.id}', date_trunc('month', now() AT TIME ZONE 'UTC'), {spent_usd}"
        postgres.execute(f"INSERT INTO budgets (user_id, subject_id, month, spent_usd) VALUES ({values})", dbname="parley")
        with user_scope(engine, alice.id) as connection:
            return len(note_budget_warning(connection, BillingSubject(alice.id), default_usd=Decimal(budget_usd)))

    return count


@pytest.mark.parametrize(("spent_usd", "budget_usd", "count"), [("3.999999", 5, 0), ("4", 5, 1), ("5", 5, 1), ("0", 0, 0)])
def test_a_budget_warns_once_four_fifths_of_it_are_spent_unless_it_is_zero(warnings, spent_usd, budget_usd, count):
    assert warnings(spent_usd, budget_usd) == count
