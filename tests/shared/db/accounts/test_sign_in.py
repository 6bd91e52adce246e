"""What the functions of sign-in read and change for a user, beside other rows that look alike."""

import secrets
from datetime import timedelta

import pytest
from sqlalchemy import text

from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db.accounts import invites, login_throttle, oidc, users
from parley.db.accounts.oidc import OidcSession
from parley.ids import new_id

IDENTITY = {"issuer": "https://a.example", "subject": "a"}


@pytest.mark.parametrize(
    ("other", "is_found"), [({}, True), ({"subject": "b"}, False), ({"issuer": "https://b.example"}, False), ("bob", False)]
)
def test_an_identity_is_that_of_one_subject_at_one_issuer(run, alice, bob, other, is_found):
    run(oidc.add_identity, user_id=alice.id, **IDENTITY)
    asked = {"user_id": bob.id} if other == "bob" else {"user_id": alice.id, **other}

    assert run(oidc.lock_identity, **(IDENTITY | asked)) is is_found


def test_a_session_of_an_issuer_ends_once(run, alice):
    session = OidcSession(new_id(), "https://a.example", "s", utc_now() + timedelta(hours=1))
    run(oidc.start_session, alice.id, session, token_hash=b"hash", origin=ClientOrigin("192.0.2.1"))
    ended = [run(oidc.end_sessions, user_id=alice.id, issuer="https://a.example", issuer_session="s") for _ in range(2)]

    assert ended == [1, 0]


@pytest.mark.parametrize(("proven", "is_found"), [(lambda alice: alice.email, True), (lambda alice: "old@example.com", False)])
def test_an_address_is_proven_as_long_as_it_is_the_accounts(run, engines, alice, proven, is_found):
    with engines["owner"].begin() as connection:
        connection.execute(
            text("UPDATE credentials SET verified_email = :email WHERE user_id = :id"), {"email": proven(alice), "id": alice.id}
        )

    assert run(users.lock_verified_email, alice.id) == (alice.email if is_found else None)
    assert run(users.is_email_verified, alice.id) is is_found


def test_the_sweep_of_attempts_keeps_those_of_the_last_month(engines):
    old, young = secrets.token_bytes(16), secrets.token_bytes(16)
    with engines["owner"].begin() as connection:
        add = text("INSERT INTO guesses (key, free_at) VALUES (:key, now() - make_interval(days => :days))")
        connection.execute(add, [{"key": old, "days": 31}, {"key": young, "days": 29}])
    with engines["background"].begin() as connection:
        assert login_throttle.sweep(connection) >= 1
        left = connection.scalars(text("SELECT key FROM guesses WHERE key = ANY(:keys)"), {"keys": [old, young]}).all()

    assert left == [young]


def test_an_invite_is_used_once_before_it_expires_and_no_other_with_it(engines, alice):
    with engines["background"].begin() as connection:
        made = []
        for hours in (1, 1, -1):
            code_hash, expires_at = secrets.token_bytes(16), utc_now() + timedelta(hours=hours)
            made.append((code_hash, new_id()))
            invites.add(connection, made[-1][1], code_hash, email=None, created_by=alice.id, expires_at=expires_at)
        found = [invites.find(connection, code_hash, email="x@example.com") for code_hash, _ in made]
        used = [invites.use(connection, made[0][1]) for _ in range(2)]

        assert (found, used) == ([made[0][1], made[1][1], None], [True, False])
        assert invites.find(connection, made[1][0], email="x@example.com") == made[1][1]
