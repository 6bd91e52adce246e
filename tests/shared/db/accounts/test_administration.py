"""What an admin changes is one account."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text

from parley.clock import utc_now
from parley.db.accounts import administration, invites, signups
from parley.db.accounts.administration import EndedAccess
from parley.db.accounts.signups import Signup
from parley.db.tables import api_keys, group_invitations, groups, usage
from parley.db.transactions import global_scope
from parley.errors import NotFound
from parley.ids import new_id

HOUR = timedelta(hours=1)


def test_a_change_of_an_account_changes_no_other(engines, alice, bob):
    with global_scope(engines["background"]) as connection:
        changed = administration.change(connection, alice.id, {"monthly_budget_usd": 3})
        other = administration.get(connection, bob.id)

        assert (changed.id, changed.monthly_budget_usd, other.id, other.monthly_budget_usd) == (alice.id, 3, bob.id, None)
        with pytest.raises(NotFound):
            administration.change(connection, new_id(), {"monthly_budget_usd": 3})


@pytest.mark.parametrize(
    ("change", "is_admin"),
    [
        ("UPDATE users SET role = 'admin' WHERE id = :id", True),
        ("UPDATE users SET role = 'admin', disabled_at = now() WHERE id = :id", False),
        ("UPDATE users SET role = 'admin' WHERE id = :other", False),
    ],
)
def test_an_admin_is_an_enabled_account_with_the_role(unrestricted, people, change, is_admin):
    unrestricted.execute(text(change), dict(zip(("id", "other"), people, strict=True)))

    assert administration.is_admin(unrestricted, people[0]) is is_admin


def test_an_erased_account_takes_along_what_names_its_address_and_nothing_else(unrestricted, people):
    addresses = [administration.get(unrestricted, id).email for id in people]
    group_id = new_id()
    unrestricted.execute(insert(groups).values(id=group_id, name="Research"))
    for email in addresses:
        unrestricted.execute(insert(group_invitations).values(group_id=group_id, email=email))
        signups.add(unrestricted, Signup(new_id(), email, None, "hash", None), lifetime=HOUR)
        invites.add(unrestricted, new_id(), new_id().bytes, email=email, created_by=people[1], expires_at=utc_now() + HOUR)

    assert [administration.erase(unrestricted, people[0]) for _ in range(2)] == [True, False]
    for table in ("group_invitations", "signups", "invites", "users"):
        left = unrestricted.scalars(text(f"SELECT email FROM {table} WHERE email = ANY(:emails)"), {"emails": addresses}).all()
        assert (table, left) == (table, addresses[1:])


def test_the_usage_of_a_period_begins_with_its_first_moment_and_ends_before_its_last(unrestricted, people):
    start, end = datetime(2001, 5, 1, tzinfo=UTC), datetime(2001, 6, 1, tzinfo=UTC)
    moment = timedelta(microseconds=1)
    call = {"user_id": people[0], "purpose": "chat", "model": "m", "provider": "p", "status": "completed", "cost_usd": 1}
    for tokens, at in ((1, start - moment), (2, start), (4, end - moment), (8, end)):
        unrestricted.execute(insert(usage).values(call | {"id": new_id(), "input_tokens": tokens, "at": at}))
    found = administration.grouped_usage(unrestricted, start=start, end=end, group_by=["user"], limit=1000, offset=0)

    assert [one.input_tokens for one in found if one.user_id == people[0]] == [2 + 4]


def test_keys_without_use_are_not_counted_as_revoked_with_the_sessions(unrestricted, people):
    ends = {"live": {}, "revoked": {"revoked_at": utc_now() - HOUR}, "expired": {"expires_at": utc_now() - HOUR}}
    for name, values in ends.items():
        row = {"user_id": people[0], "id": new_id(), "name": name, "scopes": ["chat"], "expires_at": utc_now() + HOUR} | values
        unrestricted.execute(insert(api_keys).values(row))
    ended = administration.end_access(unrestricted, user_id=people[0], but=None, with_api_keys=True)
    revoked = unrestricted.scalars(text("SELECT name FROM api_keys WHERE user_id = :id AND revoked_at = now()"), {"id": people[0]}).all()

    assert ended == [EndedAccess(people[0], sessions=0, api_keys=1)]
    assert revoked == ["live"]
