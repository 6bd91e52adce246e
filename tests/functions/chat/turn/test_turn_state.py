"""A turn in memory: its numbered events, what it has used so far, and the calls that it parses."""

import time
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import pytest

from functions.chat.turn.events import AnswerDelta, MessageRead, TurnFailed
from functions.chat.turn.heartbeat import FIRST_CHECK_S, Watchdog
from functions.chat.turn.prompt import PromptContext
from functions.chat.turn.question import Question
from functions.chat.turn.replay import parse_last_event_id
from functions.chat.turn.state import EventBuffer, Turn
from functions.chat.turn.tools import EmptyToolbox, ParsedToolCall
from functions.chat.turn.user_questions import DECLINED_RESULT, ask_or_answer, checked_answers, server_question
from parley.db.turn.approvals import Approval
from parley.db.turn.steering_messages import SteeringMessage
from parley.db.turn.turn_checkpoint import Checkpoint
from parley.errors import InvalidInput, Unavailable
from parley.ids import new_id
from parley.jobs import CheckTurn
from parley.llm import messages as llm
from parley.llm.candidates import Candidate
from parley.llm.model import Model, ModelCall
from parley.metering.limits import BillingSubject
from parley.tools.outcome import AskedForm, ToolOutcome
from tests.support.turns import RecordingQueue

MODEL = Model(provider="offline", name="m", input_usd_per_mtok=Decimal(2), output_usd_per_mtok=Decimal(10))
FIELD = {"id": "city", "text": "Which city?", "kind": "text"}
QUESTION = {"call_id": "c", "form": {"fields": [FIELD]}, "number": 2}


def make_turn(*calls, **fields):
    """Return a turn that has made these model calls."""
    candidates = [Candidate(id, MODEL) for id in ("first", "second")]
    turn = Turn(
        billing_subject=BillingSubject(new_id()),
        conversation_id=new_id(),
        candidates=candidates,
        context=PromptContext(conversation=None, history=(), question=Question("hello")),
        request=llm.ModelRequest([]),
        reservations=[],
        user_message_id=new_id(),
        **fields,
    )
    turn.model_streams.append(SimpleNamespace(calls=list(calls)))
    return turn


def call(model_id="second", *, waited_s=0.0):
    return ModelCall(model_id, MODEL, usage=llm.Usage(100, 10), waited_s=waited_s)


# Events


def test_events_are_numbered_from_one_and_texts_are_logged_together():
    buffer = EventBuffer()
    numbers = [buffer.add(AnswerDelta(text)).number for text in ("Hel", "lo")] + [buffer.add(MessageRead("m", "hi")).number]

    assert numbers == [1, 2, 3]
    assert [(entry.number, entry.name, entry.data) for entry in buffer.pending()] == [
        (2, "text.delta", {"texts": ["Hel", "lo"]}),
        (3, "message.read", {"id": "m", "text": "hi"}),
    ]


def test_an_event_that_arrives_while_others_are_logged_is_logged_next():
    buffer = EventBuffer(last=7)
    buffer.add(AnswerDelta("Hel"))
    logged = buffer.pending()
    buffer.add(AnswerDelta("lo"))
    buffer.mark_logged(logged)

    assert [(entry.number, entry.data["texts"]) for entry in buffer.drain()] == [(9, ["lo"])]
    assert buffer.pending() == []


def test_an_event_that_is_taken_back_is_not_logged_and_its_number_not_used_again():
    buffer = EventBuffer()
    buffer.add(MessageRead("m", "hi"))
    buffer.discard_last()

    assert (buffer.add(AnswerDelta("x")).number, [entry.number for entry in buffer.pending()]) == (2, [2])


@pytest.mark.parametrize(("wait_s", "shown"), [(0.0, 1), (1.0, 1), (1.2, 2), (30.0, 30)])
def test_a_failure_names_the_seconds_to_wait_rounded_up(wait_s, shown):
    error = Unavailable("database")
    error.retry_after_s = wait_s

    assert TurnFailed(error).data()["retry_after"] == shown


def test_a_failure_that_nobody_can_wait_for_names_no_seconds():
    error = InvalidInput("no")

    assert ("retry_after" in TurnFailed(error).data(), TurnFailed(error).data()["retryable"]) == (False, False)


@pytest.mark.parametrize(
    ("header", "number"),
    [
        (None, 0),
        ("7", 7),
        ("2147483647", 2**31 - 1),
        ("2147483648", 0),
        ("00000000007", 0),
        ("0000000007", 7),
        ("x", 0),
        ("-1", 0),
        ("", 0),
    ],
)
def test_a_last_event_id_that_is_no_number_of_an_event_counts_as_none(header, number):
    assert parse_last_event_id(header) == number


# Usage and timings


def test_a_turn_has_used_what_its_calls_used_and_what_was_used_before_its_pause():
    before = Checkpoint(input_tokens=1_000, output_tokens=200, cost_usd=Decimal("0.5"))
    usage = make_turn(call(), call(), resumed_from=before).usage()

    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (1_200, 220, Decimal("0.5006"))


def test_timings_are_milliseconds_with_one_digit():
    turn = make_turn(call(waited_s=0.12), call(waited_s=0.00346), started_s=time.perf_counter() - 100_000, first_token_ms=7.5)
    timings = turn.timings()

    assert (timings.first_token_ms, timings.model_ms) == (7.5, 123.5)
    assert 100_000_000 <= timings.total_ms < 100_010_000
    assert timings.total_ms == round(timings.total_ms, 1)


