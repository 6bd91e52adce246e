"""A repeated import adds nothing, a newer export adds what is new, and users do not meet."""

from uuid import UUID

import pytest

from parley.db.imports import imports
from parley.db.transactions import user_scope
from tests.fakes.chat_exports import chatgpt_message, chatgpt_trip, zipped
from tests.functions.ingest.imports.test_sources import TRIP


def counts(run):
    return tuple(run[name] for name in ("conversations_added", "conversations_extended", "conversations_unchanged", "messages_added"))


def test_a_second_import_of_the_same_file_adds_nothing(import_export, conversations_of, alice):
    import_export(alice, zipped([chatgpt_trip()]))

    assert counts(import_export(alice, zipped([chatgpt_trip()]))) == (0, 0, 1, 0)
    assert conversations_of(alice) == {"Puffins": TRIP}


def test_a_newer_export_adds_only_the_new_messages_and_conversations(import_export, conversations_of, alice):
    import_export(alice, [chatgpt_trip(upto=2)])
    newer = [chatgpt_trip(), chatgpt_trip(id="c2") | {"title": "Another"}]

    assert counts(import_export(alice, newer)) == (1, 1, 0, 6)
    assert conversations_of(alice) == {"Puffins": TRIP, "Another": TRIP}


def test_a_branch_that_differs_becomes_a_conversation_of_its_own_once(import_export, conversation, chat, alice):
    import_export(alice, [chatgpt_trip(upto=2)])
    (shown,) = conversation.get("/conversations", as_=alice).json["items"]
    chat.post("/chat", {"conversation_id": shown["id"], "message": "A question here", "stream": False}, as_=alice)

    assert counts(import_export(alice, [chatgpt_trip()])) == (1, 0, 0, 4)
    assert counts(import_export(alice, [chatgpt_trip()])) == (0, 0, 1, 0)
    assert len(conversation.get("/conversations", as_=alice).json["items"]) == 2


def test_a_conversation_that_went_on_here_is_unchanged_by_the_same_file(import_export, conversation, chat, alice):
    import_export(alice, [chatgpt_trip()])
    (shown,) = conversation.get("/conversations", as_=alice).json["items"]
    chat.post("/chat", {"conversation_id": shown["id"], "message": "A question here", "stream": False}, as_=alice)

    assert counts(import_export(alice, [chatgpt_trip()])) == (0, 0, 1, 0)


def test_a_deleted_conversation_can_be_imported_again(import_export, conversation, conversations_of, alice):
    import_export(alice, [chatgpt_trip()])
    (shown,) = conversation.get("/conversations", as_=alice).json["items"]
    conversation.delete(f"/conversations/{shown['id']}", as_=alice)

    assert counts(import_export(alice, [chatgpt_trip()])) == (1, 0, 0, 4)
    assert conversations_of(alice) == {"Puffins": TRIP}


def test_two_users_import_the_same_file_and_each_has_a_copy(import_export, conversations_of, alice, bob):
    import_export(alice, [chatgpt_trip()])

    assert counts(import_export(bob, [chatgpt_trip()])) == (1, 0, 0, 4)
    assert conversations_of(bob) == conversations_of(alice)


def test_another_users_file_starts_no_import(import_export, documents, ingest, alice, bob):
    run = import_export(alice, [chatgpt_trip()])

    assert documents.get(f"/conversations/imports/{run['id']}", as_=bob).status == 404
    assert documents.get("/conversations/imports", as_=bob).json["items"] == []


def test_a_worker_has_an_import_only_as_long_as_its_lease(documents, engine, postgres, alice):
    import_id = UUID(documents.post("/conversations/imports", {"filename": "export.zip", "bytes": 9}, as_=alice).json["id"])
    with user_scope(engine, alice.id) as connection:
        imports.acquire_lease(connection, import_id, user_id=alice.id, lease_s=60)

        assert imports.acquire_lease(connection, import_id, user_id=alice.id, lease_s=60) is None
    ((lasts,),) = postgres.execute(f"SELECT leased_until BETWEEN now() AND now() + interval '60 s' FROM imports WHERE id = '{import_id}'")
    assert lasts


@pytest.mark.parametrize("reads_facts", [False, True])
def test_a_model_reads_the_imported_past_only_if_asked(import_export, postgres, alice, reads_facts):
    nodes = [chatgpt_message("q", "user", "I am allergic to nuts.", parent="root"), chatgpt_message("a", "assistant", "Noted.", parent="q")]
    import_export(alice, [chatgpt_trip() | {"mapping": dict(nodes), "current_node": "a"}], read_facts=reads_facts)
    ((jobs,),) = postgres.execute(f"SELECT count(*) FROM outbox WHERE user_id = '{alice.id}' AND topic = 'remember'")

    assert jobs == int(reads_facts)
