"""Passages: in which conversations they are stored, and of which messages."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from parley.db import conversations, messages, passages
from parley.ids import new_id
from parley.memory.passages import Passage

NOW = datetime.now(UTC)


def passage(first_seq, last_seq=None):
    return Passage(first_seq, last_seq or first_seq, "User: Herons nest here.", NOW)


class Memory:
    """The passages of a conversation with three messages, in one transaction that no policy restricts."""

    def __init__(self, connection, user_id, conversation_id=None):
        self.connection, self.user = connection, {"user_id": user_id}
        self.id = conversations.add(connection, conversation_id or new_id(), user_id=user_id).id
        self.message_ids = [self.say() for _ in range(3)]

    def say(self):
        return messages.add(self.connection, new_id(), **self.user, conversation_id=self.id, role="user", parts=[]).id

    def add_missing(self, *missing, upto_seq=3):
        return passages.add_missing(self.connection, self.id, missing, **self.user, upto_seq=upto_seq)

    def add_imported(self, *imported):
        passages.add_imported(self.connection, self.id, imported, **self.user)

    def replace_turn(self, passage):
        return passages.replace_turn(
            self.connection, self.id, [passage], **self.user, first_seq=passage.first_seq, last_seq=passage.last_seq
        )

    def stored(self):
        found = passages.covered_ranges(self.connection, self.id, **self.user, first_seq=1)
        return sorted((each.start, each.stop - 1) for each in found)

    @property
    def extracted_upto(self):
        return conversations.extraction_progress(self.connection, self.id, **self.user).upto_seq

    def set(self, change):
        self.connection.execute(text(change), {"user": self.user["user_id"], "id": self.id, "message": self.message_ids[1]})


@pytest.fixture
def memory(unrestricted, alice):
    return Memory(unrestricted, alice.id)


FORGET = "UPDATE messages SET is_forgotten = true WHERE user_id = :user AND id = :message"
WAYS = {"of a turn": Memory.replace_turn, "missing": Memory.add_missing, "imported": Memory.add_imported}
WITHOUT_MEMORY = {
    "off": "UPDATE users SET memory_enabled = false WHERE id = :user",
    "incognito": "UPDATE conversations SET is_incognito = true WHERE id = :id",
}


@pytest.mark.parametrize("store", WAYS.values(), ids=WAYS)
def test_passages_are_stored_in_each_way(memory, store):
    store(memory, passage(2))

    assert memory.stored() == [(2, 2)]


@pytest.mark.parametrize("change", WITHOUT_MEMORY.values(), ids=WITHOUT_MEMORY)
@pytest.mark.parametrize("store", WAYS.values(), ids=WAYS)
def test_no_passage_is_stored_while_memory_is_off_or_in_an_incognito_conversation(memory, store, change):
    memory.set(change)

    assert not store(memory, passage(2))
    assert memory.stored() == []


def test_messages_are_extracted_once_and_again_only_up_to_the_same_message(memory):
    assert [memory.add_missing(upto_seq=seq) for seq in (2, 2, 1, 4, 3)] == [True, True, False, False, True]


@pytest.mark.parametrize("store", [Memory.replace_turn, Memory.add_missing])
def test_no_passage_is_stored_of_a_forgotten_message(memory, store):
    memory.set(FORGET)
    for seq in (1, 2):
        store(memory, passage(seq))

    assert memory.stored() == [(1, 1)]


@pytest.mark.parametrize("extracted", [0, 3])
def test_nothing_is_extracted_later_from_a_turn_of_which_something_is_forgotten(memory, extracted):
    memory.add_missing(upto_seq=extracted)
    memory.set(FORGET)
    memory.replace_turn(passage(2))

    assert memory.extracted_upto == max(extracted, 2)


@pytest.mark.parametrize("store", [Memory.replace_turn, Memory.add_missing])
def test_a_forgotten_variant_that_was_replaced_keeps_no_passage_away(memory, store):
    memory.set("UPDATE messages SET variant = 1, is_active = false, is_forgotten = true WHERE user_id = :user AND id = :message")
    store(memory, passage(2))

    assert memory.stored() == [(2, 2)]


@pytest.mark.parametrize("store", [Memory.replace_turn, Memory.add_missing])
def test_another_users_conversation_with_the_same_id_keeps_no_passage_away(memory, bob, store):
    other = Memory(memory.connection, bob.id, memory.id)
    other.set(FORGET)
    other.add_imported(passage(2))
    store(memory, passage(2))

    assert memory.stored() == [(2, 2)]


def test_passages_without_vectors_are_found_a_few_at_a_time(memory, bob):
    for each in (memory, Memory(memory.connection, bob.id)):
        each.add_imported(passage(1), passage(2))
    users = [passages.users_without_vectors(memory.connection, model="m", after=None, limit=limit) for limit in (1, 2)]

    assert [len(found) for found in users] == [1, 2]
    assert len(passages.without_vector(memory.connection, **memory.user, model="m", limit=1)) == 1
