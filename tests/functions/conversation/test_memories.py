"""Facts about a user, over HTTP."""

import json

import boto3
import pytest
from sqlalchemy import text

from parley.db.memories import MemoryOrigin
from parley.db.transactions import user_scope
from parley.db.vectors import Vector
from parley.ids import new_id
from parley.llm.vendors.offline_search import OfflineEmbedder
from tests.support.builders import add_conversation, add_memory, first_message_id


def write(conversation, person, fact, **options):
    answer = conversation.post("/memories", {"text": fact}, as_=person, **options)
    assert answer.status == 201, answer.body
    return answer.json


def listed(conversation, person):
    return [item["text"] for item in conversation.get("/memories", as_=person).json["items"]]


def test_a_stored_fact_is_listed(conversation, alice):
    created = write(conversation, alice, "I live in Lyon.")

    assert conversation.get("/memories", as_=alice).json["items"] == [created]
    assert (created["text"], created["source"], created["conversation_id"], created["superseded_by"]) == (
        "I live in Lyon.",
        "user",
        None,
        None,
    )


def test_a_known_fact_is_not_stored_twice(conversation, alice):
    created = write(conversation, alice, "I live in Lyon.")

    assert write(conversation, alice, "i live in LYON") == created
    assert listed(conversation, alice) == ["I live in Lyon."]


def test_a_newer_fact_ends_the_fact_it_contradicts_which_stays_readable(conversation, alice):
    older, newer = write(conversation, alice, "I live in Paris"), write(conversation, alice, "I moved to Lyon")
    shown = {item["id"]: item for item in conversation.get("/memories", as_=alice).json["items"]}

    assert shown[older["id"]]["superseded_by"] == newer["id"]
    assert shown[older["id"]]["ended_at"] >= newer["created_at"]
    assert shown[newer["id"]]["ended_at"] is None


def test_a_repeated_request_with_its_key_stores_one_fact(conversation, alice):
    key = {"Idempotency-Key": "once"}
    created = write(conversation, alice, "I like tea", headers=key)

    assert write(conversation, alice, "I like tea", headers=key) == created
    assert conversation.post("/memories", {"text": "I like coffee"}, as_=alice, headers=key).status == 422


def test_a_corrected_fact_counts_as_written_by_the_user(conversation, engine, alice):
    conversation_id = add_conversation(engine, alice, "I like tea")
    origins = [MemoryOrigin(conversation_id, first_message_id(engine, alice, conversation_id))]
    fact = add_memory(engine, alice, "The user likes tea", source="extracted", origins=origins)
    changed = conversation.patch(f"/memories/{fact}", {"text": "I like green tea"}, as_=alice).json
    conversation.delete(f"/conversations/{conversation_id}", as_=alice)

    assert (changed["text"], changed["source"]) == ("I like green tea", "user")
    assert listed(conversation, alice) == ["I like green tea"]


def test_a_corrected_fact_loses_the_vector_of_its_old_text(conversation, engine, engines, alice):
    fact = add_memory(engine, alice, "I like tea", vector=Vector("lexical", [1.0, 0.0]))
    conversation.patch(f"/memories/{fact}", {"text": "I like coffee"}, as_=alice)

    with engines["owner"].connect() as connection:
        stored = connection.execute(text("SELECT embedding, embedding_model FROM memories WHERE id = :id"), {"id": fact}).one()
    assert tuple(stored) == (None, None)


def test_a_corrected_fact_has_the_vector_of_its_new_text(conversation, engines, meaning, alice):
    fact, vectors = write(conversation, alice, "I like tea")["id"], []
    for _ in range(2):
        with engines["owner"].connect() as connection:
            vectors.append(connection.scalar(text("SELECT CAST(embedding AS text) FROM memories WHERE id = :id"), {"id": fact}))
        conversation.patch(f"/memories/{fact}", {"text": "I fear the dark"}, as_=alice)

    assert None not in vectors
    assert vectors[0] != vectors[1]


def test_a_fact_that_is_corrected_while_it_is_embedded_does_not_get_the_vector_of_its_old_text(
    conversation, engines, meaning, alice, monkeypatch
):
    real, texts = OfflineEmbedder.embed_batch, []

    def embed_batch(self, model_name, batch, *, purpose):
        if not texts:  # another request corrects the fact, and its own call fails
            with engines["owner"].begin() as connection:
                connection.execute(text("UPDATE memories SET text = 'I fear the dark' WHERE user_id = :id"), {"id": alice.id})
        texts.extend(batch)
        return real(self, model_name, batch, purpose=purpose)

    monkeypatch.setattr(OfflineEmbedder, "embed_batch", embed_batch)
    fact = write(conversation, alice, "I like tea")["id"]
    with engines["owner"].connect() as connection:
        stored = connection.execute(text("SELECT text, embedding_model FROM memories WHERE id = :id"), {"id": fact}).one()

    assert (texts, tuple(stored)) == (["I like tea"], ("I fear the dark", None))


