"""What a client's code starts, and for whom."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, text

from parley.auth.client_origin import ClientOrigin
from parley.clock import utc_now
from parley.db.accounts import authorization_codes
from parley.db.accounts.authorization_codes import NewAuthorization
from parley.db.tables import sessions
from parley.ids import new_id

LATER = utc_now() + timedelta(hours=1)


@pytest.fixture
def consent(unrestricted, people):
    """Return a function that stores the first user's consent and returns the id of the client's session."""

    def consent(approved_by=None):
        resource = ("client", "name", ["mcp:tools"], b"code", "http://127.0.0.1/", "challenge", "resource", LATER)
        authorization = NewAuthorization(new_id(), approved_by, *resource)
        authorization_codes.add(unrestricted, authorization, user_id=people[0], origin=ClientOrigin("192.0.2.1"))
        return authorization.session_id

    return consent


@pytest.mark.parametrize(
    ("change", "starts"),
    [
        ("SELECT 1", True),
        ("UPDATE sessions SET ended_at = now() WHERE user_id = :user", False),
        ("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = :user", False),
        ("UPDATE users SET disabled_at = now() WHERE id = :user", False),
    ],
)
def test_a_code_starts_a_live_session_of_an_enabled_account(unrestricted, people, consent, change, starts):
    session_id = consent()
    unrestricted.execute(text(change), {"user": people[0]})
    user = authorization_codes.redeem(unrestricted, b"code", session_id, user_id=people[0], token_hash=b"token", expires_at=LATER)

    assert (user and user.id) == (people[0] if starts else None)


@pytest.mark.parametrize(("approver", "is_strong"), [(0, True), (1, False)])
def test_a_consent_has_the_second_factor_of_the_users_own_session(unrestricted, people, consent, approver, is_strong):
    session = {"user_id": people[approver], "id": new_id(), "expires_at": LATER, "has_second_factor": True}
    unrestricted.execute(insert(sessions).values(session))
    found = unrestricted.scalar(text("SELECT has_second_factor FROM sessions WHERE id = :id"), {"id": consent(session["id"])})

    assert found is is_strong
