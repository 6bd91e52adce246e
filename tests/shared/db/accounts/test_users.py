"""A user's address, and whether its owner has proven it, beside those of others."""

import pytest
from sqlalchemy import insert

from parley.db.accounts import users
from parley.db.tables import credentials
from parley.ids import new_id


@pytest.mark.parametrize(("options", "is_verified"), [({}, False), ({"is_verified": True}, True)])
def test_a_new_users_address_is_proven_only_if_the_caller_says_so(unrestricted, options, is_verified):
    user = users.add(unrestricted, new_id(), email=f"{new_id()}@example.com", display_name=None, password_hash="x", **options)

    assert users.is_email_verified(unrestricted, user.id) is is_verified


def test_a_new_address_is_that_of_one_user(unrestricted, people):
    before = users.get(unrestricted, people[1])

    assert users.change_email(unrestricted, people[0], f"{new_id()}@example.com")
    assert users.get(unrestricted, people[1]) == before


def test_an_address_that_somebody_else_has_proven_is_not_proven(unrestricted, people):
    address = users.get(unrestricted, people[0]).email
    rows = [{"user_id": id, "password_hash": "x", "verified_email": email} for id, email in zip(people, (None, address), strict=True)]
    unrestricted.execute(insert(credentials), rows)

    assert not users.is_email_verified(unrestricted, people[0])
    assert users.lock_verified_email(unrestricted, people[0]) is None
