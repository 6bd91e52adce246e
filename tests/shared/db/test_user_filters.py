"""Row level security is the second lock: without it, each function of `parley.db` still reaches only its own user's rows.

The tests run as the superuser, whom no policy restricts.
"""

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import InternalError

from parley.db import conversations, messages, passages, search
from parley.db.metering import budgets
from parley.db.search import WindowStart
from parley.db.transactions import principal_scope
from parley.db.turn.stream_leases import StreamLease
from parley.errors import Unauthorized
from parley.ids import new_id
from parley.memory.passages import Passage
from tests.shared.db.repository_calls import PREPARATIONS, STATES, Rows, call, digest, repository_functions
from tests.support.api_gateway import Person
from tests.support.tenant_fixture import TenantFixture

FUNCTIONS = dict(repository_functions())
# The modules whose rows the arguments name, as far as their functions need them.
NAMED = {
    *("api_keys", "audit", "authorization_codes", "exports", "one_time_codes", "sessions", "users", "chunks", "conversations", "documents"),
    *(
        "bulk_changes",
        "projects",
        "versions",
        "idempotency",
        "images",
        "mcp_servers",
        "memories",
        "messages",
        "budgets",
        "quotas",
        "usage",
        "outbox",
        "passages",
    ),
    *("search", "summaries", "tool_settings", "approvals", "turn_begin", "turn_checkpoint", "turn_end", "turns"),
}


# It adds to the audit of the deployment, which no table of a user shows: tests/shared/db/test_deployment_audit.py.
UNSEEN = {"audit.record_own"}


@pytest.fixture(scope="module")
def superuser(postgres, database):
    """An engine whose role bypasses every policy."""
    url = make_url(postgres.superuser_url).set(drivername="postgresql+psycopg", database="parley")
    engine = create_engine(url, connect_args={"prepare_threshold": None})
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def stranger(auth):
    return Person.registered(auth)


@pytest.fixture(scope="module")
def owner(auth, engines, superuser):
    """A user with a row in every table."""
    tenant = TenantFixture(Person.registered(auth))
    tenant.insert_rows(engines["owner"])
    with superuser.begin() as connection:
        for statement in PREPARATIONS:
            connection.execute(text(statement), {"owner": tenant.user_id})
    yield tenant
    with superuser.begin() as connection:  # a sweep would find the running turn and the job
        connection.execute(text("DELETE FROM users WHERE id = :owner"), {"owner": tenant.user_id})


@pytest.fixture
def transaction(superuser, owner):
    """Return a context manager that opens a transaction of a user, in the state that a function needs, and rolls it back."""

    @contextmanager
    def transaction(name, user_id):
        with superuser.connect() as connection:
            connection.execute(text("SELECT set_config('parley.user_id', :id, true)"), {"id": str(user_id)})
            if name in STATES:
                connection.execute(text(STATES[name]), {"owner": owner.user_id})
            yield connection
            connection.rollback()

    return transaction


@pytest.fixture
def attempt(transaction, owner):
    """Return a function that calls a function of `parley.db`, and returns its result and the owner's tables that it changed."""

    def attempt(name, user_id):
        with transaction(name, user_id) as connection:
            before, result = digest(connection, owner.user_id), call(name, FUNCTIONS[name], connection, user_id, Rows.of(owner))
            try:
                after = digest(connection, owner.user_id)
            except InternalError:  # the call broke a constraint: the database accepts nothing until the rollback
                after = before
        return result, {table for table in before if before[table] != after[table]}

    return attempt


@pytest.fixture
def result_for_missing_rows(transaction):
    """Return a function that calls a function of `parley.db` with ids of no rows."""

    def result_for_missing_rows(name, user_id):
        with transaction(name, user_id) as connection:
            return call(name, FUNCTIONS[name], connection, user_id, Rows.missing())

    return result_for_missing_rows


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_another_user_are_neither_read_nor_changed_without_row_level_security(
    attempt, result_for_missing_rows, stranger, owner, name
):
    foreign, changed = attempt(name, stranger.id)

    assert (foreign, changed) == (result_for_missing_rows(name, stranger.id), set())
    assert owner.token not in foreign


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name.partition(".")[0] in NAMED and name not in UNSEEN])
def test_the_same_call_reads_or_changes_the_owners_rows(attempt, result_for_missing_rows, owner, name):
    found, changed = attempt(name, owner.user_id)

    assert changed or found != result_for_missing_rows(name, new_id())


def test_somebody_elses_session_or_key_opens_no_transaction_without_row_level_security(superuser, owner, stranger):
    foreign = {"session_id": owner.id_of("sessions")}, {"session_id": None, "api_key_id": owner.id_of("api_keys")}

    for credential in foreign:
        with pytest.raises(Unauthorized), principal_scope(superuser, replace(stranger.principal, **credential)):
            pass


def test_a_prompt_outside_of_projects_gets_no_fact_of_another_user_without_row_level_security(superuser, owner, stranger):
    def facts_of(user_id):
        window = WindowStart(None, 0)
        found = search.recall(superuser, "?", user_id=user_id, vector=None, window_start=window, facts=9, passages=9, half_life_days=30)
        return [fact.id for fact in found.facts]

    assert facts_of(stranger.id) == []
    assert facts_of(owner.user_id) == [owner.id_of("memories")]


def test_a_stream_of_another_user_takes_no_slot_without_row_level_security(superuser, owner, stranger):
    with StreamLease(superuser, "follower", user_id=stranger.id, limit=1) as lease:
        lease.hold()


@pytest.fixture
def both(superuser, owner, stranger):
    """Open a transaction with a conversation of the stranger's that has the id of the owner's."""
    with superuser.connect() as connection:
        for user_id in (owner.user_id, stranger.id):
            connection.execute(text("SELECT set_config('parley.user_id', :id, true)"), {"id": str(user_id)})
            if user_id == stranger.id:
                conversations.add(connection, owner.id_of("conversations"), user_id=user_id)
        yield connection
        connection.rollback()


def test_an_answer_in_another_users_conversation_with_the_same_id_is_not_extracted(both, owner, stranger):
    conversation_id, parts = owner.id_of("conversations"), [{"type": "text", "text": "I see."}]
    messages.add(both, new_id(), user_id=stranger.id, conversation_id=conversation_id, role="assistant", parts=parts)
    progress = [conversations.extraction_progress(both, conversation_id, user_id=id) for id in (owner.user_id, stranger.id)]

    assert [one.answered_seq for one in progress] == [0, 1]


def test_the_passages_of_a_turn_are_stored_once_beside_other_users(both, owner, stranger):
    passage = Passage(7, 8, "User: hello", datetime.now(UTC))
    passages.replace_turn(both, owner.id_of("conversations"), [passage], user_id=stranger.id, first_seq=7, last_seq=8)

    assert passages.covered_ranges(both, owner.id_of("conversations"), user_id=stranger.id, first_seq=1) == [range(7, 9)]


def test_what_others_spend_counts_for_no_key_without_row_level_security(both, owner, stranger):
    key_id = owner.id_of("api_keys")
    both.execute(text("UPDATE api_keys SET monthly_budget_usd = 5 WHERE id = :id"), {"id": key_id})
    spent = (
        "INSERT INTO budgets (user_id, subject_id, month, spent_usd) VALUES (:user, :key, date_trunc('month', now() AT TIME ZONE 'UTC'), 4)"
    )
    both.execute(text(spent), {"user": stranger.id, "key": key_id})

    assert budgets.key_budget(both, key_id, user_id=owner.user_id) == (5, 0)
