"""Sign-ups and invites until they expire."""

from datetime import timedelta

import pytest

from parley.clock import utc_now
from parley.db.accounts import invites, signups
from parley.db.accounts.signups import Signup
from parley.ids import new_id

HOUR = timedelta(hours=1)
EMAIL = "ada@example.com"


@pytest.fixture
def add(unrestricted):
    """Return a function that stores a sign-up with its code, and returns its id."""

    def add(lifetime=HOUR):
        signup = Signup(new_id(), EMAIL, None, "hash", None)
        signups.add(unrestricted, signup, lifetime=HOUR)
        signups.set_code(unrestricted, signup.id, b"code", lifetime=lifetime)
        return signup.id

    return add


@pytest.mark.parametrize("other", [{}, {"signup_id": new_id()}, {"email": "b@example.com"}, {"code_hash": b"other"}])
def test_a_code_confirms_its_own_signup_of_its_own_address(unrestricted, add, other):
    which = {"signup_id": add(), "email": EMAIL, "code_hash": b"code"}
    found = signups.find(unrestricted, **which | other)

    assert (found and found.id) == (None if other else which["signup_id"])


def test_an_expired_signup_is_neither_found_nor_counted(unrestricted, add):
    kept, expired = add(), add(-HOUR)
    found = [signups.find(unrestricted, id, email=EMAIL, code_hash=b"code") for id in (kept, expired)]

    assert [signup and signup.id for signup in found] == [kept, None]
    assert [signups.get(unrestricted, id) is not None for id in (kept, expired)] == [True, False]
    assert signups.count(unrestricted, EMAIL) == 1


def test_an_expired_invite_is_not_listed(unrestricted, people):
    made = [
        invites.add(unrestricted, new_id(), bytes([number]), email=None, created_by=people[0], expires_at=utc_now() + lifetime)
        for number, lifetime in enumerate((HOUR, -HOUR))
    ]

    assert {invite.id for invite in made} & {invite.id for invite in invites.page(unrestricted, limit=9, after=None)} == {made[0].id}
