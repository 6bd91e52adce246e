"""What opens a transaction and starts a session, where no authorizer has refused it before."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db.accounts import api_keys, sessions, users
from parley.db.accounts.login_throttle import ThrottleBucket
from parley.db.accounts.sessions import LoginBuckets, NewSession
from parley.db.transactions import lock_access, principal_scope, user_scope
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
    session = NewSession(new_id(), b"token", utc_now() + timedelta(days=1), False)
    started = run(sessions.start_session, alice.id, password_hash, session, origin=ClientOrigin("192.0.2.1"), reset_buckets=None)

    assert (started is None) is is_disabled


# Each kind of credential: the table, the field of the principal, and what ends it.
CREDENTIALS = {
    "session": ("sessions", "session_id", ("ended_at = now()", "expires_at = now()")),
    "API key": ("api_keys", "api_key_id", ("revoked_at = now()", "expires_at = now()")),
    "run": ("schedule_runs", "run_id", ("status = 'completed'",)),
}
ENDINGS = [(kind, f"UPDATE {table} SET {end} WHERE id = :id") for kind, (table, _, ends) in CREDENTIALS.items() for end in ends]
ENDINGS += [(kind, "UPDATE users SET disabled_at = now() WHERE id = :user") for kind in CREDENTIALS]


@pytest.fixture
def access(transaction, owner):
    """Open a transaction without row level security in which a run of the owner's is running."""
    with transaction("lock_access", owner.user_id) as connection:
        connection.execute(text("UPDATE schedule_runs SET status = 'running' WHERE user_id = :id"), {"id": owner.user_id})
        yield connection


def principal_by(kind, owner, user_id):
    """The principal of a user with a credential of the owner's."""
    table, field, _ = CREDENTIALS[kind]
    credential = {"session_id": None, "api_key_id": None, field: owner.id_of(table)}
    return Principal(user_id=user_id, scopes=frozenset(), expires_at=utc_now(), **credential)


@pytest.mark.parametrize(("kind", "end"), ENDINGS)
def test_access_ends_with_its_credential_or_its_account_and_the_log_names_it(access, owner, alice, kind, end):
    principal = principal_by(kind, owner, owner.user_id)
    lock_access(access, principal)
    id = owner.id_of(CREDENTIALS[kind][0])
    access.execute(text(end), {"id": id, "user": owner.user_id})

    with pytest.raises(Unauthorized, match=f"^{kind} {id} has ended"):
        lock_access(access, principal)


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_somebody_elses_credential_gives_no_access_without_row_level_security(access, owner, alice, kind):
    with pytest.raises(Unauthorized):
        lock_access(access, principal_by(kind, owner, alice.id))


@pytest.mark.parametrize(("is_exclusive", "blocked"), [(False, {"NO KEY UPDATE"}), (True, {"NO KEY UPDATE", "SHARE"})])
def test_locked_access_keeps_others_from_the_credentials_of_this_account_alone(access, superuser, owner, alice, is_exclusive, blocked):
    lock_access(access, principal_by("session", owner, owner.user_id), is_exclusive=is_exclusive)

    def blocked_for(user_id):
        with superuser.connect() as connection:
            locks = {lock: f"SELECT FROM credentials WHERE user_id = :id FOR {lock} SKIP LOCKED" for lock in ("NO KEY UPDATE", "SHARE")}
            return {lock for lock, select in locks.items() if not connection.execute(text(select), {"id": user_id}).all()}

    assert (blocked_for(owner.user_id), blocked_for(alice.id)) == (blocked, set())


@pytest.mark.parametrize(
    ("change", "is_comparable", "has_second_factor"),
    [
        ("SELECT 1", True, False),
        ("UPDATE users SET disabled_at = now() WHERE id = :id", False, False),
        ("INSERT INTO second_factors (user_id, secret) VALUES (:id, 'secret')", True, False),
        ("INSERT INTO second_factors (user_id, secret, confirmed_at) VALUES (:id, 'secret', now())", True, True),
    ],
)
def test_an_attempt_is_told_whether_a_password_is_compared_and_suffices(engines, alice, change, is_comparable, has_second_factor):
    with engines["owner"].begin() as connection:
        connection.execute(text(change), {"id": alice.id})
    buckets = LoginBuckets(*(ThrottleBucket(new_id().bytes, burst=9, every_s=1.0, slow_s=1.0) for _ in fields(LoginBuckets)))
    attempt = sessions.count_attempt(engines["background"], alice.email, "192.0.2.1", buckets)

    assert (attempt.user_id, attempt.wait_s) == (alice.id, None)
    assert (attempt.password_hash is not None, attempt.has_second_factor) == (is_comparable, has_second_factor)
