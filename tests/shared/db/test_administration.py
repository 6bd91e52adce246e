"""What an admin changes is one account."""

import pytest

from parley.db.accounts import administration
from parley.db.transactions import global_scope
from parley.errors import NotFound
from parley.ids import new_id


def test_a_change_of_an_account_changes_no_other(engines, alice, bob):
    with global_scope(engines["background"]) as connection:
        changed = administration.change(connection, alice.id, {"monthly_budget_usd": 3})
        other = administration.get(connection, bob.id)

        assert (changed.id, changed.monthly_budget_usd, other.id, other.monthly_budget_usd) == (alice.id, 3, bob.id, None)
        with pytest.raises(NotFound):
            administration.change(connection, new_id(), {"monthly_budget_usd": 3})
