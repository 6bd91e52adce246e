"""What opens a transaction, and who owns a group, where neither the authorizer nor a policy helps."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db import idempotency
from parley.db.accounts import api_keys, sessions, users
from parley.db.accounts.sessions import NewSession
from parley.db.groups import membership
from parley.db.transactions import global_scope, principal_scope, user_scope
from parley.errors import NotFound, Unauthorized
from parley.ids import new_id


@pytest.fixture
def by_key(engine, alice):
    """Alice, by an API key."""
    with user_scope(engine, alice.id) as connection:
        key = api_keys.add(connection, new_id(), user_id=alice.id, name="k", scopes=["chat"], expires_at=utc_now() + timedelta(days=1))
    return replace(alice.principal, session_id=None, api_key_id=key.id)


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE api_keys SET revoked_at = now() WHERE id = :key",
        "UPDATE api_keys SET expires_at = now() WHERE id = :key",
        "UPDATE users SET disabled_at = now() WHERE id = :user",
    ],
)
def test_a_key_opens_a_transaction_until_it_or_its_account_ends(engine, engines, by_key, end):
    with principal_scope(engine, by_key):
        pass
    with engines["owner"].begin() as connection:
        connection.execute(text(end), {"key": by_key.api_key_id, "user": by_key.user_id})
    with pytest.raises(Unauthorized), principal_scope(engine, by_key):
        pass


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


def test_the_sweep_of_idempotency_keys_keeps_those_of_the_last_day(engines, alice):
    with engines["owner"].begin() as connection:
        add = (
            "INSERT INTO idempotency_keys (user_id, route, key, fingerprint, created_at) "
            "VALUES (:user, 'chat', :key, 'f', now() - make_interval(hours => :hours))"
        )
        connection.execute(text(add), [{"user": alice.id, "key": f"{hours}", "hours": hours} for hours in (23, 25)])
    with global_scope(engines["background"]) as connection:
        assert idempotency.sweep(connection) >= 1
    with engines["owner"].connect() as connection:
        assert connection.scalars(text("SELECT key FROM idempotency_keys WHERE user_id = :user"), {"user": alice.id}).all() == ["23"]


def test_all_keys_are_revoked_once(run, alice):
    for name in ("a", "b"):
        run(api_keys.add, new_id(), user_id=alice.id, name=name, scopes=["chat"], expires_at=utc_now() + timedelta(days=1))

    assert [run(api_keys.revoke_all, user_id=alice.id) for _ in range(2)] == [2, 0]


@pytest.mark.parametrize("is_disabled", [False, True])
def test_the_right_password_starts_a_session_unless_the_account_is_disabled(run, engines, alice, is_disabled):
    password_hash = run(users.password_hash_of, alice.id)
    with engines["owner"].begin() as connection:
        disable = text("UPDATE users SET disabled_at = CASE WHEN :off THEN now() END WHERE id = :id")
        connection.execute(disable, {"off": is_disabled, "id": alice.id})
    session = NewSession(new_id(), b"token", utc_now() + timedelta(days=1))
    started = run(sessions.start_session, alice.id, password_hash, session, origin=ClientOrigin("192.0.2.1"), reset_buckets=None)

    assert (started is None) is is_disabled
