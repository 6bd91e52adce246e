"""Turns that end early: the provider fails, the time is up, the client disconnects, or the function dies."""

import threading

import pytest

from functions.chat.turn import heartbeat
from functions.chat.turn.events import Ping, TurnCompleted, TurnFailed, TurnInterrupted
from parley.db.turn import turns
from parley.errors import Unavailable
from parley.jobs import CheckTurn
from parley.llm import messages as llm
from parley.llm.errors import ProviderFailed
from parley.turn_recovery import interrupt_if_stale
from tests.support.api_gateway import Function, rest_event
from tests.support.time_limits import wait_until
from tests.support.turns import (
    HELLO,
    HangingProvider,
    RecordingQueue,
    ScriptedProvider,
    events_of,
    make_services,
    stored_messages,
    take,
    take_numbered,
)

WORDS = [llm.TextDelta(word) for word in ("one ", "two ", "three ", "four")]
TERMINAL = {"turn.completed", "turn.stopped", "turn.interrupted", "turn.failed"}


@pytest.mark.parametrize("place", range(len(WORDS) + 1))
def test_the_delivered_text_is_stored_wherever_a_provider_fails(engine, alice, log, place):
    services = make_services(engine, ScriptedProvider([*WORDS[:place], ProviderFailed("acme", "reset")]))
    started, *middle, last = take(services, alice)
    delivered = "".join(event.text for event in middle)
    logged = log(started.turn_id)

    assert isinstance(last, TurnInterrupted if place else TurnFailed)
    assert [m.text for m in stored_messages(engine, alice, started.conversation_id)][1:] == ([delivered] if place else [])
    assert [name for _, name, _ in logged if name in TERMINAL] == [last.name]
    assert logged[-1][2] == last.data()


def test_the_stream_and_the_log_are_the_same(engine, alice, log):
    taken = [(one.number, one.event.name, one.event.data()) for one in take_numbered(make_services(engine, ScriptedProvider(HELLO)), alice)]
    started, joined, last = log(taken[0][2]["turn_id"])

    assert [started, last] == [taken[0], taken[-1]]
    assert joined == (3, "text.delta", {"texts": ["Hel", "lo"]})


def test_a_turn_ends_before_its_function_must(engine, alice):
    started, *_, last = take(make_services(engine, HangingProvider("half")), alice, time_limit_s=0.3)

    assert (type(last), last.reason) == (TurnInterrupted, "out_of_time")
    assert stored_messages(engine, alice, started.conversation_id)[-1].text == "half"


def test_a_silent_model_is_bridged_by_pings(engine, alice, monkeypatch):
    monkeypatch.setattr(heartbeat, "PING_S", 0.2)
    taken = list(take_numbered(make_services(engine, HangingProvider()), alice, time_limit_s=1.0))

    assert sum(isinstance(one, Ping) for one in taken) >= 2


def test_pings_come_at_least_every_15_seconds():
    assert heartbeat.PING_S + heartbeat.TICK_S <= 15


def test_a_client_that_disconnects_changes_nothing(engine, alice, log):
    taken = take_numbered(make_services(engine, ScriptedProvider([*WORDS, HELLO[-1]])), alice)
    started = next(taken).event
    next(taken)
    taken.close()
    answer = stored_messages(engine, alice, started.conversation_id)[-1]

    assert (answer.text, answer.status) == ("one two three four", "completed")
    assert log(started.turn_id)[-1][1] == "turn.completed"


def test_a_turn_logs_while_it_runs(engine, alice, log):
    provider = HangingProvider("one ", "two ")
    taken = take_numbered(make_services(engine, provider), alice)
    started = next(taken).event
    thread = threading.Thread(target=lambda: list(taken))
    thread.start()
    logged = wait_until(lambda: log(started.turn_id)[1:])
    provider.close(), thread.join()

    assert logged == [(3, "text.delta", {"texts": ["one ", "two "]})]


def test_a_database_that_is_briefly_unavailable_does_not_end_a_turn(engine, alice, log, monkeypatch):
    real, away, calls = turns.record_heartbeat, iter([True, True]), []

    def tick(*args, **options):
        calls.append(options["entries"])
        if next(away, False):
            real(*args, **options)  # the statement was committed, but its response was lost
            raise Unavailable("database")
        return real(*args, **options)

    monkeypatch.setattr(heartbeat.turns, "record_heartbeat", tick)
    monkeypatch.setattr(heartbeat, "TICK_S", 0.05)
    monkeypatch.setattr(heartbeat, "_RETRY_S", 0.05)
    script = [WORDS[0], lambda: wait_until(lambda: calls), WORDS[1], lambda: wait_until(lambda: len(calls) > 3), *WORDS[2:], HELLO[-1]]
    started, *_, last = take(make_services(engine, ScriptedProvider(script)), alice)

    assert isinstance(last, TurnCompleted)
    assert "".join("".join(data["texts"]) for _, name, data in log(started.turn_id) if name == "text.delta") == "one two three four"


@pytest.fixture
def stale(engine, alice, age):
    """Return the turn of a function that died after it had logged two words."""
    provider = HangingProvider("one ", "two ")
    taken = take_numbered(make_services(engine, provider), alice)
    started = next(taken).event
    next(taken), next(taken)
    turns.record_heartbeat(engine, started.turn_id, user_id=alice.id, entries=events_so_far(started))
    age(started.turn_id)
    yield started
    provider.close(), list(taken)


