import time
from uuid import uuid4

import pytest
from sqlalchemy import text

from functions.chat.turn import run
from functions.chat.turn.events import AnswerDelta, TurnCompleted, TurnFailed, TurnInterrupted, TurnStarted
from parley import deadline
from parley.db import conversations
from parley.db.transactions import principal_scope
from parley.errors import NotFound, Unavailable
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.catalogue import ModelNotFound
from parley.llm.errors import ContextTooLong, ProviderBusy, ProviderFailed
from tests.support.turns import HELLO, HangingProvider, ScriptedProvider, events_of, make_services, stored_messages, take, take_numbered


@pytest.fixture
def services(engine):
    return lambda *script: make_services(engine, ScriptedProvider(list(script)))


def test_a_turn_streams_its_answer_between_start_and_end(services, alice):
    events = take(services(*HELLO), alice)

    assert [type(event) for event in events] == [TurnStarted, AnswerDelta, AnswerDelta, TurnCompleted]
    assert events[1:3] == [AnswerDelta("Hel"), AnswerDelta("lo")]


def test_question_and_answer_are_stored_in_order(engine, services, alice):
    started, *_, completed = take(services(*HELLO), alice)
    question, answer = stored_messages(engine, alice, started.conversation_id)

    assert [(m.seq, m.role, m.text) for m in (question, answer)] == [(1, "user", "hello"), (2, "assistant", "Hello")]
    assert (question.id, answer.id) == (started.user_message_id, completed.message.id)


def test_the_question_is_stored_before_the_model_is_called(engine, alice):
    seen = []

    class WatchingProvider:
        def stream(self, model_name, request):
            seen.extend(m.text for m in stored_messages(engine, alice, started.conversation_id))
            yield from HELLO

    events = events_of(take_numbered(make_services(engine, WatchingProvider()), alice, "am I safe?"))
    started = next(events)
    list(events)

    assert seen == ["am I safe?"]


def test_no_transaction_is_open_while_the_model_answers(engine, alice):
    class Watching:
        def stream(self, model_name, request):
            idle.append(engine.pool.checkedout())
            yield from HELLO

    idle = []
    take(make_services(engine, Watching()), alice)

    assert idle == [0]


def test_the_model_sees_the_history(engine, alice):
    scripted = ScriptedProvider(HELLO)
    started, *_ = take(make_services(engine, scripted), alice, "first")
    take(make_services(engine, scripted), alice, "second", conversation_id=started.conversation_id)

    assert [(m.role, m.text) for m in scripted.requests[1].messages] == [("user", "first"), ("assistant", "Hello"), ("user", "second")]


def test_a_conversations_system_prompt_reaches_the_model(engine, alice):
    scripted = ScriptedProvider(HELLO)
    with principal_scope(engine, alice.principal) as connection:
        made = conversations.add(connection, new_id(), user_id=alice.id, system_prompt="speak like a pirate")
    take(make_services(engine, scripted), alice, conversation_id=made.id)

    assert scripted.requests[0].system == "speak like a pirate"


def test_the_oldest_messages_are_dropped_when_the_context_is_full(engine, alice):
    scripted = ScriptedProvider(HELLO)
    started, *_ = take(make_services(engine, scripted), alice, "old " * 500)
    take(make_services(engine, scripted), alice, "x " * 1200, conversation_id=started.conversation_id)

    assert "old" not in "".join(m.text for m in scripted.requests[1].messages)


def test_a_question_too_long_for_the_model_is_refused_and_not_stored(engine, services, alice):
    with pytest.raises(ContextTooLong) as caught:
        take(services(*HELLO), alice, "word " * 5000)
    with principal_scope(engine, alice.principal) as connection:
        assert conversations.page(connection, user_id=alice.id, limit=5, max_bytes=1, after=None).rows == []
    assert (str(caught.value.tokens) in caught.value.public_message, caught.value.limit) == (True, 1500)


