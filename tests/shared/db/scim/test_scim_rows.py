"""What the identity provider reads and writes of one account or group concerns no other."""

from datetime import timedelta

import pytest
from sqlalchemy import func, text

from parley.db.scim import groups, tokens, users
from parley.db.scim.conditions import Condition
from parley.db.tables import scim_tokens
from parley.ids import new_id
from tests.shared.db.group_world import address

NAMES = {"external_id": None, "given_name": None, "family_name": None}


@pytest.fixture
def provider(world):
    """The world after the identity provider has written the accounts of ann and bea, and has deleted that of cat."""
    for name in ("ann", "bea", "cat"):
        users.store(world.connection, getattr(world, name), user_name=f"{name.title()}%_Name", **NAMES)
    users.remove(world.connection, world.cat)
    return world


@pytest.fixture
def find(provider):
    """Return a function that returns the names of the accounts that fulfil a condition."""

    def find(field, operator, value):
        conditions = [Condition(field, operator, value)]
        found = provider.names(user.id for user in users.page(provider.connection, conditions, offset=0, limit=10**6))
        return found if len(found) <= users.count(provider.connection, conditions) else "more than are counted"

    return find


def test_an_account_is_shown_as_it_is(provider):
    provider.connection.execute(text("UPDATE users SET disabled_at = now() WHERE id = :id"), {"id": provider.bea})
    for name, verified in (("ann", address("ann")), ("bea", "former@rows.example")):
        values = {"id": getattr(provider, name), "email": verified}
        provider.connection.execute(text("UPDATE credentials SET verified_email = :email WHERE user_id = :id"), values)
    shown = {}
    for name in ("ann", "bea", "dan"):
        (user,) = users.page(provider.connection, [Condition("email", "eq", address(name))], offset=0, limit=9)
        shown[name] = (user.user_name, user.is_active, user.is_verified, user.is_provisioned)

    assert shown == {
        "ann": ("Ann%_Name", True, True, True),
        "bea": ("Bea%_Name", False, False, True),
        "dan": (address("dan"), True, False, False),
    }


@pytest.mark.parametrize(
    ("field", "operator", "value", "found"),
    [
        ("user_name", "eq", "ann%_name", ["ann"]),
        ("user_name", "eq", address("dan"), ["dan"]),
        ("user_name", "eq", address("ann"), []),
        ("user_name", "eq", "cat%_name", []),
        ("email", "eq", address("ann"), ["ann"]),
        ("email", "eq", address("cat"), []),
        ("user_name", "sw", "bea%_n", ["bea"]),
        ("user_name", "ew", "%_name", ["ann", "bea"]),
        ("user_name", "co", "n%_n", ["ann"]),
        ("user_name", "sw", "%a", []),
        ("user_name", "ew", "%e", []),
        ("user_name", "co", "a_n", []),
        ("is_active", "co", True, []),
    ],
)
def test_a_filter_finds_the_accounts_that_fulfil_it_and_are_not_deleted(find, field, operator, value, found):
    assert find(field, operator, value) == found


def test_a_name_that_was_written_hides_the_address_only_until_its_account_is_deleted(find, provider):
    users.store(provider.connection, provider.ann, user_name=address("dan"), **NAMES)
    written = find("user_name", "eq", address("dan"))
    users.remove(provider.connection, provider.ann)

    assert (written, find("user_name", "eq", address("dan"))) == (["ann"], ["dan"])


def test_an_address_is_found_with_whether_the_provider_has_deleted_its_account(provider):
    found = {name: users.find_address(provider.connection, address(name)) for name in ("ann", "cat", "dan")}

    assert found == {"ann": (provider.ann, False), "cat": (provider.cat, True), "dan": (provider.dan, False)}
    assert users.find_address(provider.connection, "nobody@rows.example") is None


def test_the_members_of_the_groups_asked_for_are_listed_and_counted(world):
    found = [(world.names([each.group_id]), each.name) for each in groups.members(world.connection, [world.Sales, world.Staff])]

    assert sorted(found) == [(["Sales"], address("ann")), (["Sales"], address("bea")), (["Staff"], address("ann"))]
    assert groups.count_members(world.connection, [world.Sales, world.Empty]) == {world.Sales: 2}