def events_so_far(started):
    from parley.db.turn.turn_events import LoggedEvent

    return [LoggedEvent(3, "text.delta", {"texts": ["one ", "two "]})]


def test_reading_a_stale_turn_interrupts_it(engine, chat, alice, stale, log):
    shown = chat.get(f"/chat/turns/{stale.turn_id}", as_=alice).json

    assert (shown["status"], shown["text"], shown["error_code"]) == ("interrupted", "one two ", "function_lost")
    assert [m.text for m in stored_messages(engine, alice, stale.conversation_id)] == ["hello", "one two "]
    assert [(number, name) for number, name, _ in log(stale.turn_id)][-1] == (4, "turn.interrupted")


def test_a_reader_of_a_stale_turn_gets_its_end(chat, alice, stale):
    events = chat.get(f"/chat/turns/{stale.turn_id}/events?after=1", as_=alice).events

    assert [name for name, _ in events] == ["text.delta", "turn.interrupted"]


def test_stopping_a_stale_turn_interrupts_it(chat, conversation, alice, stale, row, log):
    answer = conversation.post(f"/chat/turns/{stale.turn_id}/stop", as_=alice)

    assert answer.status == 202
    assert row("SELECT status, error_code FROM turns WHERE id = :id", id=stale.turn_id) == ("interrupted", "function_lost")
    assert [(number, name) for number, name, _ in log(stale.turn_id)][-1] == (4, "turn.interrupted")


def test_a_stale_turn_is_ended_once_by_concurrent_requests(engine, database, alice, stale, log):
    from concurrent.futures import ThreadPoolExecutor

    from parley.db.engine import make_engine

    engines = [make_engine(database) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda one: interrupt_if_stale(one, stale.turn_id, user_id=alice.id), engines))
    [one.dispose() for one in engines]

    assert sum(done) == 1
    assert [name for _, name, _ in log(stale.turn_id)].count("turn.interrupted") == 1


def test_a_turn_found_stale_ends_as_it_was_stored(engine, database, alice, age, log):
    from parley.db.engine import make_engine

    provider, other = HangingProvider("one "), make_engine(database)
    taken = events_of(take_numbered(make_services(engine, provider), alice))
    started = next(taken)
    age(started.turn_id)
    interrupt_if_stale(other, started.turn_id, user_id=alice.id)
    last = list(taken)[-1]
    other.dispose()

    assert (last.name, last.data()["reason"]) == ("turn.interrupted", "function_lost")
    assert [name for _, name, _ in log(started.turn_id)].count("turn.interrupted") == 1


def test_a_turn_found_stale_is_paid_for(engine, alice, age, row):
    provider = HangingProvider("one ")
    taken = events_of(take_numbered(make_services(engine, provider), alice))
    started = next(taken)
    next(taken)
    age(started.turn_id)
    interrupt_if_stale(engine, started.turn_id, user_id=alice.id)
    list(taken)

    assert row("SELECT status, is_estimate FROM usage WHERE turn_id = :t", t=started.turn_id) == ("interrupted", True)


def test_a_superseded_turn_is_not_ended_again(engine, database, alice, age):
    from parley.db.engine import make_engine

    other = make_engine(database)
    taken = events_of(take_numbered(make_services(engine, ScriptedProvider(HELLO)), alice))
    started = next(taken)
    age(started.turn_id)
    interrupt_if_stale(other, started.turn_id, user_id=alice.id)
    last = list(taken)[-1]
    other.dispose()

    assert (last.name, last.message.text) == ("turn.interrupted", "")
    assert [m.text for m in stored_messages(engine, alice, started.conversation_id)] == ["hello", ""]


def test_a_turn_with_a_heartbeat_is_not_interrupted(engine, alice):
    provider = HangingProvider("word")
    taken = take_numbered(make_services(engine, provider), alice)
    started = next(taken).event

    assert not interrupt_if_stale(engine, started.turn_id, user_id=alice.id)
    provider.close(), list(taken)


def test_a_long_turn_has_a_watchdog_and_a_fast_turn_has_none(engine, alice):
    slow, fast = RecordingQueue(), RecordingQueue()
    started, *_ = take(make_services(engine, HangingProvider("word"), queue=slow), alice, time_limit_s=1.3)
    take(make_services(engine, ScriptedProvider(HELLO), queue=fast), alice)

    assert slow.sent == [(CheckTurn(alice.id, started.turn_id), 31)]
    assert fast.sent == []


def test_the_log_is_never_newer_than_the_heartbeat(engine, alice, row):
    started, *_, _ = take(make_services(engine, ScriptedProvider(HELLO)), alice)

    assert row("SELECT last_event FROM turns WHERE id = :id", id=started.turn_id).last_event == 4


def test_a_foreign_turn_gets_no_heartbeat(engine, alice, bob):
    started, *_ = take(make_services(engine, ScriptedProvider(HELLO)), alice)

    assert not turns.record_heartbeat(engine, started.turn_id, user_id=bob.id, entries=[]).is_running


def test_a_handler_that_is_closed_early_has_ended_its_turn(chat, alice, row):
    """As when the runtime's connection breaks: no work of the turn may be left for the worker's next invocation."""
    chunks = chat.handler(rest_event("POST", "/chat", {"message": "hello"}, as_=alice, headers={}), Function.CONTEXT)
    next(chunks), next(chunks), next(chunks)
    chunks.close()

    assert row("SELECT status FROM turns WHERE user_id = :u", u=alice.id).status == "completed"
