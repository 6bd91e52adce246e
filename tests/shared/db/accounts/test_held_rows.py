"""What starts a session, or relies on credentials, holds these rows of its user until it has ended, and nobody else's.

Another transaction asks which rows it could change at this moment, or rely on, too.
"""

import pytest
from sqlalchemy import text

from parley.db.accounts import administration
from tests.shared.db.repository_calls import Rows, call, repository_functions
from tests.support.api_gateway import Person

FUNCTIONS = dict(repository_functions())
HELD = {
    "authorization_codes.lock": {"authorization_codes"},
    "oidc.lock_identity": {"credentials"},
    "oidc.start_session": {"credentials", "users"},
    "oidc.start_session_by_code": {"credentials", "users"},
    "sessions.lock": {"sessions", "refresh_tokens"},
    "sessions.start_session": {"credentials", "users"},
    "users.lock_credentials": {"credentials"},
    "users.lock_password_hash": {"credentials"},
    "users.lock_verified_email": {"credentials"},
}
# Of these, one is at work at a time. Several of the others may rely on the same rows at once.
ALONE = {"authorization_codes.lock", "sessions.lock"}
TABLES = {"users": "id", **dict.fromkeys(("credentials", "sessions", "refresh_tokens", "authorization_codes"), "user_id")}


@pytest.fixture(scope="module")
def stranger(auth):
    return Person.registered(auth).id


@pytest.fixture
def held(superuser, owner, stranger):
    """Return a function that returns, by table, the users whose rows no other transaction can lock now, one for each row."""

    def held_rows(connection, table, lock):
        which = f"SELECT ctid, {TABLES[table]} FROM {table} WHERE {TABLES[table]} = ANY(:users)"
        rows, free = (
            set(connection.execute(text(which + end), {"users": [owner.user_id, stranger]}).all())
            for end in ("", f" FOR {lock} SKIP LOCKED")
        )
        return [user_id for _, user_id in rows - free]

    def held(lock):
        with superuser.connect() as connection:
            return {table: users for table in TABLES if (users := held_rows(connection, table, lock))}

    return held


@pytest.mark.parametrize("name", HELD)
def test_a_function_holds_one_row_of_its_user_and_no_others(transaction, owner, held, name):
    rows = {table: [owner.user_id] for table in HELD[name]}
    with transaction(name, owner.user_id) as connection:
        assert not call(name, FUNCTIONS[name], connection, owner.user_id, Rows.of(owner)).startswith("raises")

        assert held("NO KEY UPDATE") == rows
        assert held("SHARE") == (rows if name in ALONE else {})


def test_an_admin_who_ends_the_access_of_one_user_holds_the_credentials_of_no_other(unrestricted, owner, held):
    administration.end_access(unrestricted, user_id=owner.user_id, but=None, with_api_keys=False)

    assert held("SHARE")["credentials"] == [owner.user_id]