def test_the_managed_groups_of_one_member_are_found(world):
    ids = [
        [group.id for group in groups.page(world.connection, [], offset=0, limit=9, member=id)] for id in (world.ann, world.bea, world.cat)
    ]

    assert [world.names(found) for found in ids] == [["Sales", "Staff"], ["Sales"], []]
    assert [groups.count(world.connection, [], member=id) for id in (world.ann, world.bea, world.cat)] == [2, 1, 0]


@pytest.mark.parametrize(("group", "changes"), [("Sales", ({"Sales"}, {"New"})), ("Birds", (set(), set()))])
def test_one_managed_group_is_changed(world, group, changes):
    removed, added = world.changes(groups.change, getattr(world, group), name="New", external_id=None)

    assert ({row for row in removed if ":" not in row}, {row for row in added if ":" not in row}) == changes


@pytest.mark.parametrize(("group", "removed"), [("Staff", {"Staff", "Staff: ann member"}), ("Hobby", set())])
def test_one_managed_group_is_removed(world, group, removed):
    assert world.changes(groups.remove, getattr(world, group)) == (removed, set())


def test_users_are_added_to_one_managed_group_unless_they_are_members_or_deleted(provider):
    unknown = new_id()
    ids = [provider.ann, provider.cat, provider.dan, unknown]
    added = provider.changes(groups.add_members, provider.Staff, ids)

    assert added == (set(), {"Staff: dan member"})
    assert groups.add_members(provider.connection, provider.Staff, [*ids, provider.eve]) == ({provider.eve}, {provider.cat, unknown})


def test_members_of_a_managed_group_pay_with_a_budget_only(world):
    world.connection.execute(text("UPDATE groups SET monthly_budget_usd = 3 WHERE id = :id"), {"id": world.Staff})

    assert world.changes(groups.add_members, world.Staff, [world.eve]) == (set(), {"Staff: eve member, pays"})


def test_some_members_leave_one_group(world):
    removed = world.changes(groups.remove_members, world.Sales, [world.ann, world.dan])

    assert removed == ({"Sales: ann member"}, set())


def test_all_but_some_members_leave_one_group(world):
    assert world.changes(groups.keep_members, world.Sales, [world.bea, world.dan]) == ({"Sales: ann member"}, set())


def test_one_user_leaves_all_managed_groups_and_no_other(world):
    assert world.changes(groups.leave_all, world.ann) == ({"Sales: ann member", "Staff: ann member"}, set())


# The hours after which each token expires. One of them is current.
EXPIRY_H = {"current": None, "replaced": 1, "expired": -1}
_TOKENS = text("SELECT convert_from(hash, 'utf-8'), round(extract(epoch FROM expires_at - now()) / 3600) FROM scim_tokens")
_USES = text("SELECT id, round(extract(epoch FROM now() - last_used_at) / 60) FROM scim_tokens")


@pytest.fixture
def secrets(world):
    """Return a function that returns the hours after which each token expires."""
    world.connection.execute(text("DELETE FROM scim_tokens"))
    for name, hours in EXPIRY_H.items():
        expires_at = None if hours is None else func.now() + timedelta(hours=hours)
        world.insert(scim_tokens, [{"id": new_id(), "hash": name.encode(), "expires_at": expires_at}])
    return lambda: {name: hours if hours is None else int(hours) for name, hours in world.connection.execute(_TOKENS)}


def test_the_valid_tokens_are_the_current_one_and_those_replaced_a_short_time_ago(world, secrets):
    found = [tokens.find_hash(world.connection, token.id) for token in tokens.list_valid(world.connection)]

    assert found == [b"replaced", b"current"]
    assert tokens.find_hash(world.connection, new_id()) is None


def test_a_rotation_lets_only_the_current_token_expire_later(world, secrets):
    tokens.replace_all(world.connection, after=timedelta(hours=24))

    assert secrets() == EXPIRY_H | {"current": 24}


def test_only_expired_tokens_are_swept(world, secrets):
    tokens.sweep(world.connection)

    assert secrets().keys() == {"current", "replaced"}


def test_the_use_of_one_token_is_noted_at_most_once_an_hour(world):
    minutes = {new_id(): 59, new_id(): 61, new_id(): None, new_id(): None}
    for id, used in minutes.items():
        last_used_at = None if used is None else func.now() - timedelta(minutes=used)
        world.insert(scim_tokens, [{"id": id, "hash": b"", "last_used_at": last_used_at}])
    for id in list(minutes)[:3]:
        tokens.note_use(world.connection, id)
    found = dict(world.connection.execute(_USES).all())

    assert [found[id] for id in minutes] == [59, 0, 0, None]
