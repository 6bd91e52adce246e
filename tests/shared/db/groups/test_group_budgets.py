"""Budgets of groups as an admin sets them: for one group and its members, and with a warning to its owners."""

from decimal import Decimal

import pytest
from sqlalchemy import func

from parley.db.groups import pools
from parley.db.groups.pools import PaidByAnotherGroup
from parley.db.tables import group_budgets


def test_a_budget_is_set_for_one_group_and_paid_by_its_members(world):
    changed = world.changes(pools.change, world.Moons, {"monthly_budget_usd": 3})

    assert changed == (
        {"Moons", "Moons: dan owner", "Moons: eve member"},
        {"Moons with 3 USD", "Moons: dan owner, pays", "Moons: eve member, pays"},
    )


def test_a_budget_ends_for_one_group(world):
    world.changes(pools.change, world.Moons, {"monthly_budget_usd": 3})
    changed = world.changes(pools.change, world.Moons, {"monthly_budget_usd": None})

    assert changed == (
        {"Moons with 3 USD", "Moons: dan owner, pays", "Moons: eve member, pays"},
        {"Moons", "Moons: dan owner", "Moons: eve member"},
    )


def test_no_change_changes_nothing(world):
    assert world.changes(pools.change, world.Birds, {}) == (set(), set())


def test_a_member_of_a_group_with_a_budget_belongs_to_no_other_with_one(world):
    with pytest.raises(PaidByAnotherGroup):
        pools.change(world.connection, world.Stars, {"monthly_budget_usd": 3})


def test_only_owners_are_warned_of_a_budget_that_is_nearly_spent(world):
    month = func.date_trunc("month", func.timezone("UTC", func.now()))
    world.insert(group_budgets, [{"group_id": world.Birds, "month": month, "spent_usd": 4}])
    low = {share: [pool.owner_id for pool in pools.low_pools(world.connection, share=Decimal(share))] for share in ("0.8", "0.81")}

    assert {share: world.names(ids) for share, ids in low.items()} == {"0.8": ["ann"], "0.81": []}


def test_a_page_of_groups_has_at_most_as_many_as_asked_for(world):
    assert len(pools.page(world.connection, limit=2, after=None)) == 2
