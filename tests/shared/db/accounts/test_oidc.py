"""What an issuer's identities and sessions reach, beside those of other issuers, of other sessions and of other users."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from parley.clock import utc_now
from parley.db.accounts import oidc
from parley.db.tables import oidc_identities, sessions
from parley.ids import new_id

ONE, OTHER = "https://a.example", "https://b.example"
TOMORROW = utc_now() + timedelta(days=1)


@pytest.fixture
def start(unrestricted):
    """Return a function that stores a session and returns its id."""

    def start(user_id, *, issuer=ONE, issuer_session="s", **values):
        values |= {"user_id": user_id, "id": new_id(), "oidc_issuer": issuer, "oidc_session": issuer_session, "expires_at": TOMORROW}
        unrestricted.execute(insert(sessions), [values])
        return values["id"]

    return start


def live(unrestricted, people):
    query = text("SELECT id FROM sessions WHERE ended_at IS NULL AND user_id = ANY(:people)")
    return set(unrestricted.scalars(query, {"people": people}))


def test_two_issuers_may_name_two_people_alike(unrestricted, people):
    for user_id, issuer in zip(people, (ONE, OTHER), strict=True):
        unrestricted.execute(insert(oidc_identities), [{"user_id": user_id, "issuer": issuer, "subject": "grace"}])
    found = [oidc.find_owner(unrestricted, issuer=issuer, subject="grace") for issuer in (ONE, OTHER, "https://c.example")]

    assert found == [*people, None]


def test_a_session_of_an_issuer_has_the_user_of_its_live_sessions(unrestricted, people, start):
    alice, bob = people
    for _ in range(2):  # in two browsers
        start(alice)
    start(bob, issuer=OTHER, ended_at=utc_now())
    found = [oidc.find_session_owner(unrestricted, issuer=issuer, issuer_session="s") for issuer in (ONE, OTHER)]

    assert found == [alice, None]


def test_an_issuer_ends_only_its_own_sessions_of_one_user(unrestricted, people, start):
    alice, bob = people
    start(alice)
    kept = {start(alice, issuer=OTHER), start(bob)}

    assert oidc.end_sessions(unrestricted, user_id=alice, issuer=ONE, issuer_session="s") == 1
    assert live(unrestricted, people) == kept


def test_a_recent_login_at_an_issuer_is_that_of_the_same_session(unrestricted, people, start):
    by_issuer, by_password = start(people[0]), start(people[0], issuer=None)
    found = [
        oidc.has_recent_login(unrestricted, session_id, user_id=people[0], within=timedelta(minutes=5))
        for session_id in (by_issuer, by_password)
    ]

    assert found == [True, False]
