"""Sign-ups and invites until they expire."""

from datetime import timedelta

import pytest

from parley.clock import utc_now
from parley.db.accounts import invites, signups
from parley.db.accounts.signups import Signup
from parley.errors import NotFound
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


@pytest.fixture
def invite(unrestricted, people):
    """Return a function that stores an invite and returns its id."""

    def invite(lifetime=HOUR):
        expires_at = utc_now() + lifetime
        return invites.add(unrestricted, new_id(), new_id().bytes, email=None, created_by=people[0], expires_at=expires_at).id

    return invite


def test_an_expired_invite_is_neither_listed_nor_used(unrestricted, invite):
    made = invite(), invite(-HOUR)
    listed = [one.id for one in invites.page(unrestricted, limit=1000, after=None)]

    assert [id in listed for id in made] == [True, False]
    assert [invites.use(unrestricted, id) for id in made] == [True, False]


def test_an_invite_is_withdrawn_once_and_no_other_with_it(unrestricted, invite):
    withdrawn, kept = invite(), invite()
    invites.remove(unrestricted, withdrawn)

    assert kept in [one.id for one in invites.page(unrestricted, limit=1000, after=None)]
    with pytest.raises(NotFound):
        invites.remove(unrestricted, withdrawn)
