import threading

import pytest
from sqlalchemy import text

from parley.db import conversations, messages, summaries
from parley.db.engine import make_engine
from parley.db.transactions import principal_scope
from parley.errors import NotFound
from parley.ids import new_id


def say(connection, person, conversation_id, text="hello", role="user"):
    parts = [{"type": "text", "text": text}]
    return messages.add(connection, new_id(), user_id=person.id, conversation_id=conversation_id, role=role, parts=parts)


@pytest.fixture
def conversation_id(engine, alice):
    with principal_scope(engine, alice.principal) as connection:
        return conversations.add(connection, new_id(), user_id=alice.id).id


def test_messages_are_numbered_from_one(engine, alice, conversation_id):
    with principal_scope(engine, alice.principal) as connection:
        seqs = [say(connection, alice, conversation_id).seq for _ in range(3)]

    assert seqs == [1, 2, 3]


def test_a_rolled_back_message_leaves_no_gap(engine, alice, conversation_id):
    with pytest.raises(ZeroDivisionError), principal_scope(engine, alice.principal) as connection:
        say(connection, alice, conversation_id)
        raise ZeroDivisionError

    with principal_scope(engine, alice.principal) as connection:
        assert say(connection, alice, conversation_id).seq == 1


def test_concurrent_writers_produce_neither_gaps_nor_duplicates(database, engine, alice, conversation_id):
    def write():
        own = make_engine(database)
        for _ in range(5):
            with principal_scope(own, alice.principal) as connection:
                say(connection, alice, conversation_id)
        own.dispose()

    threads = [threading.Thread(target=write) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    with principal_scope(engine, alice.principal) as connection:
        found = messages.newest(connection, conversation_id, user_id=alice.id, limit=100)
    assert [message.seq for message in found] == list(range(1, 41))


def test_a_user_cannot_write_into_another_users_conversation(engine, bob, conversation_id):
    with pytest.raises(NotFound), principal_scope(engine, bob.principal) as connection:
        say(connection, bob, conversation_id)


def test_the_newest_messages_come_oldest_first(engine, alice, conversation_id):
    with principal_scope(engine, alice.principal) as connection:
        for text in "abc":
            say(connection, alice, conversation_id, text)
        found = messages.newest(connection, conversation_id, user_id=alice.id, limit=2)

    assert [message.text for message in found] == ["b", "c"]


def test_a_prompt_has_only_the_newest_messages_of_a_long_conversation(engine, alice, conversation_id):
    with principal_scope(engine, alice.principal) as connection:
        for text in "abc":
            say(connection, alice, conversation_id, text)
        found = messages.window(connection, conversation_id, user_id=alice.id, limit=2)

    assert [message.parts[0]["text"] for message in found.history] == ["b", "c"]


def test_a_message_longer_than_a_page_is_a_page_of_its_own(engine, alice, conversation_id):
    with principal_scope(engine, alice.principal) as connection:
        for text in ["a" * 100, "b"]:
            say(connection, alice, conversation_id, text)
        found = messages.page_within(
            connection, conversation_id, user_id=alice.id, limit=9, max_bytes=50, order="asc", after=None, variants=False
        )

    assert ([message.seq for message in found.rows], found.has_more) == ([1], True)


def test_only_text_parts_make_up_the_text(engine, alice, conversation_id):
    parts = [{"type": "text", "text": "a"}, {"type": "tool_call", "name": "x"}, {"type": "text", "text": "b"}]
    with principal_scope(engine, alice.principal) as connection:
        made = messages.add(connection, new_id(), user_id=alice.id, conversation_id=conversation_id, role="assistant", parts=parts)

    assert made.text == "ab"


def test_messages_are_filtered_by_user_even_without_row_level_security(engine, engines, alice, bob, conversation_id):
    with principal_scope(engine, alice.principal) as connection:
        say(connection, alice, conversation_id)

    with engines["owner"].connect() as connection:
        assert messages.newest(connection, conversation_id, user_id=bob.id, limit=1) == []
        assert len(messages.newest(connection, conversation_id, user_id=alice.id, limit=1)) == 1


@pytest.mark.parametrize("read", [messages.window, messages.page])
def test_a_variant_that_was_replaced_is_neither_in_a_prompt_nor_in_a_page(run, engines, alice, conversation_id, read):
    said = [run(say, alice, conversation_id, each).id for each in ("a", "b", "c")]
    with engines["owner"].begin() as connection:
        replace = text("UPDATE messages SET seq = 2, variant = 1, is_active = false WHERE id = :id")
        connection.execute(replace, {"id": said[2]})
    further = {"order": "asc", "after": None} if read is messages.page else {}
    found = run(read, conversation_id, user_id=alice.id, limit=9, **further)

    assert [message.id for message in getattr(found, "history", found)] == said[:2]


def test_a_prompt_has_the_newest_summary_even_if_an_older_one_was_stored_meanwhile(run, engines, alice, conversation_id):
    run(summaries.add, conversation_id, user_id=alice.id, upto_seq=7, text="newest", model="m", tokens=1)
    with engines["owner"].begin() as connection:
        older = text(
            "INSERT INTO summaries (user_id, conversation_id, upto_seq, text, model, tokens) VALUES (:user, :id, 5, 'older', 'm', 1)"
        )
        connection.execute(older, {"user": alice.id, "id": conversation_id})

    assert run(messages.window, conversation_id, user_id=alice.id, limit=9).summary == "newest"


def test_a_page_may_have_as_many_bytes_as_allowed(run, alice, conversation_id):
    for each in ("a", "b", "c"):
        run(say, alice, conversation_id, each)
    size = text("SELECT sum(octet_length(parts::text)) FROM messages WHERE conversation_id = :id AND seq <= 2")
    allowed = run(lambda connection: connection.scalar(size, {"id": conversation_id}))
    bounds = {"limit": 9, "max_bytes": allowed, "order": "asc", "after": None, "variants": False}
    found = run(messages.page_within, conversation_id, user_id=alice.id, **bounds)

    assert ([message.seq for message in found.rows], found.has_more) == ([1, 2], True)