def test_deleting_a_fact_does_not_bring_back_the_fact_that_it_replaced(conversation, alice):
    older, newer = write(conversation, alice, "I live in Paris"), write(conversation, alice, "I moved to Lyon")
    assert conversation.delete(f"/memories/{newer['id']}", as_=alice).status == 204
    (item,) = conversation.get("/memories", as_=alice).json["items"]

    assert (item["id"], item["ended_at"] is None) == (older["id"], False)
    assert conversation.get("/memories/search?q=Paris", as_=alice).json["items"] == []


def test_an_extracted_fact_names_its_conversation_and_is_deleted_with_it(conversation, engine, alice):
    conversation_id = add_conversation(engine, alice, "I like tea")
    origins = [MemoryOrigin(conversation_id, first_message_id(engine, alice, conversation_id))]
    add_memory(engine, alice, "The user likes tea", source="extracted", origins=origins)
    (item,) = conversation.get("/memories", as_=alice).json["items"]
    conversation.delete(f"/conversations/{conversation_id}", as_=alice)

    assert (item["conversation_id"], item["source"]) == (str(conversation_id), "extracted")
    assert listed(conversation, alice) == []


def test_a_deleted_fact_loses_its_vector(conversation, engines, meaning, alice):
    created = write(conversation, alice, "I live in Lyon.")
    assert conversation.delete(f"/memories/{created['id']}", as_=alice).status == 204

    with engines["owner"].connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM memories WHERE user_id = :id"), {"id": alice.id}) == 0


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_another_users_fact_is_not_found(conversation, alice, bob, method):
    created = write(conversation, alice, "I live in Lyon.")
    body = [{"text": "mine now"}] if method == "patch" else []

    for fact in (created["id"], new_id()):
        assert getattr(conversation, method)(f"/memories/{fact}", *body, as_=bob).status == 404
    assert listed(conversation, alice) == ["I live in Lyon."]


@pytest.mark.parametrize("fact", ["", "   ", "x" * 1001])
def test_an_empty_or_too_long_fact_is_refused(conversation, alice, fact):
    assert conversation.post("/memories", {"text": fact}, as_=alice).status == 422


def test_current_facts_are_searched_by_words_and_meaning(conversation, meaning, alice):
    for fact in ("I live in Paris", "I moved to Lyon", "I am allergic to peanuts"):
        write(conversation, alice, fact)
    found = conversation.get("/memories/search?q=allergies", as_=alice).json

    assert (found["items"][0]["text"], found["mode"]) == ("I am allergic to peanuts", "hybrid")
    assert "I live in Paris" not in [item["text"] for item in found["items"]]


def test_found_facts_come_page_by_page(conversation, meaning, alice):
    for fact in ("I live in Lyon", "I like tea"):
        write(conversation, alice, fact)
    first = conversation.get("/memories/search?q=tea&limit=1", as_=alice).json
    second = conversation.get(f"/memories/search?q=tea&limit=1&cursor={first['next_cursor']}", as_=alice).json

    assert [item["text"] for item in first["items"] + second["items"]] == ["I like tea", "I live in Lyon"]
    assert second["next_cursor"] is None


def test_a_requested_summary_does_not_wait_for_further_messages(conversation, engine, environment, alice):
    id, sqs, url = add_conversation(engine, alice, "I like tea"), boto3.client("sqs"), environment["PARLEY_MEMORY_QUEUE_URL"]
    sqs.purge_queue(QueueUrl=url)
    assert conversation.post(f"/conversations/{id}/summarize", as_=alice).status == 202
    jobs = [json.loads(message["Body"]) for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]

    assert sorted(job["topic"] for job in jobs if job["subject_id"] == str(id)) == ["remember", "summary"]


def test_a_fact_is_embedded_and_billed_only_when_it_is_new(conversation, engine, meaning, alice):
    for fact in ("I live in Lyon.", "i live in LYON"):
        write(conversation, alice, fact)
    with user_scope(engine, alice.id) as connection:
        found = connection.execute(text("SELECT purpose, model, status FROM usage WHERE user_id = :id"), {"id": alice.id}).all()

    assert [tuple(row) for row in found] == [("embedding", "lexical", "completed")]


def test_a_fact_is_stored_even_if_the_embedding_service_is_down(conversation, dead, alice):
    write(conversation, alice, "I live in Lyon.")

    assert listed(conversation, alice) == ["I live in Lyon."]
