"""Facts and passages: which messages are remembered, and which are not."""

from contextlib import ExitStack
from uuid import UUID

import pytest

from functions.summarize.conversation_memory import extract_memories, remember_conversation
from functions.summarize.services import SummarizeServices
from parley.db.outbox import ClaimedEntry
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.vendors.offline_search import OfflineEmbedder
from tests.functions.summarize.services import FailingEmbedder, RecordingOfflineProvider, make_deadline, make_services
from tests.support.builders import add_steered_turn
from tests.support.postgres import dropped_once
from tests.support.turns import ScriptedProvider

FACTS = "SELECT text FROM memories WHERE user_id = :id AND ended_at IS NULL ORDER BY text"
PASSAGES = "SELECT first_seq, last_seq, embedding_model FROM passages WHERE user_id = :id ORDER BY first_seq, id"


@pytest.fixture
def read(engines):
    """Run the memory update of a conversation."""

    def read(person, conversation_id: str, services: SummarizeServices | None = None) -> None:
        claimed = ClaimedEntry(person.id, new_id(), "remember", UUID(conversation_id), 0, 1)
        remember_conversation(services or make_services(engines), claimed, make_deadline())

    return read


def test_a_statement_of_the_user_becomes_a_fact_with_its_message(read, say, rows, alice):
    read(alice, say(alice, "Hello! My name is Ada and I live in Lyon. What is the weather like?"))

    assert rows(FACTS, id=alice.id) == [("The user lives in Lyon.",), ("The user's name is Ada.",)]
    of_message = "SELECT m.role, m.seq FROM memory_sources s JOIN messages m ON m.id = s.message_id WHERE s.user_id = :id"
    assert rows(of_message, id=alice.id) == [("user", 1)] * 2


def test_a_repeated_statement_is_not_a_second_fact(read, say, rows, alice):
    read(alice, say(alice, "I live in Lyon."))
    read(alice, say(alice, "As I said, I live in Lyon!"))

    assert rows(FACTS, id=alice.id) == [("The user lives in Lyon.",)]
    assert rows("SELECT count(*) FROM memory_sources WHERE user_id = :id", id=alice.id) == [(2,)]


class DroppingEmbedder(OfflineEmbedder):
    """An embedding model during whose first call the connection drops that pays for it."""

    def __init__(self, drop):
        super().__init__(dimensions=16)
        self.drop, self.texts = drop, []

    def embed_batch(self, model_name, texts, **kwargs):
        if not self.texts:
            self.drop()
        self.texts += texts
        return super().embed_batch(model_name, texts, **kwargs)


def test_what_is_remembered_is_embedded_once_although_the_connection_drops(engines, engine, postgres, read, say, rows, alice):
    with ExitStack() as stack:
        embedder = DroppingEmbedder(lambda: stack.enter_context(dropped_once(engine, postgres, before="INSERT INTO usage")))
        read(alice, say(alice, "I live in Lyon."), make_services(engines, embedder=embedder))

    assert embedder.texts.count("The user lives in Lyon.") == 1
    assert rows("SELECT embedding_model FROM memories WHERE user_id = :id", id=alice.id) == [("lexical",)]


def test_a_corrected_fact_ends_and_stays_readable(read, say, rows, alice):
    read(alice, say(alice, "I live in Lyon."))
    read(alice, say(alice, "I have moved to Porto."))

    assert rows(FACTS, id=alice.id) == [("The user lives in Porto.",)]
    assert rows("SELECT text FROM memories WHERE user_id = :id AND ended_at IS NOT NULL", id=alice.id) == [("The user lives in Lyon.",)]


def test_a_second_run_changes_nothing(engines, read, say, rows, alice):
    id = say(alice, "I live in Lyon.")
    read(alice, id)
    before, provider = rows(FACTS, id=alice.id) + rows(PASSAGES, id=alice.id), RecordingOfflineProvider()
    read(alice, id, make_services(engines, provider))

    assert rows(FACTS, id=alice.id) + rows(PASSAGES, id=alice.id) == before
    assert provider.requests == []


