"""A function of `parley.db` that is told which row to read or change leaves the user's other rows alone."""

import inspect
from functools import partial

import pytest

from tests.shared.db.repository_calls import Rows, call, changed_tables, digest, repository_functions

PAGE_PARAMETERS = {"connection", "user_id", "limit", "after"}
FUNCTIONS = dict(repository_functions())
# These read all of a user's rows of their kind.
READS_ALL = {
    *(f"{module}.page" for module in ("api_keys", "audit", "passkeys", "sessions", "conversations", "documents", "membership", "imports")),
    *(f"{module}.page" for module in ("shared_links", "mcp_servers", "memories", "projects", "scheduled_prompts", "webhooks")),
    *("mcp_servers.list_all", "tool_settings.list_all", "exports.user_rows", "passkeys.credentials", "usage.daily_usage"),
    *("memories.lock_current", "memories.without_vector", "passages.without_vector"),
    *("chunks.search_chunks", "search.search_facts"),
}
# These change all of them.
CHANGES_ALL = {
    "api_keys.revoke_all": {"api_keys"},
    "oidc.remove_identities": {"oidc_identities"},
    "one_time_codes.add": {"one_time_codes"},
    "one_time_codes.invalidate": {"one_time_codes"},
    "passkeys.remove_all": {"passkeys"},
    "second_factors.confirm": {"recovery_codes", "sessions"},
    "second_factors.remove": {"recovery_codes"},
    "sessions.end_all": {"sessions"},
    "documents.take_waiting": {"documents"},
}

# These have pages of a user's rows.
PAGES = [name for name, function in FUNCTIONS.items() if inspect.signature(function).parameters.keys() == PAGE_PARAMETERS]
# A user has one row of these, or the fixture has one.
ONE_ROW = {"users", "credentials", "second_factors", "scim_users", "stream_leases"}


@pytest.fixture(scope="module")
def further(engines, owner):
    """Further rows of the owner's."""
    return owner.with_further_rows(engines["owner"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_users_other_rows_are_neither_read_nor_changed(transaction, owner, further, name):
    with transaction(name, owner.user_id) as connection:
        before = digest(connection, owner.user_id, further.marks)
        result = call(name, FUNCTIONS[name], connection, owner.user_id, Rows.of(owner))
        changed = changed_tables(connection, owner.user_id, before, further.marks)

    assert (further.token in result, changed) == (name in READS_ALL, CHANGES_ALL.get(name, set()))
    assert result != "raises MultipleResultsFound"


def ids(rows):
    return [row.id for row in rows]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_goes_on_after_its_cursor_with_the_next_row(transaction, owner, further, name):
    with transaction(name, owner.user_id) as connection:
        page = partial(FUNCTIONS[name], connection, user_id=owner.user_id)
        whole, first = ids(page(limit=9, after=None)), ids(page(limit=1, after=None))
        second = ids(page(limit=1, after=first[0]))

    assert (first, second) == (whole[:1], whole[1:2])
    assert second


def test_every_table_that_holds_several_rows_of_a_user_has_a_further_row(superuser, owner, further):
    with superuser.connect() as connection:
        without = {table for table, rows in digest(connection, owner.user_id, further.marks).items() if rows is None}

    assert without == ONE_ROW
