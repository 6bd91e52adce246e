"""Row level security is the second lock: without it, each function of `parley.db` still reaches only its own user's rows.

The tests run as the superuser, whom no policy restricts.
"""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import insert, literal, select, text, update

from parley.db import conversations, messages, passages, search
from parley.db.groups import membership
from parley.db.imports import imported_conversations
from parley.db.imports.imported_conversations import ImportedConversation, ImportedMessage
from parley.db.metering import budgets
from parley.db.search import WindowStart
from parley.db.tables import metadata
from parley.db.transactions import principal_scope
from parley.db.turn import turn_begin, turns
from parley.db.turn.stream_leases import StreamLease
from parley.db.turn.turn_begin import NewTurn
from parley.errors import Unauthorized
from parley.ids import new_id
from parley.memory.passages import Passage
from tests.shared.db.repository_calls import ENTRY, NOW, OWNED_TABLES, Rows, call, changed_tables, digest, repository_functions
from tests.shared.db.turn.test_turns import Turns
from tests.support.api_gateway import Person

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


# The user exists already, and the link has no conversation.
REFUSED = {"users.add", "shared_links.add"}
# It adds to the audit of the deployment, which no table of a user shows: tests/shared/db/accounts/test_deployment_audit.py.
UNSEEN = {"audit.record_own"}


@pytest.fixture(scope="module")
def stranger(auth):
    return Person.registered(auth)


@pytest.fixture
def attempt(transaction, owner):
    """Return a function that calls a function of `parley.db`, and returns its result and the owner's tables that it changed."""

    def attempt(name, user_id):
        with transaction(name, user_id) as connection:
            before = digest(connection, owner.user_id)
            result = call(name, FUNCTIONS[name], connection, user_id, Rows.of(owner))
            return result, changed_tables(connection, owner.user_id, before)

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


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in REFUSED])
def test_the_owners_call_succeeds(attempt, owner, name):
    found, _ = attempt(name, owner.user_id)

    assert not found.startswith("raises")


_REMOVE_USER = text("DELETE FROM users WHERE id = :id")
# Two users who import the same file have conversations and messages with the same ids, and whatever else each made of them.
_OTHER_CONTENT = (
    "UPDATE messages SET seq = seq + 100, parts = jsonb_build_array(jsonb_build_object('type', 'image', 'id', gen_random_uuid())) "
    "WHERE user_id = :id",
    "UPDATE memories SET source = 'extracted' WHERE user_id = :id",
)


@pytest.fixture(scope="module")
def namesake(auth, superuser, owner):
    """Another user whose rows have the ids of the owner's, but a group of their own."""
    user_id, group_id = Person.registered(auth).id, new_id()
    replaced = {"user_id": user_id, "group_id": group_id}
    with superuser.begin() as connection:
        connection.execute(insert(metadata.tables["groups"]).values(id=group_id, name="x"))
        copied = [table for table in metadata.sorted_tables if table in OWNED_TABLES and table.name != "credentials"]
        for table in copied:
            columns = [column for column in table.c if column.computed is None]
            values = [literal(replaced[column.name]) if column.name in replaced else column for column in columns]
            connection.execute(insert(table).from_select(columns, select(*values).where(table.c.user_id == owner.user_id)))
        for statement in _OTHER_CONTENT:
            connection.execute(text(statement), {"id": user_id})
        # Written again, the owner's rows follow those of the other user: a query without an order finds theirs first.
        for table in copied:
            connection.execute(update(table).where(table.c.user_id == owner.user_id).values(user_id=owner.user_id))
    yield user_id
    with superuser.begin() as connection:
        connection.execute(_REMOVE_USER, {"id": user_id})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_another_user_with_the_same_ids_are_neither_read_nor_changed_without_row_level_security(transaction, owner, namesake, name):
    with transaction(name, owner.user_id) as connection:
        before = digest(connection, namesake)
        beside = call(name, FUNCTIONS[name], connection, owner.user_id, Rows.of(owner))
        changed = changed_tables(connection, namesake, before)
    with transaction(name, owner.user_id) as connection:
        connection.execute(_REMOVE_USER, {"id": namesake})
        alone = call(name, FUNCTIONS[name], connection, owner.user_id, Rows.of(owner))

    assert (beside, changed) == (alone, set())


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


def test_a_running_turn_of_another_user_takes_no_place_without_row_level_security(transaction, stranger):
    with transaction("a turn", stranger.id) as connection:  # the owner's turn runs
        assert Turns(connection, stranger.id).begin(max_running=1)


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


def test_the_question_of_another_user_with_the_same_ids_is_not_answered_anew(transaction, owner, namesake):
    turn_id, conversation_id = new_id(), owner.id_of("conversations")
    new_turn = NewTurn(
        **{"turn_id": turn_id, "user_id": owner.user_id, "conversation_id": conversation_id, "last_seq": 1, "title": None, "parts": None},
        **{"user_message_id": owner.id_of("messages"), "tokens": 1, "model": "m", "idempotency_key": None, "entries": [ENTRY]},
    )
    with transaction("turn_begin.store_turn", owner.user_id) as connection:
        before = digest(connection, namesake)
        turn_begin.store_turn(connection, new_turn, max_running=9)

        assert turns.exists(connection, turn_id, user_id=owner.user_id)
        assert changed_tables(connection, namesake, before) == set()


def test_a_conversation_that_two_users_imported_grows_for_one_of_them(both, owner, stranger):
    def imported(*texts):
        said = [ImportedMessage(UUID(int=seq), "user", [{"type": "text", "text": text}], NOW, seq) for seq, text in enumerate(texts, 1)]
        return ImportedConversation(UUID(int=9), "Herons", said, NOW, NOW)

    imported_conversations.store(both, imported("Hello", "And in May?", "And in June?"), user_id=stranger.id, reads_facts=False)
    first = imported_conversations.store(both, imported("Hello"), user_id=owner.user_id, reads_facts=False)
    before = digest(both, stranger.id)
    grown = imported_conversations.store(both, imported("Hello", "And in May?"), user_id=owner.user_id, reads_facts=False)

    assert [(one.outcome, one.messages) for one in (first, grown)] == [("added", 1), ("extended", 1)]
    assert changed_tables(both, stranger.id, before) == set()


def test_a_member_sees_the_invitations_to_a_group_of_which_they_are_no_owner_only_if_they_are_invited(superuser, owner, stranger):
    with superuser.connect() as connection:
        connection.execute(
            text("INSERT INTO group_members (user_id, group_id, role) VALUES (:user, :group, 'member')"),
            {"user": stranger.id, "group": owner.id_of("groups")},
        )
        connection.execute(text("SELECT set_config('parley.user_id', :id, true)"), {"id": str(stranger.id)})
        found = membership.members(connection, owner.id_of("groups"), user_id=stranger.id, limit=9)
        connection.rollback()

    assert "invited" not in {member.role for member in found}
    assert len(found) == 2


def test_passages_of_an_import_are_stored_only_with_the_users_own_memory(both, owner, stranger):
    conversation_id, passage = owner.id_of("conversations"), Passage(7, 8, "User: hello", NOW)
    off = text("UPDATE users SET memory_enabled = (id <> :id)")
    both.execute(off, {"id": stranger.id})
    passages.add_imported(both, conversation_id, [passage], user_id=stranger.id)

    assert passages.covered_ranges(both, conversation_id, user_id=stranger.id, first_seq=1) == []
