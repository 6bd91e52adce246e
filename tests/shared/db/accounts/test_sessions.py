"""Which passwords start a session, and which sessions are listed."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db.accounts import sessions
from parley.db.accounts.sessions import NewSession
from parley.db.tables import credentials, second_factors
from parley.db.tables import sessions as stored_sessions
from parley.ids import new_id

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def passwords(unrestricted, people):
    """Give the first user the password hash "own", and the second "other"."""
    rows = [{"user_id": id, "password_hash": hash} for id, hash in zip(people, ("own", "other"), strict=True)]
    unrestricted.execute(insert(credentials), rows)


@pytest.fixture
def add_factor(unrestricted, people):
    """Return a function that stores a second factor of the first or the second user."""

    def add_factor(number, *, is_confirmed=True):
        row = {"user_id": people[number], "secret": b"secret", "confirmed_at": utc_now() if is_confirmed else None}
        unrestricted.execute(insert(second_factors).values(row))

    return add_factor


@pytest.fixture
def starts(unrestricted, people):
    """Return a function that returns whether a password starts a session of the first user."""

    def starts(password_hash="own", *, has_second_factor=False):
        session = NewSession(new_id(), b"token", utc_now() + HOUR, has_second_factor)
        user = sessions.start_session(unrestricted, people[0], password_hash, session, origin=ClientOrigin("192.0.2.1"), reset_buckets=None)
        assert user is None or user.id == people[0]
        return user is not None

    return starts


def test_a_session_starts_with_the_users_own_password(starts):
    assert [starts(password_hash) for password_hash in ("other", "own")] == [False, True]


def test_a_disabled_account_starts_no_session(unrestricted, people, starts):
    unrestricted.execute(text("UPDATE users SET disabled_at = now() WHERE id = :id"), {"id": people[0]})

    assert not starts()


@pytest.mark.parametrize(
    ("factor", "has_second_factor", "is_started"),
    [
        ((0, {}), False, False),
        ((0, {}), True, True),
        ((0, {"is_confirmed": False}), False, True),
        ((1, {}), False, True),
    ],
)
def test_a_password_alone_starts_no_session_of_a_user_with_a_confirmed_factor(starts, add_factor, factor, has_second_factor, is_started):
    add_factor(factor[0], **factor[1])

    assert starts(has_second_factor=has_second_factor) is is_started


def test_only_live_sessions_are_listed(unrestricted, people):
    ends = {"live": {}, "ended": {"ended_at": utc_now()}, "expired": {"expires_at": utc_now() - HOUR}}
    ids = {name: new_id() for name in ends}
    for name, values in ends.items():
        row = {"user_id": people[0], "id": ids[name], "expires_at": utc_now() + HOUR} | values
        unrestricted.execute(insert(stored_sessions).values(row))
    found = sessions.page(unrestricted, user_id=people[0], idle=HOUR, limit=9, after=None)

    assert [session.id for session in found] == [ids["live"]]
