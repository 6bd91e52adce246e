"""What the functions of sign-in read and change for a user, beside other rows that look alike."""

import pytest

from parley.db.accounts import oidc

IDENTITY = {"issuer": "https://a.example", "subject": "a"}


@pytest.mark.parametrize(
    ("other", "is_found"), [({}, True), ({"subject": "b"}, False), ({"issuer": "https://b.example"}, False), ("bob", False)]
)
def test_an_identity_is_that_of_one_subject_at_one_issuer(run, alice, bob, other, is_found):
    run(oidc.add_identity, user_id=alice.id, **IDENTITY)
    asked = {"user_id": bob.id} if other == "bob" else {"user_id": alice.id, **other}

    assert run(oidc.lock_identity, **(IDENTITY | asked)) is is_found
