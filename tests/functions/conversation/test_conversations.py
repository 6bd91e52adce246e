from uuid import uuid4

import pytest


def make(conversation, person, **fields):
    answer = conversation.post("/conversations", fields, as_=person)
    assert answer.status == 201, answer.body
    return answer.json


def titles(conversation, person, query=""):
    return [item["title"] for item in conversation.get(f"/conversations{query}", as_=person).json["items"]]


def test_a_conversation_is_created_with_the_given_fields(conversation, alice):
    created = make(conversation, alice, title="Lisbon", model="offline", system_prompt="be brief")

    assert conversation.get(f"/conversations/{created['id']}", as_=alice).json == created | {"open_turn_id": None}
    assert (created["title"], created["model"], created["system_prompt"]) == ("Lisbon", "offline", "be brief")


@pytest.mark.parametrize(("status", "is_open"), [("running", True), ("waiting", True), ("completed", False)])
def test_a_conversation_names_its_open_turn(chat, conversation, postgres, alice, status, is_open):
    made = chat.post("/chat", {"message": "hello", "model": "offline", "stream": False}, as_=alice).json
    postgres.execute(f"UPDATE turns SET status = '{status}' WHERE id = '{made['turn_id']}'", dbname="parley")

    named = conversation.get(f"/conversations/{made['conversation_id']}", as_=alice).json["open_turn_id"]
    assert named == (made["turn_id"] if is_open else None)


def test_a_new_user_has_an_empty_list(conversation, alice):
    assert conversation.get("/conversations", as_=alice).json == {"items": [], "next_cursor": None}


def test_the_newest_activity_comes_first(conversation, chat, alice):
    first, second = make(conversation, alice, title="first"), make(conversation, alice, title="second")
    assert titles(conversation, alice) == ["second", "first"]

    chat.post("/chat", {"message": "hello", "conversation_id": first["id"]}, as_=alice)
    assert titles(conversation, alice) == ["first", "second"]
    assert second["updated_at"] == second["created_at"]