def test_usage_is_priced_by_the_catalogue(services, alice):
    completed = take(services(*HELLO), alice, model="priced")[-1]

    assert (completed.usage.input_tokens, completed.usage.output_tokens, float(completed.usage.cost_usd)) == (1000, 100, 0.0024)


def test_the_wait_for_the_model_is_part_of_the_timings(engine, alice):
    slow = ScriptedProvider([lambda: time.sleep(0.2), *HELLO])
    last = take(make_services(engine, slow), alice)[-1]

    assert 200 <= last.timings.model_ms <= last.timings.total_ms


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_the_client_is_told_why_an_answer_ended(engine, alice, row, reason):
    script = [llm.TextDelta("Hel"), llm.Finished(reason, llm.Usage(10, 1))]
    started, *_, last = take(make_services(engine, ScriptedProvider(script)), alice)
    stored = row("SELECT status, finish_reason FROM turns WHERE id = :id", id=started.turn_id)

    assert (last.name, last.finish_reason, tuple(stored)) == ("turn.completed", reason, ("completed", reason))


def test_a_stopped_answer_has_timings_too(engine, alice):
    *_, last = take(make_services(engine, HangingProvider("word")), alice, time_limit_s=0.3)

    assert last.data()["timings"]["model_ms"] >= 200


def test_a_busy_provider_fails_the_turn_and_keeps_the_question(engine, services, alice):
    started, failed = take(services(ProviderBusy("acme", retry_after_s=2.0)), alice)

    assert isinstance(failed, TurnFailed)
    assert (failed.error.code, failed.error.retryable) == ("provider_busy", True)
    assert [m.text for m in stored_messages(engine, alice, started.conversation_id)] == ["hello"]


def test_an_interrupted_answer_is_stored_up_to_the_last_delta(engine, services, alice):
    started, *_, interrupted = take(services(llm.TextDelta("half an ans"), ProviderFailed("acme", "reset")), alice)
    answer = stored_messages(engine, alice, started.conversation_id)[-1]

    assert isinstance(interrupted, TurnInterrupted)
    assert (answer.text, answer.status, answer.id) == ("half an ans", "interrupted", interrupted.message.id)


def test_an_answer_without_an_end_is_incomplete(services, alice):
    assert isinstance(take(services(llm.TextDelta("and then")), alice)[-1], TurnInterrupted)


def test_a_conversation_deleted_meanwhile_ends_the_turn_as_failed(engine, alice):
    class Deleting:
        def stream(self, model_name, request):
            with principal_scope(engine, alice.principal) as connection:
                conversations.remove(connection, started.conversation_id, user_id=alice.id)
            yield from HELLO

    events = events_of(take_numbered(make_services(engine, Deleting()), alice))
    started = next(events)
    *_, last = events

    assert (last.name, last.data()["code"]) == ("turn.failed", "not_found")


def test_a_foreign_conversation_and_a_missing_one_look_alike(services, alice, bob):
    started, *_ = take(services(*HELLO), alice)
    refused = []
    for id in (started.conversation_id, uuid4()):
        with pytest.raises(NotFound) as caught:
            take(services(*HELLO), bob, conversation_id=id)
        refused.append(caught.value.public_message)

    assert refused[0] == refused[1]


@pytest.mark.parametrize("model", ["gpt-99", "keyless"])
def test_an_unable_model_is_refused_before_anything_is_stored(engine, services, alice, model):
    with pytest.raises(ModelNotFound) as caught:
        take(services(*HELLO), alice, model=model)
    assert "Available models: offline, seeing, priced." in caught.value.public_message
    with principal_scope(engine, alice.principal) as connection:
        assert conversations.page(connection, user_id=alice.id, limit=5, max_bytes=1, after=None).rows == []


