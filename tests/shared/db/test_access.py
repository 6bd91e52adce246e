"""What opens a transaction and starts a session, where no authorizer has refused it before."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db.accounts import api_keys, sessions, users
from parley.db.accounts.sessions import NewSession
from parley.db.transactions import principal_scope, user_scope
from parley.errors import Unauthorized
from parley.ids import new_id

ENDS = {
    "session": "UPDATE sessions SET ended_at = now() WHERE user_id = :id",
    "account": "UPDATE users SET disabled_at = now() WHERE id = :id",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_transaction_needs_a_live_session_of_an_account_that_is_not_disabled_beside_other_accounts(engine, engines, alice, bob, end):
    with principal_scope(engine, alice.principal):
        pass
    with engines["owner"].begin() as connection:
        connection.execute(text(end), {"id": alice.id})
    with pytest.raises(Unauthorized), principal_scope(engine, alice.principal):
        pass
    with principal_scope(engine, bob.principal):
        pass


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
