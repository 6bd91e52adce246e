"""API keys beside revoked ones."""

from datetime import timedelta

import pytest

from parley.clock import utc_now
from parley.db.accounts import api_keys
from parley.errors import NotFound
from parley.ids import new_id


def test_a_key_is_revoked_once(unrestricted, people):
    which = {"user_id": people[0]}
    expires_at = utc_now() + timedelta(hours=1)
    revoked, kept = (api_keys.add(unrestricted, new_id(), name="x", scopes=["chat"], expires_at=expires_at, **which).id for _ in range(2))
    api_keys.revoke(unrestricted, revoked, **which)

    with pytest.raises(NotFound):
        api_keys.revoke(unrestricted, revoked, **which)
    assert [key.id for key in api_keys.page(unrestricted, limit=9, after=None, **which)] == [kept]