@pytest.mark.parametrize(
    "script",
    [
        [ValueError("a bug in a provider")],
        [llm.TextDelta("text"), ValueError("a bug in a provider")],
        [llm.TextDelta(["no", "text"])],
        [llm.TextDelta("text"), llm.Finished("stop", llm.Usage(10**12, 1))],
        [llm.TextDelta("text"), llm.Finished("stop", llm.Usage("1", 1))],
        [llm.TextDelta("text"), llm.Finished(None, llm.Usage())],
        [{"not": "an event"}],
    ],
)
def test_whatever_a_provider_does_the_turn_ends_once_and_is_recorded(engines, services, alice, script):
    started, *_, last = take(services(*script), alice)

    assert isinstance(last, TurnFailed | TurnInterrupted)
    assert status_of(engines, started.turn_id) == ("failed" if isinstance(last, TurnFailed) else "interrupted")


def status_of(engines, turn_id):
    with engines["owner"].connect() as connection:
        return connection.scalar(text("SELECT status FROM turns WHERE id = :id"), {"id": turn_id})


@pytest.mark.parametrize(("sent", "stored"), [("a\0b", "ab"), ("half \ud83d pair", "half \ufffd pair"), ("\ud83d\ude00", "\U0001f600")])
def test_characters_that_cannot_be_stored_are_taken_out_of_an_answer(engine, services, alice, sent, stored):
    started, delta, _ = take(services(llm.TextDelta(sent), llm.Finished("stop")), alice)

    assert delta.text == stored
    assert stored_messages(engine, alice, started.conversation_id)[-1].text == stored


def test_the_end_of_a_turn_is_retried_while_the_database_is_unavailable(engine, engines, services, alice, monkeypatch):
    refusals = iter([Unavailable("database"), Unavailable("database")])
    real = run.user_scope
    monkeypatch.setattr(deadline.time, "sleep", lambda _: None)
    monkeypatch.setattr(run, "user_scope", lambda *args: raise_next(refusals) or real(*args))
    started, *_, last = take(services(*HELLO), alice)

    assert isinstance(last, TurnCompleted)
    assert status_of(engines, started.turn_id) == "completed"
    assert len(stored_messages(engine, alice, started.conversation_id)) == 2


def raise_next(errors):
    for error in errors:
        raise error


def test_an_end_that_was_stored_but_not_acknowledged_is_not_stored_again(engine, services, alice, monkeypatch):
    real = run._store_result
    lost = iter([Unavailable("database")])
    monkeypatch.setattr(deadline.time, "sleep", lambda _: None)
    monkeypatch.setattr(run, "_store_result", lambda *args: (real(*args), raise_next(lost))[0])
    started, *_, last = take(services(*HELLO), alice)

    assert [m.id for m in stored_messages(engine, alice, started.conversation_id)] == [started.user_message_id, last.message.id]


def test_a_completed_turn_is_stored_with_its_usage(engines, services, alice):
    started, *_ = take(services(*HELLO), alice, model="priced")
    with engines["owner"].connect() as connection:
        row = connection.execute(text("SELECT * FROM turns WHERE id = :id"), {"id": started.turn_id}).one()

    assert (row.status, row.input_tokens, row.output_tokens, float(row.cost_usd)) == ("completed", 1000, 100, 0.0024)
    assert row.ended_at >= row.started_at


def test_an_empty_answer_is_not_sent_to_the_model(engine, alice):
    scripted = ScriptedProvider([llm.Finished("content_filter")])
    started, *_ = take(make_services(engine, scripted), alice, "first")
    take(make_services(engine, scripted), alice, "second", conversation_id=started.conversation_id)

    assert [m.text for m in scripted.requests[1].messages] == ["first", "second"]


def test_a_preferred_model_that_is_gone_is_skipped(engine, services, alice):
    with principal_scope(engine, alice.principal) as connection:
        made = conversations.add(connection, new_id(), user_id=alice.id, model="gone-by-now")

    assert take(services(*HELLO), alice, conversation_id=made.id)[0].model == "offline"
