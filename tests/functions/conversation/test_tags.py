"""Tags, the archive, and changes of many conversations at once."""

import pytest

from parley.ids import new_id
from tests.functions.conversation.test_conversations import make, titles


def change(conversation, person, made, **fields):
    answer = conversation.patch(f"/conversations/{made['id']}", fields, as_=person)
    assert answer.status == 200, answer.body
    return answer.json


def bulk(conversation, person, action, *ids, **fields):
    answer = conversation.post("/conversations/bulk", {"action": action, "ids": list(ids)} | fields, as_=person)
    assert answer.status == 200, answer.body
    return [item["outcome"] for item in answer.json["items"]]


def test_an_archived_conversation_is_in_the_archive_and_not_in_the_list(conversation, alice):
    kept, archived = make(conversation, alice, title="kept"), make(conversation, alice, title="archived")
    change(conversation, alice, archived, is_archived=True)

    assert (titles(conversation, alice), titles(conversation, alice, "?archived=true")) == (["kept"], ["archived"])
    assert change(conversation, alice, archived, is_archived=False) == archived
    assert titles(conversation, alice) == ["archived", kept["title"]]


def test_an_archived_conversation_is_searched(conversation, chat, alice):
    told = chat.post("/chat", {"message": "Puffins nest in burrows", "model": "offline", "stream": False}, as_=alice).json
    change(conversation, alice, {"id": told["conversation_id"]}, is_archived=True)
    found = conversation.get("/conversations/search?q=puffins&mode=text", as_=alice).json["items"]

    assert [item["conversation_id"] for item in found] == [told["conversation_id"]]


def test_conversations_are_listed_by_tag(conversation, alice):
    first = make(conversation, alice, title="first", tags=["work", "Lisbon"])
    make(conversation, alice, title="second", tags=["work"])
    change(conversation, alice, first, tags=["Lisbon", " trip ", "Lisbon"])

    assert titles(conversation, alice, "?tag=work") == ["second"]
    assert titles(conversation, alice, "?tag=trip") == ["first"]
    assert titles(conversation, alice, "?tag=lisbon") == []


@pytest.mark.parametrize("tags", [None, "work", [""], ["  "], ["x" * 41], [str(number) for number in range(21)], [7], ["nul\0"]])
def test_tags_have_bounds(conversation, alice, tags):
    made = make(conversation, alice)

    assert conversation.patch(f"/conversations/{made['id']}", {"tags": tags}, as_=alice).status == 422


@pytest.mark.parametrize("query", ["?tag=", "?tag=nul%00", f"?tag={'x' * 41}", "?archived=perhaps"])
def test_a_list_by_a_tag_that_cannot_be_is_422(conversation, alice, query):
    assert conversation.get(f"/conversations{query}", as_=alice).status == 422


def test_a_fork_keeps_the_tags_and_is_not_archived(conversation, chat, alice):
    id = chat.post("/chat", {"message": "hello", "model": "offline", "stream": False}, as_=alice).json["conversation_id"]
    change(conversation, alice, {"id": id}, tags=["work"], is_archived=True)
    fork = conversation.post(f"/conversations/{id}/fork", {"upto_seq": 1}, as_=alice).json

    assert (fork["tags"], fork["is_archived"]) == (["work"], False)


def test_many_conversations_are_archived_and_fetched_back_at_once(conversation, alice):
    ids = [make(conversation, alice, title=str(number))["id"] for number in range(3)]

    assert bulk(conversation, alice, "archive", *ids) == bulk(conversation, alice, "archive", *ids) == ["done"] * 3
    assert (titles(conversation, alice), len(titles(conversation, alice, "?archived=true"))) == ([], 3)
    assert bulk(conversation, alice, "unarchive", ids[0]) == ["done"]
    assert titles(conversation, alice) == ["0"]


def test_a_tag_is_added_once_and_removed_from_many(conversation, alice):
    ids = [make(conversation, alice, tags=tags)["id"] for tags in (["a"], ["work"])]
    bulk(conversation, alice, "tag", *ids, tag="work")

    assert [conversation.get(f"/conversations/{id}", as_=alice).json["tags"] for id in ids] == [["a", "work"], ["work"]]
    assert bulk(conversation, alice, "untag", *ids, tag="work") == ["done", "done"]
    assert [conversation.get(f"/conversations/{id}", as_=alice).json["tags"] for id in ids] == [["a"], []]


def test_a_conversation_with_too_many_tags_is_left_and_the_others_are_changed(conversation, alice):
    full = make(conversation, alice, tags=[str(number) for number in range(20)])["id"]
    free = make(conversation, alice)["id"]

    assert bulk(conversation, alice, "tag", full, free, tag="one more") == ["too_many_tags", "done"]
    assert bulk(conversation, alice, "tag", full, tag="7") == ["done"]
    assert "one more" not in conversation.get(f"/conversations/{full}", as_=alice).json["tags"]


@pytest.mark.parametrize("action", ["archive", "unarchive", "delete", "tag", "untag"])
def test_someone_elses_conversations_are_not_found_among_many(conversation, alice, bob, action):
    hers, his = make(conversation, alice, title="hers", tags=["work"]), make(conversation, bob)
    tag = {"tag": "work"} if "tag" in action else {}
    outcomes = bulk(conversation, bob, action, hers["id"], his["id"], str(new_id()), **tag)

    assert outcomes == ["not_found", "done", "not_found"]
    assert conversation.get(f"/conversations/{hers['id']}", as_=alice).json == hers | {"open_turn_id": None}


def test_deleted_conversations_are_gone_with_their_facts(conversation, chat, postgres, alice):
    told = [chat.post("/chat", {"message": "I live in Lyon", "stream": False}, as_=alice).json["conversation_id"] for _ in range(2)]
    fact, owner = new_id(), str(alice.id)
    postgres.execute(f"INSERT INTO memories (user_id, id, text, source) VALUES ('{owner}', '{fact}', 'Lives in Lyon', 'extracted')")
    for id in told:
        (message,) = conversation.get(f"/conversations/{id}/messages?limit=1", as_=alice).json["items"]
        values = f"'{owner}', '{fact}', '{id}', '{message['id']}'"
        postgres.execute(f"INSERT INTO memory_sources (user_id, memory_id, conversation_id, message_id) VALUES ({values})")

    assert bulk(conversation, alice, "delete", *told) == ["done", "done"]
    assert (titles(conversation, alice), conversation.get("/memories", as_=alice).json["items"]) == ([], [])
    assert bulk(conversation, alice, "delete", *told) == ["not_found", "not_found"]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "archive", "ids": []},
        {"action": "archive", "ids": [str(new_id())] * 101},
        {"action": "archive", "ids": ["x"]},
        {"action": "archive", "ids": [str(new_id())], "tag": "x"},
        {"action": "tag", "ids": [str(new_id())]},
        {"action": "untag", "ids": [str(new_id())], "tag": " "},
        {"action": "burn", "ids": [str(new_id())]},
    ],
)
def test_a_change_of_many_that_makes_no_sense_is_422(conversation, alice, body):
    assert conversation.post("/conversations/bulk", body, as_=alice).status == 422
