"""The database itself keeps strangers out of groups: unfiltered statements of the app role, and the queries of `parley.db.groups`."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from parley.db import chunks, documents
from parley.db.groups import membership, shares
from parley.db.transactions import user_scope
from parley.errors import NotFound
from parley.ids import new_id
from tests.support.api_gateway import Person
from tests.support.builders import add_document

TABLES = ("groups", "group_members", "group_invitations")


@pytest.fixture
def carol(auth):
    """A third user, who is in no group."""
    return Person.registered(auth)


@pytest.fixture
def run(engine):
    """Return a function that runs a statement as a person and returns the number of rows it found or changed."""

    def run_as(person, sql, **values):
        with user_scope(engine, person.id) as connection:
            return connection.execute(text(sql), values).rowcount

    return run_as


@pytest.fixture
def group(engine, alice, bob):
    """A group of alice's with bob as a member and an open invitation."""
    group_id = new_id()
    with user_scope(engine, alice.id) as connection:
        membership.add(connection, group_id, user_id=alice.id, name="Research")
        membership.invite(connection, group_id, bob.email)
        membership.invite(connection, group_id, "grace@example.com")
    with user_scope(engine, bob.id) as connection:
        membership.join(connection, group_id, bob.email, user_id=bob.id)
    return group_id


@pytest.fixture
def shared(engine, group, bob):
    """A document of bob's, shared with the group."""
    document_id = add_document(engine, bob, "the heron nests in May")
    with user_scope(engine, bob.id) as connection:
        shares.add(connection, shares.DOCUMENTS, document_id, group, user_id=bob.id)
    return document_id


def test_a_member_reads_what_is_shared_with_the_group_and_nothing_else_of_its_owner(engine, alice, bob, shared):
    other = add_document(engine, bob, "the tern nests in June")
    with user_scope(engine, alice.id) as connection:
        listed = [document.id for document in documents.page(connection, user_id=alice.id, limit=9, after=None)]
        readable = documents.get(connection, shared, user_id=alice.id).id
        with pytest.raises(NotFound):
            documents.get(connection, other, user_id=alice.id)

    assert (listed, readable) == ([shared], shared)


def test_a_document_that_is_no_longer_shared_with_a_group_is_shared_with_another(engine, bob, group, shared):
    another = new_id()
    with user_scope(engine, bob.id) as connection:
        membership.add(connection, another, user_id=bob.id, name="Birds")
        shares.add(connection, shares.DOCUMENTS, shared, another, user_id=bob.id)
        shares.remove(connection, shares.DOCUMENTS, shared, group, user_id=bob.id)

        assert [share.group_id for share in shares.list_all(connection, shares.DOCUMENTS, shared, user_id=bob.id)] == [another]


def test_the_members_of_a_group_are_listed_by_address_page_by_page(engine, alice, group):
    with user_scope(engine, alice.id) as connection:
        everybody = membership.members(connection, group, user_id=alice.id, limit=9)
        first = membership.members(connection, group, user_id=alice.id, limit=2)
        rest = membership.members(connection, group, user_id=alice.id, limit=2, after=first[-1].email)

    assert (first, rest) == (everybody[:2], everybody[2:])
    assert len(everybody) == 3


@pytest.mark.parametrize("table", TABLES)
def test_an_unfiltered_query_shows_a_stranger_no_group(run, group, carol, table):
    column = "id" if table == "groups" else "group_id"

    assert run(carol, f"SELECT FROM {table} WHERE {column} = :group", group=group) == 0


@pytest.mark.parametrize(("table", "seen"), [("groups", 1), ("group_members", 2), ("group_invitations", 0)])
def test_an_unfiltered_query_shows_a_member_the_group_but_no_invitation_of_others(run, group, bob, table, seen):
    column = "id" if table == "groups" else "group_id"

    assert run(bob, f"SELECT FROM {table} WHERE {column} = :group", group=group) == seen


@pytest.mark.parametrize("role", ["member", "owner"])
def test_nobody_joins_without_an_invitation(run, group, carol, role):
    with pytest.raises(ProgrammingError, match="row-level security"):
        run(carol, "INSERT INTO group_members (user_id, group_id, role) VALUES (:me, :group, :role)", me=carol.id, group=group, role=role)


def test_an_invitation_makes_no_owner(engine, run, group, alice, carol):
    with user_scope(engine, alice.id) as connection:
        membership.invite(connection, group, carol.email)

    with pytest.raises(ProgrammingError, match="row-level security"):
        run(carol, "INSERT INTO group_members (user_id, group_id, role) VALUES (:me, :group, 'owner')", me=carol.id, group=group)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE group_members SET role = 'owner' WHERE user_id = :me",
        "DELETE FROM group_members WHERE user_id <> :me AND group_id = :group",
        "UPDATE groups SET name = 'mine' WHERE id = :group",
        "DELETE FROM groups WHERE id = :group",
        "DELETE FROM group_invitations WHERE group_id = :group",
    ],
)
def test_a_member_who_is_no_owner_changes_nothing(run, group, bob, sql):
    assert run(bob, sql, me=bob.id, group=group) == 0


def test_a_member_reads_a_shared_document_but_cannot_change_it(run, shared, alice):
    values = {"id": shared}

    assert run(alice, "SELECT FROM documents WHERE id = :id", **values) == 1
    assert run(alice, "SELECT FROM chunks WHERE document_id = :id", **values) == 1
    assert run(alice, "UPDATE documents SET title = 'mine' WHERE id = :id", **values) == 0
    assert run(alice, "DELETE FROM chunks WHERE document_id = :id", **values) == 0


