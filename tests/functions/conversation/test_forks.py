"""Forks: a copy of a conversation's beginning that is independent of it."""

import pytest

from tests.functions.conversation.test_conversations import make


@pytest.fixture
def talk(chat, conversation, alice):
    """A conversation with a title, a system prompt and two turns."""
    made = make(conversation, alice, title="Lisbon", model="offline", system_prompt="be brief")
    for text in ("one", "two"):
        ask(chat, alice, made["id"], text)
    return made["id"]


def ask(chat, person, conversation_id, text):
    answer = chat.post("/chat", {"message": text, "conversation_id": conversation_id, "stream": False}, as_=person)
    assert answer.status == 200, answer.body


def fork(conversation, person, conversation_id, upto_seq, **headers):
    return conversation.post(f"/conversations/{conversation_id}/fork", {"upto_seq": upto_seq}, as_=person, headers=headers)


def said(conversation, person, conversation_id, *names):
    items = conversation.get(f"/conversations/{conversation_id}/messages", as_=person).json["items"]
    return [tuple(item[name] for name in names) for item in items]


def test_a_fork_has_the_messages_up_to_the_given_number(conversation, alice, talk):
    made = fork(conversation, alice, talk, 3)
    same = ("seq", "role", "text", "model", "status", "tokens", "created_at")

    assert made.status == 201
    assert said(conversation, alice, made.json["id"], *same) == said(conversation, alice, talk, *same)[:3]


def test_a_fork_is_an_independent_conversation(conversation, alice, talk):
    made = fork(conversation, alice, talk, 4).json

    assert not set(said(conversation, alice, talk, "id")) & set(said(conversation, alice, made["id"], "id"))
    assert conversation.delete(f"/conversations/{talk}", as_=alice).status == 204
    assert len(said(conversation, alice, made["id"], "id")) == 4


def test_a_fork_keeps_model_and_system_prompt_and_marks_the_title_once(conversation, alice, talk):
    first = fork(conversation, alice, talk, 1).json
    second = fork(conversation, alice, first["id"], 1).json

    assert (first["title"], first["model"], first["system_prompt"]) == ("Lisbon (fork)", "offline", "be brief")
    assert second["title"] == "Lisbon (fork)"


@pytest.mark.parametrize(("title", "marked"), [(None, None), ("x" * 200, "x" * 193 + " (fork)")])
def test_a_missing_or_long_title_can_be_marked(conversation, chat, alice, title, marked):
    made = make(conversation, alice, title=title)
    ask(chat, alice, made["id"], "one")

    assert fork(conversation, alice, made["id"], 1).json["title"] == marked


def test_a_message_is_edited_by_a_fork_before_it(conversation, chat, alice, talk):
    made = fork(conversation, alice, talk, 2).json["id"]
    ask(chat, alice, made, "two, but otherwise")

    assert [text for _, text in said(conversation, alice, made, "seq", "text")][0::2] == ["one", "two, but otherwise"]
    assert said(conversation, alice, made, "seq") == [(1,), (2,), (3,), (4,)]


def test_a_fork_has_only_active_variants(conversation, chat, alice, talk):
    chat.post("/chat/regenerate", {"conversation_id": talk, "stream": False}, as_=alice)
    made = fork(conversation, alice, talk, 4).json["id"]
    items = conversation.get(f"/conversations/{made}/messages?variants=true", as_=alice).json["items"]

    assert [(item["seq"], item["variant"], item["is_active"]) for item in items] == [(seq, 0, True) for seq in (1, 2, 3, 4)]


@pytest.mark.parametrize("upto_seq", [0, -1, 5, 2**31, "1", None])
def test_an_unknown_message_number_is_422(conversation, alice, talk, upto_seq):
    answer = fork(conversation, alice, talk, upto_seq)

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, ["body", "upto_seq"])


def test_a_fork_of_an_empty_conversation_is_422(conversation, alice):
    assert fork(conversation, alice, make(conversation, alice)["id"], 1).status == 422


def test_someone_elses_conversation_cannot_be_forked(conversation, bob, talk):
    answer = fork(conversation, bob, talk, 1)

    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert conversation.get("/conversations", as_=bob).json["items"] == []


def test_a_repeated_fork_request_makes_one_fork(conversation, alice, talk):
    first, second = (fork(conversation, alice, talk, 2, **{"Idempotency-Key": "a key"}) for _ in range(2))
    other = fork(conversation, alice, talk, 3, **{"Idempotency-Key": "a key"})

    assert second.json == first.json
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
