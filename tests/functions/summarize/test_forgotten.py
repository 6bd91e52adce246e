"""A forgotten fact stays forgotten: passages, repeated runs, regenerated answers and forks do not bring it back."""

from uuid import UUID

import pytest

from functions.summarize.conversation_memory import extract_memories, remember_conversation
from parley.db.outbox import ClaimedEntry
from parley.ids import new_id
from tests.functions.summarize.services import RecordingOfflineProvider, make_deadline, make_services
from tests.support.builders import add_steered_turn

FACTS = "SELECT text FROM memories WHERE user_id = :id ORDER BY text"
PASSAGES = "SELECT text FROM passages WHERE user_id = :id ORDER BY id"
ALLERGY = "The user is allergic to nuts."


@pytest.fixture
def read(engines):
    """Run the memory update of a conversation."""

    def read(person, conversation_id, provider=None):
        claimed = ClaimedEntry(person.id, new_id(), "remember", UUID(conversation_id), 0, 1)
        remember_conversation(make_services(engines, provider), claimed, make_deadline())

    return read


@pytest.fixture
def forget(conversation, alice):
    """Forget the fact with this text over HTTP."""

    def forget(fact):
        (found,) = [memory for memory in conversation.get("/memories", as_=alice).json["items"] if memory["text"] == fact]
        assert conversation.delete(f"/memories/{found['id']}", as_=alice).status == 204

    return forget


@pytest.fixture
def recalled(chat, alice):
    """Return the texts that a question recalls in a new conversation."""

    def recalled(question):
        events = chat.post("/chat", {"message": question}, as_=alice).events
        return [data["text"] for name, data in events if name == "memory"]

    return recalled


def test_neither_the_statement_nor_an_answer_that_used_it_is_recalled(read, say, forget, recalled, alice):
    read(alice, say(alice, "I am allergic to nuts."))
    say(alice, "Tell me what you know about me.")
    assert any("nuts" in text for text in recalled("nuts?"))
    forget(ALLERGY)

    assert [text for text in recalled("What do I eat with nuts, given my allergy?") if "allergic" in text] == []


def test_a_fact_that_the_user_stated_within_an_answer_is_forgotten_with_it(engine, read, forget, rows, alice):
    id = add_steered_turn(engine, alice, "What is the price of pesto?", "I am allergic to nuts.")
    read(alice, str(id))
    assert [text for (text,) in rows(PASSAGES, id=alice.id) if "User: I am allergic to nuts." in text]
    forget(ALLERGY)

    assert [text.partition("\n")[2] for (text,) in rows(PASSAGES, id=alice.id)] == ["User: What is the price of pesto?"]


def test_an_answer_within_which_the_user_states_the_fact_again_is_forgotten(engine, read, say, forget, rows, alice):
    read(alice, say(alice, "I am allergic to nuts."))
    read(alice, str(add_steered_turn(engine, alice, "Which cake, given my nut allergy?", "No nuts, my allergy is bad")))
    assert len(rows(PASSAGES, id=alice.id)) == 2
    forget(ALLERGY)

    assert rows(PASSAGES, id=alice.id) == []


def test_an_answer_in_other_words_is_not_recalled(engine, read, say, forget, rows, alice):
    from tests.support.builders import add_conversation

    read(alice, say(alice, "I am allergic to nuts."))
    add_conversation(engine, alice, "No pesto, given your nut allergy", "The weather is fine")
    forget(ALLERGY)

    assert [text.partition(" ")[2] for (text,) in rows(PASSAGES, id=alice.id)] == ["The weather is fine"]


def test_other_facts_and_passages_stay(read, say, forget, rows, alice):
    read(alice, say(alice, "I am allergic to nuts. My name is Ada."))
    read(alice, say(alice, "I live in Lyon."))
    forget(ALLERGY)

    assert rows(FACTS, id=alice.id) == [("The user lives in Lyon.",), ("The user's name is Ada.",)]
    assert ["Lyon" in text for (text,) in rows(PASSAGES, id=alice.id)][:1] == [True]


