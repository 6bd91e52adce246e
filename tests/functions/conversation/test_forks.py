"""Forks: a copy of a conversation's beginning that is independent of it."""

import pytest

from tests.functions.conversation.test_conversations import make


@pytest.fixture
def original(chat, conversation, alice):
    """A conversation with a title, a system prompt and two turns."""
    created = make(conversation, alice, title="Lisbon", model="offline", system_prompt="be brief")
    for text in ("one", "two"):
        ask(chat, alice, created["id"], text)
    return created["id"]


def ask(chat, person, conversation_id, text):
    answer = chat.post("/chat", {"message": text, "conversation_id": conversation_id, "stream": False}, as_=person)
    assert answer.status == 200, answer.body


def fork(conversation, person, conversation_id, upto_seq, **headers):
    return conversation.post(f"/conversations/{conversation_id}/fork", {"upto_seq": upto_seq}, as_=person, headers=headers)


def test_a_copy_is_not_pinned(conversation, original, alice):
    conversation.patch(f"/conversations/{original}", {"is_pinned": True}, as_=alice)

    assert fork(conversation, alice, original, 2).json["is_pinned"] is False


def message_fields(conversation, person, conversation_id, *names):
    items = conversation.get(f"/conversations/{conversation_id}/messages", as_=person).json["items"]
    return [tuple(item[name] for name in names) for item in items]


def test_a_fork_has_the_messages_up_to_the_given_number(conversation, alice, original):
    created = fork(conversation, alice, original, 3)
    same = ("seq", "role", "text", "model", "status", "tokens", "created_at")

    assert created.status == 201
    assert message_fields(conversation, alice, created.json["id"], *same) == message_fields(conversation, alice, original, *same)[:3]


def test_a_fork_is_an_independent_conversation(conversation, alice, original):
    created = fork(conversation, alice, original, 4).json

    assert not set(message_fields(conversation, alice, original, "id")) & set(message_fields(conversation, alice, created["id"], "id"))
    assert conversation.delete(f"/conversations/{original}", as_=alice).status == 204
    assert len(message_fields(conversation, alice, created["id"], "id")) == 4


def test_a_fork_keeps_model_and_system_prompt_and_marks_the_title_once(conversation, alice, original):
    first = fork(conversation, alice, original, 1).json
    second = fork(conversation, alice, first["id"], 1).json

    assert (first["title"], first["model"], first["system_prompt"]) == ("Lisbon (fork)", "offline", "be brief")
    assert second["title"] == "Lisbon (fork)"


@pytest.mark.parametrize(("title", "marked"), [(None, None), ("x" * 200, "x" * 193 + " (fork)")])
def test_a_missing_or_long_title_can_be_marked(conversation, chat, alice, title, marked):
    created = make(conversation, alice, title=title)
    ask(chat, alice, created["id"], "one")

    assert fork(conversation, alice, created["id"], 1).json["title"] == marked


def test_a_message_is_edited_by_a_fork_before_it(conversation, chat, alice, original):
    created = fork(conversation, alice, original, 2).json["id"]
    ask(chat, alice, created, "two, but otherwise")

    assert [text for _, text in message_fields(conversation, alice, created, "seq", "text")][0::2] == ["one", "two, but otherwise"]
    assert message_fields(conversation, alice, created, "seq") == [(1,), (2,), (3,), (4,)]


def test_a_fork_has_only_active_variants(conversation, chat, alice, original):
    chat.post("/chat/regenerate", {"conversation_id": original, "stream": False}, as_=alice)
    created = fork(conversation, alice, original, 4).json["id"]
    items = conversation.get(f"/conversations/{created}/messages?variants=true", as_=alice).json["items"]

    assert [(item["seq"], item["variant"], item["is_active"]) for item in items] == [(seq, 0, True) for seq in (1, 2, 3, 4)]


@pytest.mark.parametrize("upto_seq", [0, -1, 5, 2**31, "1", None])
def test_an_unknown_message_number_is_422(conversation, alice, original, upto_seq):
    answer = fork(conversation, alice, original, upto_seq)

    assert (answer.status, answer.json["errors"][0]["loc"]) == (422, ["body", "upto_seq"])


def test_a_fork_of_an_empty_conversation_is_422(conversation, alice):
    assert fork(conversation, alice, make(conversation, alice)["id"], 1).status == 422


def test_someone_elses_conversation_cannot_be_forked(conversation, bob, original):
    answer = fork(conversation, bob, original, 1)

    assert (answer.status, answer.json["code"]) == (404, "not_found")
    assert conversation.get("/conversations", as_=bob).json["items"] == []


def test_a_repeated_fork_request_makes_one_fork(conversation, alice, original):
    first, second = (fork(conversation, alice, original, 2, **{"Idempotency-Key": "a key"}) for _ in range(2))
    other = fork(conversation, alice, original, 3, **{"Idempotency-Key": "a key"})

    assert second.json == first.json
    assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")


def test_a_fork_of_an_incognito_conversation_is_not_remembered(conversation, chat, alice):
    secret = make(conversation, alice, incognito=True)["id"]
    ask(chat, alice, secret, "I am allergic to peanuts")
    created = fork(conversation, alice, secret, 2).json["id"]
    ask(chat, alice, created, "I am allergic to walnuts as well")

    assert conversation.get("/conversations/search?q=allergic", as_=alice).json["items"] == []