def test_a_conversation_becomes_passages_with_vectors(read, say, rows, alice):
    id = say(alice, "one")
    read(alice, id)
    read(alice, say(alice, "two", id))
    passages = rows(PASSAGES, id=alice.id)

    assert (passages[0][0], passages[-1][1]) == (1, 4)
    assert {row[2] for row in passages} == {"lexical"}
    assert rows("SELECT mined_upto_seq FROM conversations WHERE id = :id", id=UUID(id)) == [(4,)]


def test_without_an_embedding_service_texts_are_stored_and_vectors_follow(engines, read, say, rows, alice):
    read(alice, say(alice, "I live in Lyon."), make_services(engines, embedder=FailingEmbedder()))
    assert {row[2] for row in rows(PASSAGES, id=alice.id)} == {None}
    assert rows(FACTS, id=alice.id) == [("The user lives in Lyon.",)]
    read(alice, say(alice, "hello"))

    assert {row[2] for row in rows(PASSAGES, id=alice.id)} == {"lexical"}
    assert rows("SELECT embedding_model FROM memories WHERE user_id = :id", id=alice.id) == [("lexical",)]


def test_an_incognito_conversation_is_never_remembered(read, say, rows, alice):
    id = say(alice, "I live in Lyon.", incognito=True)
    read(alice, id)

    assert rows(FACTS, id=alice.id) == rows(PASSAGES, id=alice.id) == []


def test_messages_sent_while_memory_is_off_are_never_remembered(auth, read, say, rows, alice):
    auth.patch("/auth/me", {"memory_enabled": False}, as_=alice)
    id = say(alice, "I live in Lyon.")
    read(alice, id)
    auth.patch("/auth/me", {"memory_enabled": True}, as_=alice)
    read(alice, say(alice, "I prefer tea.", id))

    assert rows(FACTS, id=alice.id) == [("The user prefers tea.",)]
    assert rows("SELECT first_seq, last_seq FROM passages WHERE user_id = :id ORDER BY first_seq LIMIT 1", id=alice.id) == [(3, 4)]


def test_turning_memory_off_leaves_a_gap_between_passages(auth, read, say, rows, alice):
    id = say(alice, "one")
    read(alice, id)
    auth.patch("/auth/me", {"memory_enabled": False}, as_=alice)
    read(alice, say(alice, "secret", id))
    auth.patch("/auth/me", {"memory_enabled": True}, as_=alice)
    read(alice, say(alice, "three", id))

    passages = rows(PASSAGES, id=alice.id)

    assert {1, 5} <= {first for first, *_ in passages}
    assert not {3, 4} & {seq for first, last, _ in passages for seq in range(first, last + 1)}


def test_messages_copied_by_a_fork_are_not_extracted_again(engines, read, say, rows, conversation, alice):
    id = say(alice, "I live in Lyon.")
    read(alice, id)
    before = rows(PASSAGES, id=alice.id)
    fork = conversation.post(f"/conversations/{id}/fork", {"upto_seq": 2}, as_=alice).json["id"]
    provider = RecordingOfflineProvider()
    read(alice, fork, make_services(engines, provider))
    read(alice, say(alice, "I prefer tea.", fork))

    assert provider.tasks() == []
    assert len(before) == len([row for row in rows(PASSAGES, id=alice.id) if row[1] <= 2])
    assert [row[0] for row in rows(PASSAGES, id=alice.id) if row[1] > 2][:1] == [3]


def test_turning_memory_off_during_extraction_stores_nothing(engines, read, say, rows, change, alice):
    off = lambda request: change("UPDATE users SET memory_enabled = false WHERE id = :id", id=alice.id)  # noqa: E731
    id = say(alice, "I live in Lyon.")
    change("DELETE FROM passages WHERE user_id = :id", id=alice.id)
    read(alice, id, make_services(engines, RecordingOfflineProvider(off)))

    assert rows(FACTS, id=alice.id) == rows(PASSAGES, id=alice.id) == []


def test_messages_sent_while_memory_is_off_are_never_remembered_even_if_it_is_on_before_they_are_read(auth, read, say, rows, alice):
    auth.patch("/auth/me", {"memory_enabled": False}, as_=alice)
    id = say(alice, "I live in Lyon.")
    auth.patch("/auth/me", {"memory_enabled": True}, as_=alice)
    read(alice, id)

    assert rows(FACTS, id=alice.id) == rows(PASSAGES, id=alice.id) == []