def test_pages_show_everything_once(conversation, alice):
    for number in range(5):
        make(conversation, alice, title=str(number))
    found, cursor = [], ""
    while cursor is not None:
        page = conversation.get(f"/conversations?limit=2{cursor and '&cursor=' + cursor}", as_=alice).json
        found += [item["title"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert found == ["4", "3", "2", "1", "0"]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?limit=x", "?cursor=nonsense", "?cursor=WzFd"])
def test_a_page_that_does_not_exist_is_422(conversation, alice, query):
    assert conversation.get(f"/conversations{query}", as_=alice).status == 422


def test_a_change_leaves_the_rest(conversation, alice):
    created = make(conversation, alice, title="a", system_prompt="b")
    changed = conversation.patch(f"/conversations/{created['id']}", {"title": "c"}, as_=alice).json

    assert changed == created | {"title": "c"}


def test_a_field_can_be_cleared(conversation, alice):
    created = make(conversation, alice, title="a")

    assert conversation.patch(f"/conversations/{created['id']}", {"title": None}, as_=alice).json["title"] is None


def pin(conversation, person, made, is_pinned=True):
    return conversation.patch(f"/conversations/{made['id']}", {"is_pinned": is_pinned}, as_=person).json


def test_pinned_conversations_are_listed_alone_and_a_pin_is_no_activity(conversation, alice):
    first, _, third = (make(conversation, alice, title=title) for title in ("first", "second", "third"))
    pinned = pin(conversation, alice, first)
    pin(conversation, alice, third)

    assert pinned == first | {"is_pinned": True}
    assert titles(conversation, alice, "?pinned=true") == ["third", "first"]
    assert titles(conversation, alice) == ["third", "second", "first"]
    assert pin(conversation, alice, first, False) == first
    assert titles(conversation, alice, "?pinned=true") == ["third"]


def test_the_list_of_pinned_conversations_has_pages(conversation, alice):
    for number in range(3):
        pin(conversation, alice, make(conversation, alice, title=str(number)))
        make(conversation, alice, title="not pinned")
    page = conversation.get("/conversations?pinned=true&limit=2", as_=alice).json

    assert [item["title"] for item in page["items"]] == ["2", "1"]
    assert titles(conversation, alice, f"?pinned=true&limit=2&cursor={page['next_cursor']}") == ["0"]


@pytest.mark.parametrize("value", [None, "yes", 1])
def test_a_pin_is_set_or_not(conversation, alice, value):
    made = make(conversation, alice)

    assert conversation.patch(f"/conversations/{made['id']}", {"is_pinned": value}, as_=alice).status == 422


def test_a_deleted_conversation_is_gone_with_its_messages(conversation, chat, alice, engines):
    from sqlalchemy import text

    created = chat.post("/chat", {"message": "forget me", "stream": False}, as_=alice).json["conversation_id"]
    assert conversation.delete(f"/conversations/{created}", as_=alice).status == 204

    assert conversation.get(f"/conversations/{created}/messages", as_=alice).status == 404
    with engines["owner"].connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM messages WHERE conversation_id = :id"), {"id": created}) == 0


@pytest.mark.parametrize(
    ("method", "path", "body"), [("GET", "", None), ("PATCH", "", {"title": "x"}), ("DELETE", "", None), ("GET", "/messages", None)]
)
def test_someone_elses_conversation_looks_like_a_missing_one(conversation, alice, bob, method, path, body):
    created = make(conversation, alice, title="mine")
    foreign = conversation.call(method, f"/conversations/{created['id']}{path}", body, as_=bob)
    missing = conversation.call(method, f"/conversations/{uuid4()}{path}", body, as_=bob)

    assert foreign.status == missing.status == 404
    assert foreign.json | {"request_id": ""} == missing.json | {"request_id": ""}
    assert titles(conversation, alice) == ["mine"]


def test_messages_come_in_either_order_and_in_pages(conversation, chat, alice):
    created = chat.post("/chat", {"message": "one", "stream": False}, as_=alice).json["conversation_id"]
    path = f"/conversations/{created}/messages"
    newest = conversation.get(f"{path}?order=desc&limit=1", as_=alice).json
    older = conversation.get(f"{path}?order=desc&limit=1&cursor={newest['next_cursor']}", as_=alice).json

    assert [m["seq"] for m in newest["items"] + older["items"]] == [2, 1]
    assert older["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwLDBd", "Wy0xLDBd", "WyJ4IiwwXQ", "WzEuNSwwXQ", "WzFd", "WzEsLTFd"])
def test_an_invalid_message_cursor_is_422(conversation, alice, cursor):
    created = make(conversation, alice)

    assert conversation.get(f"/conversations/{created['id']}/messages?cursor={cursor}", as_=alice).status == 422


def test_an_answer_keeps_the_figures_of_its_turn(conversation, chat, alice):
    done = chat.post("/chat", {"message": "one", "stream": False}, as_=alice).json
    question, answer = conversation.get(f"/conversations/{done['conversation_id']}/messages", as_=alice).json["items"]

    assert (question["usage"], question["total_ms"]) == (None, None)
    assert (answer["usage"], answer["total_ms"] > 0) == (done["usage"], True)
    assert answer["usage"]["output_tokens"] > 0


def test_a_variant_has_figures_of_its_own_and_a_copy_has_none(conversation, chat, alice):
    first = chat.post("/chat", {"message": "one", "stream": False}, as_=alice).json
    again = {"conversation_id": first["conversation_id"], "stream": False}
    assert chat.post("/chat/regenerate", again, as_=alice).status == 200
    path = f"/conversations/{first['conversation_id']}"
    answers = conversation.get(f"{path}/messages?variants=true", as_=alice).json["items"][1:]
    copy = conversation.post(f"{path}/fork", {"upto_seq": 2}, as_=alice).json["id"]

    assert len({answer["total_ms"] for answer in answers} - {None}) == 2
    assert [item["usage"] for item in conversation.get(f"/conversations/{copy}/messages", as_=alice).json["items"]] == [None, None]


def test_a_message_has_the_documented_fields(conversation, chat, alice):
    created = chat.post("/chat", {"message": "one", "stream": False}, as_=alice).json["conversation_id"]
    question, answer = conversation.get(f"/conversations/{created}/messages", as_=alice).json["items"]

    assert set(answer) == {
        *("id", "seq", "role", "parts", "text", "model", "status", "created_at", "tokens", "variant", "is_active"),
        *("usage", "total_ms", "feedback"),
    }
    assert (question["model"], answer["model"], answer["status"]) == (None, "offline", "completed")