@pytest.mark.parametrize(("table", "column"), [("documents", "id"), ("chunks", "document_id"), ("document_shares", "document_id")])
def test_an_unfiltered_query_shows_a_stranger_nothing_of_a_shared_document(run, shared, carol, table, column):
    assert run(carol, f"SELECT FROM {table} WHERE {column} = :id", id=shared) == 0


def test_a_removed_member_loses_shared_documents_in_the_next_statement(engine, engines, shared, alice, bob):
    with user_scope(engine, alice.id) as reader:
        assert documents.get(reader, shared, user_id=alice.id).user_id == bob.id
        with engines["owner"].begin() as connection:
            connection.execute(text("DELETE FROM group_members WHERE user_id = :alice"), {"alice": alice.id})

        assert chunks.page(reader, shared, owner_id=bob.id, limit=1, after=None) == []
        with pytest.raises(NotFound):
            documents.get(reader, shared, user_id=alice.id)


def test_who_leaves_takes_their_documents_along(engine, run, group, shared, alice, bob):
    with user_scope(engine, bob.id) as connection:
        membership.remove_member(connection, group, bob.id, user_id=bob.id)

    assert run(alice, "SELECT FROM documents WHERE id = :id", id=shared) == 0


def test_a_deleted_group_leaves_nothing(engine, engines, group, shared, alice, bob):
    with user_scope(engine, alice.id) as connection:
        membership.remove(connection, group, user_id=alice.id)

    with engines["owner"].begin() as connection:
        for table in ("group_members", "group_invitations", "document_shares"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table} WHERE group_id = :group"), {"group": group}) == 0
    with user_scope(engine, bob.id) as connection:
        assert documents.get(connection, shared, user_id=bob.id).id == shared


def test_a_document_is_shared_only_with_a_group_of_its_owner(engine, group, carol):
    document_id = add_document(engine, carol, "text")
    with user_scope(engine, carol.id) as connection, pytest.raises(NotFound):
        shares.add(connection, shares.DOCUMENTS, document_id, group, user_id=carol.id)


def test_the_people_of_a_group_are_known_to_its_members_only(engine, group, alice, bob, carol):
    ids = [alice.id, bob.id, carol.id]
    with user_scope(engine, bob.id) as connection:
        assert shares.fellows(connection, ids).keys() == {alice.id, bob.id}
    with user_scope(engine, carol.id) as connection:
        assert shares.fellows(connection, ids) == {}


@pytest.mark.parametrize("table", ["documents", "chunks"])
def test_the_users_own_rows_are_read_before_the_policy_of_groups_is_asked(engine, alice, table):
    with user_scope(engine, alice.id) as connection:
        plan = " ".join(connection.execute(text(f"EXPLAIN SELECT FROM {table} WHERE user_id = :me"), {"me": alice.id}).scalars())

    assert plan.index("user_id = (NULLIF") < plan.index("parley_reads_document")


def test_an_invitation_waits_for_thirty_days(engine, engines, alice):
    group_id = new_id()
    with user_scope(engine, alice.id) as connection:
        membership.add(connection, group_id, user_id=alice.id, name="Research")
        for email in ("old@example.com", "young@example.com"):
            membership.invite(connection, group_id, email)
    for email, days in (("old@example.com", 30.5), ("young@example.com", 29.5)):
        with engines["owner"].begin() as connection:
            moved = "UPDATE group_invitations SET created_at = now() - make_interval(secs => 86400 * :days) WHERE email = :email"
            connection.execute(text(moved), {"days": days, "email": email})
    with engines["background"].begin() as connection:
        membership.sweep(connection)

    with user_scope(engine, alice.id) as connection:
        found = membership.members(connection, group_id, user_id=alice.id, limit=9)

    assert [member.email for member in found if member.role == "invited"] == ["young@example.com"]


def test_a_member_of_one_group_who_owns_another_owns_only_that(engine, engines, alice, bob):
    own, foreign = new_id(), new_id()
    for person, group_id in ((alice, own), (bob, foreign)):
        with user_scope(engine, person.id) as connection:
            membership.add(connection, group_id, user_id=person.id, name="x")
            membership.invite(connection, group_id, "grace@example.com")
    with engines["owner"].begin() as connection:
        join = "INSERT INTO group_members (user_id, group_id, role) VALUES (:user, :group, 'member')"
        connection.execute(text(join), {"user": alice.id, "group": foreign})
    with user_scope(engine, alice.id) as connection:
        membership.rename(connection, own, user_id=alice.id, name="Mine")
        with pytest.raises(NotFound):
            membership.rename(connection, foreign, user_id=alice.id, name="Mine")
    with engines["background"].begin() as connection:
        membership.hand_over(connection, user_id=alice.id)
        heirs = connection.scalars(text("SELECT role FROM group_members WHERE group_id = :id ORDER BY role"), {"id": foreign}).all()

    assert heirs == ["member", "owner"]


def test_the_owner_of_one_group_renames_no_other_without_row_level_security(superuser, engine, alice, bob):
    groups = {person.id: new_id() for person in (alice, bob)}
    for user_id, group_id in groups.items():
        with user_scope(engine, user_id) as connection:
            membership.add(connection, group_id, user_id=user_id, name="x")
    with superuser.connect() as connection:
        membership.rename(connection, groups[alice.id], user_id=alice.id, name="Mine")
        with pytest.raises(NotFound):
            membership.rename(connection, groups[bob.id], user_id=alice.id, name="Mine")
        connection.rollback()
