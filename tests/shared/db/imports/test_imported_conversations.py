"""What an import stores of a conversation: under which ids, what memory reads of it, and what a later import of it changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from parley.db.imports import imported_conversations
from parley.db.imports.imported_conversations import ImportedConversation, ImportedMessage
from parley.db.tables import conversations, messages
from parley.ids import new_id

DAY = datetime(2025, 8, 24, tzinfo=UTC)


def said(*texts, role="user", **fields):
    """Return a message for each text, with the id 10 for the first."""
    return [
        ImportedMessage(UUID(int=10 + place), role, [{"type": "text", "text": text}], DAY, place + 1, **fields)
        for place, text in enumerate(texts)
    ]


@pytest.fixture
def talk():
    """A conversation of two messages, as an export of the program has it that says nothing but the texts."""
    return ImportedConversation(new_id(), "Herons", said("Where do herons nest?", "And terns?"), DAY, DAY)


@pytest.fixture
def store(world):
    """Return a function that imports a conversation for ann."""

    def store(conversation, *, reads_facts=False):
        return imported_conversations.store(world.connection, conversation, user_id=world.ann, reads_facts=reads_facts)

    return store


@pytest.fixture
def stored(world):
    """Return a function that returns columns of a conversation."""

    def read(id, *names):
        columns = [conversations.c[name] for name in names]
        return tuple(world.connection.execute(select(*columns).where(conversations.c.user_id == world.ann, conversations.c.id == id)).one())

    return read


@pytest.fixture
def message_ids(world):
    """Return a function that returns the ids of a conversation's messages, oldest first."""

    def read(id):
        mine = (messages.c.user_id == world.ann, messages.c.conversation_id == id)
        return list(world.connection.scalars(select(messages.c.id).where(*mine).order_by(messages.c.seq)))

    return read


def test_what_an_export_does_not_say_of_a_conversation_is_stored_as_not_so(world, store, stored, talk):
    store(talk)
    columns = messages.c.variant, messages.c.tokens, messages.c.is_active, messages.c.is_forgotten

    assert stored(talk.id, "is_title_automatic", "is_pinned", "is_archived", "is_incognito") == (False, False, False, False)
    assert set(map(tuple, world.connection.execute(select(*columns).where(messages.c.user_id == world.ann)))) == {(0, 0, True, False)}


def test_messages_keep_their_ids_and_a_branch_has_copies(store, message_ids, talk):
    store(talk)
    other = replace(talk.messages[1], id=UUID(int=99))
    branch = store(replace(talk, messages=[talk.messages[0], other]))
    again = store(replace(talk, messages=[talk.messages[0], other]))

    assert message_ids(talk.id) == [message.id for message in talk.messages]
    assert (branch.outcome, again) == ("added", replace(branch, outcome="unchanged", messages=0))
    assert not {*message_ids(branch.conversation_id)} & {UUID(int=10), UUID(int=99)}


def test_a_repeated_import_of_a_conversation_with_variants_changes_nothing(store, talk):
    variant = replace(talk.messages[0], id=UUID(int=99), variant=1, is_active=False)
    with_variant = replace(talk, messages=[talk.messages[0], variant, talk.messages[1]])

    assert [store(with_variant).outcome for _ in range(2)] == ["added", "unchanged"]


@pytest.mark.parametrize(("reads_facts", "mined"), [(False, [2, 3]), (True, [0, 0])])
def test_memory_reads_an_imported_conversation_only_if_asked(store, stored, talk, reads_facts, mined):
    found = []
    for texts in (("One", "Two"), ("One", "Two", "Three")):
        store(replace(talk, messages=said(*texts)), reads_facts=reads_facts)
        found += stored(talk.id, "mined_upto_seq")

    assert found == mined


def test_what_memory_has_read_of_a_conversation_it_reads_only_once(store, stored, talk):
    store(talk)
    store(replace(talk, messages=said("One", "Two", "Three")), reads_facts=True)

    assert stored(talk.id, "mined_upto_seq") == (2,)


@pytest.mark.parametrize(("days", "kept"), [(-1, 0), (1, 1)])
def test_an_older_export_does_not_make_a_conversation_older(store, stored, talk, days, kept):
    store(talk)
    store(replace(talk, messages=said("One", "Two", "Three"), updated_at=DAY + timedelta(days=days)))

    assert stored(talk.id, "updated_at") == (DAY + timedelta(days=kept),)


@pytest.mark.parametrize("hidden", [{"is_active": False, "variant": 1}, {"is_forgotten": True}])
def test_search_finds_no_message_that_is_forgotten_or_of_another_branch(world, store, talk, hidden):
    store(replace(talk, messages=[talk.messages[0], replace(talk.messages[1], **hidden)]))
    passages = world.connection.scalars(text("SELECT text FROM passages WHERE user_id = :id"), {"id": world.ann}).all()

    assert ["terns" in passage for passage in passages] == [False]
