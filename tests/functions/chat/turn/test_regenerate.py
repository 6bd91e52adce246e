"""Regeneration: the last question is answered again in a normal turn, and the earlier answer stays as a variant."""

import contextlib
import threading

import pytest

from functions.chat.errors import ConversationBusy, NothingToRegenerate
from parley.db import conversations, messages
from parley.db.engine import make_engine
from parley.db.transactions import principal_scope
from parley.errors import NotFound
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.errors import ProviderBusy
from parley.turn_recovery import interrupt_if_stale
from tests.functions.chat.statements import recorded_statements
from tests.support.turns import HELLO, HangingProvider, ScriptedProvider, events_of, make_services, stored_messages, take, take_numbered


def answer_script(text):
    return [llm.TextDelta(text), llm.Finished("stop")]


def regenerate(services, person, conversation_id, **options):
    return take(services, person, "", conversation_id=conversation_id, is_regeneration=True, **options)


def variants(engine, person, conversation_id):
    """Return every message as (seq, variant, text, is_active)."""
    with principal_scope(engine, person.principal) as connection:
        found = messages.page(connection, conversation_id, user_id=person.id, limit=100, order="asc", after=None, variants=True)
    return [(one.seq, one.variant, one.text, one.is_active) for one in found]


@pytest.fixture
def answered(engine, alice):
    """Return a conversation with one question and its answer."""
    return take(make_services(engine, ScriptedProvider(answer_script("first"))), alice, "why?")[0]


def test_a_new_answer_replaces_the_old_one(engine, alice, answered):
    started, *_, last = regenerate(make_services(engine, ScriptedProvider(answer_script("second"))), alice, answered.conversation_id)

    assert started.user_message_id == answered.user_message_id
    assert (last.name, last.message.seq, last.message.variant) == ("turn.completed", 2, 1)
    assert variants(engine, alice, answered.conversation_id) == [(1, 0, "why?", True), (2, 0, "first", False), (2, 1, "second", True)]


def test_the_model_sees_the_question_without_its_old_answer(engine, alice, answered):
    scripted = ScriptedProvider(answer_script("x"))
    take(make_services(engine, scripted), alice, "and how?", conversation_id=answered.conversation_id)
    regenerate(make_services(engine, scripted), alice, answered.conversation_id)

    assert [m.text for m in scripted.requests[-1].messages] == ["why?", "first", "and how?"]


def test_the_conversation_continues_from_the_newest_answer(engine, alice, answered):
    scripted = ScriptedProvider(answer_script("third"))
    for text in ("second", "third"):
        regenerate(make_services(engine, ScriptedProvider(answer_script(text))), alice, answered.conversation_id)
    take(make_services(engine, scripted), alice, "go on", conversation_id=answered.conversation_id)

    assert [m.text for m in scripted.requests[0].messages] == ["why?", "third", "go on"]
    assert [m.seq for m in stored_messages(engine, alice, answered.conversation_id)] == [1, 2, 3, 4]


def test_a_question_whose_turn_failed_is_answered(engine, alice):
    started, _ = take(make_services(engine, ScriptedProvider([ProviderBusy("acme", retry_after_s=0.0)])), alice, "why?")
    regenerate(make_services(engine, ScriptedProvider(answer_script("because"))), alice, started.conversation_id)

    assert variants(engine, alice, started.conversation_id) == [(1, 0, "why?", True), (2, 0, "because", True)]


@pytest.mark.parametrize("script", [[ProviderBusy("acme", retry_after_s=0.0)], [llm.Finished("content_filter")]])
def test_an_attempt_without_text_does_not_replace_the_old_answer(engine, alice, answered, script):
    regenerate(make_services(engine, ScriptedProvider(script)), alice, answered.conversation_id)

    assert [m.text for m in stored_messages(engine, alice, answered.conversation_id)] == ["why?", "first"]


