"""Managed groups and accounts of the identity provider in the database: whom the policies let in, and which index finds a name."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from parley.db.groups import membership
from parley.db.scim import groups, users
from parley.db.scim.conditions import Condition
from parley.db.transactions import global_scope, user_scope
from parley.ids import new_id


@pytest.fixture
def background(engines):
    return engines["background"]


@pytest.fixture
def managed(background):
    """A managed group without members."""
    group_id = new_id()
    with global_scope(background) as connection:
        groups.add(connection, group_id, name="Sales", external_id=None)
    return group_id


def test_nobody_becomes_the_owner_of_an_empty_managed_group(engine, managed, alice):
    values = {"user_id": alice.id, "group_id": managed}
    with pytest.raises(ProgrammingError, match="row-level security"), user_scope(engine, alice.id) as connection:
        connection.execute(text("INSERT INTO group_members (user_id, group_id, role) VALUES (:user_id, :group_id, 'owner')"), values)


def test_nobody_founds_a_managed_group(engine, alice):
    with pytest.raises(ProgrammingError, match="row-level security"), user_scope(engine, alice.id) as connection:
        connection.execute(text("INSERT INTO groups (id, name, is_managed) VALUES (:id, 'Mine', true)"), {"id": new_id()})


def test_a_managed_group_without_members_shows_nobody_its_name(engine, managed, alice):
    with user_scope(engine, alice.id) as connection:
        assert connection.execute(text("SELECT FROM groups WHERE id = :id"), {"id": managed}).rowcount == 0


def test_the_user_sees_and_changes_only_their_own_names(engine, alice, bob):
    names = {"external_id": None, "given_name": "Alice", "family_name": None}
    with user_scope(engine, alice.id) as connection:
        users.store(connection, alice.id, user_name="alice", **names)
    with pytest.raises(ProgrammingError, match="row-level security"), user_scope(engine, bob.id) as connection:
        users.store(connection, alice.id, user_name="bob", **names)


def test_a_name_is_found_among_those_that_were_written_and_addresses_that_were_not(engine, background, alice, bob):
    with user_scope(engine, alice.id) as connection:
        users.store(connection, alice.id, user_name=f"A-{bob.email}", external_id=None, given_name=None, family_name=None)
    found = {}
    with global_scope(background) as connection:
        for name in (f"a-{bob.email}", alice.email, bob.email):
            found[name] = [user.id for user in users.page(connection, [Condition("user_name", "eq", name)], offset=0, limit=9)]

    assert found == {f"a-{bob.email}": [alice.id], alice.email: [], bob.email: [bob.id]}


def test_the_provider_adds_nobody_to_a_group_that_it_does_not_manage(background, engine, alice, bob):
    group_id = new_id()
    with user_scope(engine, alice.id) as connection:
        membership.add(connection, group_id, user_id=alice.id, name="Research")
    with global_scope(background) as connection:
        assert groups.add_members(connection, group_id, [bob.id]) == (set(), set())
        assert groups.count_members(connection, [group_id]) == {group_id: 1}
