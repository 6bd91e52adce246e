"""The audit of the deployment only grows: no role of the functions changes, deletes, backdates or forges a row."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import audit, deployment_audit
from parley.db.accounts.deployment_audit import AuditFilter
from parley.db.transactions import global_scope, user_scope
from parley.ids import new_id

DESCRIPTION = Path(__file__).parents[4] / "functions" / "web" / "openapi.json"
ADD = """
INSERT INTO deployment_audit (id, action, actor, actor_id, account_id, outcome{column})
VALUES (gen_random_uuid(), 'login', :actor, :actor_id, :account_id, 'done'{value})
"""


@pytest.fixture
def row(engine, alice):
    """A row of alice's, and its id."""
    id = new_id()
    with user_scope(engine, alice.id) as connection:
        audit.record(connection, "guard_hit", actor="user", actor_id=alice.id, account_id=alice.id, id=id)
    return id


def rows_of(engines, **which):
    with global_scope(engines["background"]) as connection:
        return deployment_audit.page(connection, AuditFilter(**which), limit=100, after=None)


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last(engines, alice, row):
    at = rows_of(engines, account_id=alice.id)[0].at
    later = at + timedelta(microseconds=1)
    found = [rows_of(engines, account_id=alice.id, start=start, end=end) for start, end in ((at, later), (None, at), (later, None))]

    assert [[event.id for event in events if event.id == row] for events in found] == [[row], [], []]


def test_an_export_has_the_newest_rows_first_and_as_many_as_its_description_says(engines, row):
    with global_scope(engines["background"]) as connection:
        ids = [event.id for event in deployment_audit.newest(connection)]

    assert row in ids
    assert ids == sorted(ids, reverse=True)
    assert f"its newest {deployment_audit.MAX_EXPORTED:,} rows" in DESCRIPTION.read_text()


@pytest.mark.parametrize(
    ("event", "has_admin", "actor"),
    [("login", False, "user"), ("disabled", True, "admin"), ("ended_by_issuer", False, "issuer"), ("provisioned", False, "scim")],
)
def test_an_event_names_who_caused_it(engine, engines, alice, bob, event, has_admin, actor):
    with global_scope(engines["background"]) if has_admin else user_scope(engine, alice.id) as connection:
        audit.add(connection, alice.id, event, None, admin_id=bob.id if has_admin else None)
    newest = rows_of(engines, account_id=alice.id)[0]

    assert (newest.action, newest.actor, newest.outcome) == (event, actor, "done")
    assert newest.actor_id == {"user": alice.id, "admin": bob.id}.get(actor)


@pytest.mark.parametrize(
    ("action", "is_refused", "outcome"),
    [("login", False, "done"), ("login", True, "refused"), ("login_failed", False, "refused"), ("login_failed", True, "refused")],
)
def test_a_refusal_is_recorded_as_one(engine, engines, alice, action, is_refused, outcome):
    with user_scope(engine, alice.id) as connection:
        audit.record(connection, action, actor="user", actor_id=alice.id, account_id=alice.id, is_refused=is_refused)
    newest = rows_of(engines, account_id=alice.id)[0]

    assert (newest.action, newest.outcome) == (action, outcome)


@pytest.mark.parametrize("role", ["app", "background"])
@pytest.mark.parametrize(
    "change", ["UPDATE deployment_audit SET actor = 'system'", "DELETE FROM deployment_audit", "TRUNCATE deployment_audit"]
)
def test_no_role_of_the_functions_changes_a_row(engines, alice, row, role, change):
    with pytest.raises(ProgrammingError, match="permission denied"), user_scope(engines[role], alice.id) as connection:
        connection.execute(text(change))


@pytest.mark.parametrize("change", ["UPDATE deployment_audit SET actor = 'system'", "DELETE FROM deployment_audit"])
def test_not_even_the_owner_changes_a_young_row(engines, alice, row, change):
    with engines["owner"].begin() as connection:
        assert connection.execute(text(change)).rowcount == 0

    assert [found.id for found in rows_of(engines, actor_id=alice.id, action="guard_hit")] == [row]


@pytest.mark.parametrize("role", ["app", "background"])
def test_no_role_of_the_functions_sets_the_time(engines, alice, role):
    values = {"actor": "user", "actor_id": alice.id, "account_id": alice.id}
    with pytest.raises(ProgrammingError, match="permission denied"), user_scope(engines[role], alice.id) as connection:
        connection.execute(text(ADD.format(column=", at", value=", now() - interval '1 day'")), values)


@pytest.mark.parametrize(
    ("actor", "actor_is_alice", "account_is_alice"), [("user", False, True), ("user", True, False), ("admin", True, True)]
)
def test_no_user_writes_in_another_name(engine, alice, bob, actor, actor_is_alice, account_is_alice):
    people = {True: alice.id, False: bob.id}
    values = {"actor": actor, "actor_id": people[actor_is_alice], "account_id": people[account_is_alice]}
    with pytest.raises(ProgrammingError, match="row-level security"), user_scope(engine, alice.id) as connection:
        connection.execute(text(ADD.format(column="", value="")), values)


def test_users_do_not_read_the_audit(engine, alice, row):
    with pytest.raises(ProgrammingError, match="permission denied"), user_scope(engine, alice.id) as connection:
        connection.execute(text("SELECT FROM deployment_audit"))


def test_a_row_with_the_same_id_is_added_once(engine, engines, alice, row):
    with user_scope(engine, alice.id) as connection:
        audit.record(connection, "guard_hit", actor="user", actor_id=alice.id, account_id=alice.id, id=row)

    assert len(rows_of(engines, actor_id=alice.id, action="guard_hit")) == 1


@pytest.mark.parametrize(
    ("address", "region"), [("192.0.2.77", "192.0.2.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"), ("somewhere", None)]
)
def test_an_address_is_truncated(address, region):
    assert ClientOrigin(address).region == region