def test_a_stale_attempt_becomes_a_variant_too(engine, alice, answered, age):
    taken = take_numbered(
        make_services(engine, HangingProvider()), alice, "", conversation_id=answered.conversation_id, is_regeneration=True
    )
    turn_id = next(taken).event.turn_id
    age(turn_id)

    assert interrupt_if_stale(engine, turn_id, user_id=alice.id)
    assert variants(engine, alice, answered.conversation_id)[1:] == [(2, 0, "first", True), (2, 1, "", False)]


def test_a_regeneration_may_name_another_model(engine, alice, answered):
    started, *_, last = regenerate(make_services(engine, ScriptedProvider(HELLO)), alice, answered.conversation_id, model="priced")

    assert (started.model, last.message.model) == ("priced", "priced")


def test_a_conversation_without_a_question_has_nothing_to_regenerate(engine, alice):
    with principal_scope(engine, alice.principal) as connection:
        made = conversations.add(connection, new_id(), user_id=alice.id)
    with pytest.raises(NothingToRegenerate) as refused:
        regenerate(make_services(engine, ScriptedProvider(HELLO)), alice, made.id)

    assert (refused.value.status, refused.value.code) == (409, "nothing_to_regenerate")


def test_someone_elses_conversation_is_not_found(engine, bob, answered):
    with pytest.raises(NotFound):
        regenerate(make_services(engine, ScriptedProvider(HELLO)), bob, answered.conversation_id)


def test_a_running_turn_makes_the_conversation_busy(engine, alice, answered):
    provider = HangingProvider("word")
    running = events_of(take_numbered(make_services(engine, provider), alice, "x", conversation_id=answered.conversation_id))
    next(running)
    with pytest.raises(ConversationBusy):
        regenerate(make_services(engine, ScriptedProvider(HELLO)), alice, answered.conversation_id)
    provider.close(), list(running)


def test_a_regeneration_takes_five_statements_one_to_recall_and_four(engine, alice, answered):
    statements_before_call = []
    with recorded_statements(engine) as found:
        regenerate(
            make_services(engine, ScriptedProvider([lambda: statements_before_call.append(len(found)), *HELLO])),
            alice,
            answered.conversation_id,
        )

    assert (statements_before_call, len(found) - statements_before_call[0]) == ([5 + 1], 4)


def test_concurrent_regenerations_leave_one_active_answer(database, engine, alice, answered):
    barrier = threading.Barrier(8)

    def ask():
        own = make_engine(database)
        barrier.wait(30)
        with contextlib.suppress(ConversationBusy):
            regenerate(make_services(own, ScriptedProvider(answer_script("anew"))), alice, answered.conversation_id)
        own.dispose()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    answers = variants(engine, alice, answered.conversation_id)[1:]

    assert [variant for _, variant, *_ in answers] == list(range(len(answers)))
    assert [is_active for *_, is_active in answers] == [False] * (len(answers) - 1) + [True]
    assert len(answers) > 1


def test_the_route_streams_as_chat_does_and_repeats_by_key(chat, alice):
    made = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json
    body, key = {"conversation_id": made["conversation_id"]}, {"Idempotency-Key": "again"}
    first, second = (chat.post("/chat/regenerate", body, as_=alice, headers=key) for _ in range(2))

    assert [name for name, _ in first.events][0 :: len(first.events) - 1] == ["turn.started", "turn.completed"]
    assert (second.events[0], second.events[-1], second.text) == (first.events[0], first.events[-1], first.text)


def test_the_list_shows_variants_when_asked(chat, conversation, alice):
    made = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice).json
    chat.post("/chat/regenerate", {"conversation_id": made["conversation_id"], "stream": False}, as_=alice)
    path = f"/conversations/{made['conversation_id']}/messages"
    shown = [(m["seq"], m["variant"]) for m in conversation.get(path, as_=alice).json["items"]]
    page = conversation.get(f"{path}?variants=true&limit=2", as_=alice).json
    rest = conversation.get(f"{path}?variants=true&limit=2&cursor={page['next_cursor']}", as_=alice).json

    assert shown == [(1, 0), (2, 1)]
    assert [(m["seq"], m["variant"], m["is_active"]) for m in page["items"] + rest["items"]] == [(1, 0, True), (2, 0, False), (2, 1, True)]
