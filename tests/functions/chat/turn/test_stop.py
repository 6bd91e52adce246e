"""Stopping a turn from another worker."""

import threading
from uuid import uuid4

import pytest

from functions.chat.turn.events import TurnStopped
from parley import turn_recovery
from parley.errors import NotFound
from tests.support.turns import HELLO, HangingProvider, ScriptedProvider, events_of, make_services, stored_messages, take, take_numbered


@pytest.fixture
def other(engine, database):
    """Yield the services of another worker, with its own connection."""
    from parley.db.engine import make_engine

    mine = make_engine(database)
    yield make_services(mine, None)
    mine.dispose()


def test_a_stop_from_another_worker_ends_the_turn_and_stores_the_text_so_far(engine, other, alice):
    provider = HangingProvider("half an ", "answer")
    events = events_of(take_numbered(make_services(engine, provider), alice))
    started = next(events)
    threading.Timer(0.2, lambda: turn_recovery.request_stop(other.engine, alice.principal, started.turn_id)).start()
    *_, last = events
    answer = stored_messages(engine, alice, started.conversation_id)[-1]

    assert isinstance(last, TurnStopped)
    assert (answer.text, answer.status, answer.id) == ("half an answer", "stopped", last.message_id)


def test_a_stop_closes_the_vendors_connection_and_leaves_no_thread(engine, other, alice):
    provider = HangingProvider("word")
    events = events_of(take_numbered(make_services(engine, provider), alice))
    turn_recovery.request_stop(other.engine, alice.principal, next(events).turn_id)
    list(events)

    assert provider.closed.is_set()
    assert [thread for thread in threading.enumerate() if thread.name == "provider-stream"] == []


def test_a_turn_stopped_before_its_first_word_has_an_empty_answer(engine, other, alice):
    events = events_of(take_numbered(make_services(engine, HangingProvider()), alice))
    started = next(events)
    turn_recovery.request_stop(other.engine, alice.principal, started.turn_id)
    last = list(events)[-1]

    assert isinstance(last, TurnStopped)
    assert [(m.role, m.text, m.status) for m in stored_messages(engine, alice, started.conversation_id)][1:] == [
        ("assistant", "", "stopped")
    ]


def test_text_delivered_before_a_stop_is_paid_for(engine, other, alice, row):
    events = events_of(take_numbered(make_services(engine, HangingProvider("a word")), alice, model="priced"))
    started = next(events)
    turn_recovery.request_stop(other.engine, alice.principal, started.turn_id)
    last = list(events)[-1]
    used = row("SELECT status, output_tokens, is_estimate FROM usage WHERE turn_id = :id", id=started.turn_id)

    assert tuple(used) == ("stopped", last.usage.output_tokens, True)
    assert last.usage.output_tokens > 0


def test_stopping_a_finished_turn_changes_nothing(engine, other, alice, row, log):
    started, *_ = take(make_services(engine, ScriptedProvider(HELLO)), alice)
    before = log(started.turn_id)
    turn_recovery.request_stop(other.engine, alice.principal, started.turn_id)

    assert row("SELECT status, stop_requested_at FROM turns WHERE id = :id", id=started.turn_id) == ("completed", None)
    assert log(started.turn_id) == before


def test_a_foreign_turn_and_a_missing_one_cannot_be_stopped(engine, other, alice, bob):
    started, *_ = take(make_services(engine, ScriptedProvider(HELLO)), alice)
    for turn_id in (started.turn_id, uuid4()):
        with pytest.raises(NotFound):
            turn_recovery.request_stop(other.engine, bob.principal, turn_id)


def test_a_stop_is_answered_202_running_or_not(chat, conversation, alice):
    made = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json

    assert conversation.post(f"/chat/turns/{made['turn_id']}/stop", as_=alice).status == 202


def test_a_delta_that_arrives_with_the_stop_is_stored_if_it_was_streamed(engine, other, alice, log):
    events = events_of(take_numbered(make_services(engine, HangingProvider("one ", "two ", "three")), alice))
    started = next(events)
    turn_recovery.request_stop(other.engine, alice.principal, started.turn_id)
    streamed = "".join(event.text for event in events if event.name == "text.delta")

    assert stored_messages(engine, alice, started.conversation_id)[-1].text == streamed
    assert "".join("".join(data["texts"]) for _, name, data in log(started.turn_id) if name == "text.delta") == streamed
