"""What the functions of sign-in read and change for a user, beside other rows that look alike."""

import secrets
from datetime import timedelta

import pytest
from sqlalchemy import text

from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db.accounts import invites, login_throttle, oidc, users
from parley.db.accounts.oidc import OidcSession
from parley.db.groups import membership
from parley.db.transactions import principal_scope, user_scope
from parley.errors import NotFound, Unauthorized
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


def test_an_invitation_waits_for_thirty_days(engines, run, alice):
    group_id = new_id()
    run(membership.add, group_id, user_id=alice.id, name="Research")
    for email, days in (("old@example.com", 30.5), ("young@example.com", 29.5)):
        run(membership.invite, group_id, email)
        with engines["owner"].begin() as connection:
            moved = "UPDATE group_invitations SET created_at = now() - make_interval(secs => 86400 * :days) WHERE email = :email"
            connection.execute(text(moved), {"days": days, "email": email})
    with engines["background"].begin() as connection:
        membership.sweep(connection)

    assert [member.email for member in run(membership.members, group_id, user_id=alice.id, limit=9) if member.role == "invited"] == [
        "young@example.com"
    ]


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