def test_the_first_text_sets_the_time_of_the_first_token_and_no_later_one():
    turn = make_turn(started_s=time.perf_counter() - 100)
    turn.add_text("Hel")
    first = turn.first_token_ms
    turn.started_s -= 100
    turn.add_text("lo")

    assert 100_000 <= first == turn.first_token_ms


@pytest.mark.parametrize(("calls", "model_id", "order"), [([], "first", ["first", "second"]), ([call()], "second", ["second", "first"])])
def test_a_paused_turn_goes_on_with_the_model_that_answered_last(calls, model_id, order):
    turn = make_turn(*calls)

    assert (turn.model_id, turn.checkpoint(upto=3).candidates) == (model_id, order)


def test_a_message_is_unread_until_the_model_has_it():
    turn = make_turn()
    before, turn.steering_messages = turn.has_unread_messages, 1
    waiting = turn.has_unread_messages
    turn.add_user_message(SteeringMessage("u", "Hurry!"))

    assert (before, waiting, turn.has_unread_messages) == (False, True, False)


def test_the_embedding_of_the_question_is_billed_even_if_it_has_not_ended():
    embedding = call("lexical")

    assert [one.model_id for one in make_turn(call(), query_embedding=SimpleNamespace(call=embedding)).billed_calls] == [
        "lexical",
        "second",
    ]
    assert [one.model_id for one in make_turn(call()).billed_calls] == ["second"]


def test_the_watch_over_a_turn_begins_once_it_is_due_and_only_once(monkeypatch):
    queue, user_id, turn_id = RecordingQueue(), uuid4(), uuid4()
    watchdog = Watchdog(queue, user_id=user_id, turn_id=turn_id)
    watchdog.send_if_due()
    assert queue.sent == []
    monkeypatch.setattr(watchdog, "_due_s", time.monotonic())
    for _ in range(2):
        watchdog.send_if_due()
        watchdog.close()

    assert queue.sent == [(CheckTurn(user_id, turn_id), FIRST_CHECK_S)]


# Calls of tools


def parsed(arguments, *, taken=()):
    return ParsedToolCall.of(llm.ToolCall("c", "clock", arguments), taken=taken)


@pytest.mark.parametrize(
    ("arguments", "is_valid"),
    [
        ('{"a":' * 32 + "1" + "}" * 32, True),
        ('{"a":' * 33 + "1" + "}" * 33, False),
        ('{"a": ' + "[" * 31 + "1" + "]" * 31 + "}", True),
        ('{"a": ' + "[" * 32 + "1" + "]" * 32 + "}", False),
        ('{"a": 1.5, "b": null}', True),
        ('{"a": [NaN]}', False),
        ('{"a": -Infinity}', False),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, False),
    ],
    ids=["32 objects", "33 objects", "32 lists", "33 lists", "plain", "not a number", "infinity", "far too deep"],
)
def test_arguments_that_cannot_be_stored_are_dropped(arguments, is_valid):
    call = parsed(arguments)

    assert (call.has_valid_arguments, bool(call.arguments)) == (is_valid, is_valid)


def test_an_id_that_the_vendor_repeats_is_replaced():
    assert parsed("{}").call_id == "c"
    assert parsed("{}", taken={"c"}).call_id.startswith("call_")


def test_a_turn_without_tools_runs_none():
    assert EmptyToolbox().run("clock", {}, timeout_s=1.0) == ToolOutcome(False, "Unknown tool 'clock'.", 0.0)


# Questions to the user


def stored(**fields):
    return Approval("q", "ask_user", {}, True, **fields)


def test_the_answers_to_a_question_are_the_result_of_its_call():
    call = ParsedToolCall("c", "ask_user", {"questions": [{"text": "Which city?", "kind": "text"}]})
    asked, declined = ask_or_answer(call, None), ask_or_answer(call, stored(question=QUESTION))
    answered = ask_or_answer(call, stored(question=QUESTION, answers={"city": "Lyon"}))

    assert (asked.id, asked.number, asked.to_approval().question.keys()) == ("c", 1, {"call_id", "form"})
    assert declined == ToolOutcome(False, DECLINED_RESULT, 0.0)
    assert (answered.ok, "Lyon" in answered.content, answered.elapsed_ms) == (True, True, 0.0)


def test_a_question_that_cannot_be_shown_is_a_result_with_the_reason():
    refused = ask_or_answer(ParsedToolCall("c", "ask_user", {"questions": []}), None)

    assert (refused.ok, "question" in refused.content, refused.elapsed_ms) == (False, True, 0.0)


@pytest.mark.parametrize(("earlier", "number"), [(None, 1), (stored(), 1), (stored(question=QUESTION), 3)])
def test_the_questions_of_a_server_are_counted(earlier, number):
    call = ParsedToolCall("c", "notes.write", {})
    question = server_question(call, AskedForm({"fields": [FIELD]}, {"id": "r", "state": None}), earlier)

    assert (question.number, question.form.server, question.to_approval().question["number"]) == (number, "notes", number)


@pytest.mark.parametrize(
    ("question", "answers", "is_approved", "checked"),
    [
        (None, None, True, None),
        (None, {}, True, InvalidInput),
        (QUESTION, None, True, InvalidInput),
        (QUESTION, None, False, None),
        (QUESTION, {"city": "Lyon"}, False, None),
        (QUESTION, {"city": "Lyon"}, True, {"city": "Lyon"}),
    ],
)
def test_an_approval_takes_no_answers_and_a_question_needs_them(question, answers, is_approved, checked):
    if checked is InvalidInput:
        with pytest.raises(InvalidInput):
            checked_answers(stored(question=question), answers, is_approved=is_approved)
    else:
        assert checked_answers(stored(question=question), answers, is_approved=is_approved) == checked