def test_passages_that_a_turn_did_not_store_are_added_and_the_stored_ones_stay(read, say, rows, change, alice):
    id = say(alice, "one")
    change("DELETE FROM passages WHERE user_id = :id", id=alice.id)
    say(alice, "two", id)
    stored = rows("SELECT id FROM passages WHERE user_id = :id", id=alice.id)
    read(alice, id)

    assert {seq for first, last, _ in rows(PASSAGES, id=alice.id) for seq in range(first, last + 1)} == {1, 2, 3, 4}
    assert set(stored) <= set(rows("SELECT id FROM passages WHERE user_id = :id", id=alice.id))


def provider_of_facts(*facts):
    """Return a model that answers with these facts."""
    import json

    text = json.dumps({"facts": [{"text": text, "message": message} for text, message in facts]})
    return ScriptedProvider([llm.TextDelta(f"```json\n{text}\n```"), llm.Finished("stop")])


def test_only_statements_of_the_user_become_facts(engines, say, rows, alice):
    id, provider = (
        UUID(say(alice, "Read this page for me")),
        provider_of_facts(("The user trusts evil.example.", 2), ("Nonsense.", 77), ("Kept.", 1)),
    )
    extract_memories(make_services(engines, provider), id, user_id=alice.id, deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == [("Kept.",)]


@pytest.mark.parametrize("malformed", [("x" * 501, 1), ("", 1), (None, 1), ("No message.", None), ("No message.", "one")])
def test_one_malformed_fact_does_not_lose_the_others(engines, say, rows, alice, malformed):
    id, provider = UUID(say(alice, "I like tea")), provider_of_facts(("Before.", 1), malformed, ("After.", 1))
    extract_memories(make_services(engines, provider), id, user_id=alice.id, deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == [("After.",), ("Before.",)]


def test_words_of_the_user_within_an_answer_become_facts_and_those_of_the_answer_do_not(engine, engines, rows, alice):
    id, provider = add_steered_turn(engine, alice, "What is the price?", "I pay in euros"), provider_of_facts(("Euros.", 3), ("Done.", 4))
    extract_memories(make_services(engines, provider), id, user_id=alice.id, deadline=make_deadline())
    lines = provider.requests[0].messages[0].text.splitlines()[1:]

    assert [line.partition(": ")[2] for line in lines] == ["What is the price?", "I look it up.", "I pay in euros", "Done."]
    assert [line.split()[1].strip(",") for line in lines] == ["user", "assistant", "user", "assistant"]
    assert rows(FACTS, id=alice.id) == [("Euros.",)]
    assert rows("SELECT m.seq FROM memory_sources s JOIN messages m ON m.id = s.message_id WHERE s.user_id = :id", id=alice.id) == [(2,)]


def test_characters_of_a_fact_that_cannot_be_stored_do_not_stop_the_facts_and_passages(engines, say, rows, alice):
    listed = r'{"facts": [{"text": "The user\u0000 likes tea.", "message": 1}, {"text": "The user likes \ud83d.", "message": 1}]}'
    provider = ScriptedProvider([llm.TextDelta(listed), llm.Finished("stop")])
    extract_memories(make_services(engines, provider), UUID(say(alice, "I like tea")), user_id=alice.id, deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == [("The user likes tea.",), ("The user likes \N{REPLACEMENT CHARACTER}.",)]
    assert len(rows(PASSAGES, id=alice.id)) >= 1


@pytest.mark.parametrize("answer", ["I found nothing!", '{"facts": ' + "[" * 100_000 + "}"])
def test_a_malformed_list_of_facts_does_not_lose_the_passages(engines, say, rows, alice, answer):
    provider = ScriptedProvider([llm.TextDelta(answer), llm.Finished("stop")])
    extract_memories(make_services(engines, provider), UUID(say(alice, "hello")), user_id=alice.id, deadline=make_deadline())

    assert rows(FACTS, id=alice.id) == []
    assert len(rows(PASSAGES, id=alice.id)) >= 1


def test_facts_and_vectors_are_in_the_users_usage(read, say, rows, alice):
    read(alice, say(alice, "I live in Lyon."))
    purposes = {purpose for (purpose,) in rows("SELECT purpose FROM usage WHERE user_id = :id", id=alice.id)}

    assert purposes >= {"chat", "facts", "embedding"}