def test_the_conversation_keeps_its_messages(read, say, forget, conversation, alice):
    id = say(alice, "I am allergic to nuts.")
    read(alice, id)
    forget(ALLERGY)

    messages = conversation.get(f"/conversations/{id}/messages", as_=alice).json["items"]
    assert messages[0]["parts"][0]["text"] == "I am allergic to nuts."


def test_a_further_run_over_the_same_messages_finds_nothing(engines, read, say, forget, rows, change, alice):
    id = say(alice, "I am allergic to nuts.")
    read(alice, id)
    forget(ALLERGY)
    change("UPDATE conversations SET mined_upto_seq = 0 WHERE id = :id", id=UUID(id))
    read(alice, id)

    assert rows(FACTS, id=alice.id) == rows(PASSAGES, id=alice.id) == []


def test_a_run_that_has_read_the_message_before_stores_nothing(engines, read, say, forget, rows, change, alice):
    id = say(alice, "I am allergic to nuts.")
    read(alice, id)
    change("UPDATE conversations SET mined_upto_seq = 0 WHERE id = :id", id=UUID(id))
    provider = RecordingOfflineProvider(lambda request: request.task == "facts" and forget(ALLERGY))
    extract_memories(make_services(engines, provider), UUID(id), user_id=alice.id, deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == rows(PASSAGES, id=alice.id) == []


def test_a_regenerated_answer_does_not_bring_it_back(read, say, chat, forget, rows, alice):
    id = say(alice, "I am allergic to nuts.")
    read(alice, id)
    forget(ALLERGY)
    assert chat.post("/chat/regenerate", {"conversation_id": id, "stream": False}, as_=alice).status == 200
    read(alice, id)

    assert rows(FACTS, id=alice.id) == rows(PASSAGES, id=alice.id) == []


def test_a_fork_does_not_bring_it_back(read, say, chat, conversation, forget, rows, alice):
    id = say(alice, "I am allergic to nuts.")
    read(alice, id)
    forget(ALLERGY)
    fork = conversation.post(f"/conversations/{id}/fork", {"upto_seq": 2}, as_=alice).json["id"]
    assert chat.post("/chat/regenerate", {"conversation_id": fork, "stream": False}, as_=alice).status == 200
    read(alice, fork)

    assert rows(FACTS, id=alice.id) == rows(PASSAGES, id=alice.id) == []


def test_said_again_it_is_remembered_again(read, say, forget, rows, alice):
    id = say(alice, "I am allergic to nuts.")
    read(alice, id)
    forget(ALLERGY)
    say(alice, "Do remember: I am allergic to nuts.", id)
    read(alice, id)

    assert rows(FACTS, id=alice.id) == [(ALLERGY,)]


def test_another_users_passages_stay(engine, read, say, forget, rows, alice, bob):
    from tests.support.builders import add_conversation

    read(alice, say(alice, "I am allergic to nuts."))
    add_conversation(engine, bob, "I am allergic to nuts")
    forget(ALLERGY)

    assert len(rows(PASSAGES, id=bob.id)) == 1


def test_of_a_passage_whose_answer_states_the_fact_only_the_question_stays(read, say, forget, rows, alice):
    read(alice, say(alice, "I am allergic to nuts."))
    say(alice, "What do you know about me?")
    forget(ALLERGY)

    assert [text.partition("\n")[2] for (text,) in rows(PASSAGES, id=alice.id)] == ["User: What do you know about me?"]


def test_a_question_and_an_answer_that_state_the_fact_together_are_not_found(engine, read, say, forget, rows, change, alice):
    read(alice, say(alice, "I am allergic to nuts."))
    id = say(alice, "Which allergy is it?")
    answer = 'UPDATE messages SET parts = \'[{"type": "text", "text": "Nuts."}]\' WHERE conversation_id = :id AND seq = 2'
    change(answer, id=UUID(id))
    change("UPDATE passages SET text = 'User: Which allergy is it? Assistant: Nuts.' WHERE conversation_id = :id", id=UUID(id))
    forget(ALLERGY)

    assert rows(PASSAGES, id=alice.id) == []
