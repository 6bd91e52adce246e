"""Turns of one conversation: one at a time, no message lost, and no gap in the numbers."""

import threading

import pytest

from functions.chat.errors import ConversationBusy
from parley.db import conversations
from parley.db.engine import make_engine
from parley.db.transactions import principal_scope
from parley.db.turn.turn_begin import TurnConflict
from parley.llm import messages as llm
from tests.support.turns import HELLO, HangingProvider, ScriptedProvider, events_of, make_services, stored_messages, take, take_numbered

WRITERS = 20


@pytest.fixture
def running(engine, alice):
    """Yield a conversation in which a turn runs until the end of the test."""
    provider = HangingProvider("word")
    taken = events_of(take_numbered(make_services(engine, provider), alice))
    started = next(taken)
    yield started, lambda: (provider.close(), list(taken))
    provider.close(), list(taken)


def test_a_second_turn_in_a_conversation_is_refused_and_stores_nothing(engine, alice, running):
    started, _ = running
    with pytest.raises(ConversationBusy):
        take(make_services(engine, ScriptedProvider(HELLO)), alice, "me too", conversation_id=started.conversation_id)

    assert [m.text for m in stored_messages(engine, alice, started.conversation_id)] == ["hello"]


def test_a_refused_turn_is_409_with_a_time_to_retry(chat, alice, running):
    answer = chat.post("/chat", {"message": "me too", "conversation_id": str(running[0].conversation_id)}, as_=alice)

    assert (answer.status, answer.json["code"]) == (409, "conversation_busy")
    assert int(answer.headers["retry-after"]) > 0


def test_a_waiting_request_is_answered_after_the_running_turn(engine, database, alice, running):
    started, finish = running
    own_engine = make_engine(database)
    waiting = events_of(
        take_numbered(
            make_services(own_engine, ScriptedProvider(HELLO)), alice, "me too", conversation_id=started.conversation_id, wait=True
        )
    )
    threading.Timer(0.3, finish).start()
    assert list(waiting)[-1].name == "turn.completed"
    own_engine.dispose()

    assert [(m.seq, m.text) for m in stored_messages(engine, alice, started.conversation_id)][2:] == [(3, "me too"), (4, "Hello")]


def test_a_waiting_request_gives_up_in_time_for_its_own_answer(engine, alice, running):
    with pytest.raises(ConversationBusy):
        take(make_services(engine, ScriptedProvider(HELLO)), alice, conversation_id=running[0].conversation_id, wait=True, time_limit_s=5)


def test_another_conversation_of_the_user_is_not_busy(engine, alice, running):
    assert take(make_services(engine, ScriptedProvider(HELLO)), alice)[-1].name == "turn.completed"


@pytest.fixture
def conversation_id(engine, alice):
    from parley.ids import new_id

    with principal_scope(engine, alice.principal) as connection:
        return conversations.add(connection, new_id(), user_id=alice.id).id


@pytest.mark.parametrize("wait", [False, True])
def test_many_writers_leave_numbers_without_gaps_in_turns_and_lose_nothing(engine, database, alice, conversation_id, wait):
    barrier, accepted = threading.Barrier(WRITERS), []

    def write(number):
        own_engine = make_engine(database)
        services = make_services(own_engine, ScriptedProvider([llm.TextDelta(f"answer {number}"), llm.Finished("stop")]))
        barrier.wait(30)
        try:
            take(services, alice, f"question {number}", conversation_id=conversation_id, wait=wait)
            accepted.append(number)
        except ConversationBusy:
            pass
        own_engine.dispose()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    found = stored_messages(engine, alice, conversation_id)
    numbers = [int(message.text.split()[1]) for message in found]

    assert [message.seq for message in found] == list(range(1, 2 * len(accepted) + 1))
    assert [message.role for message in found] == ["user", "assistant"] * len(accepted)
    assert numbers[::2] == numbers[1::2]
    assert sorted(numbers[::2]) == sorted(accepted)
    assert len(accepted) == WRITERS if wait else accepted


def test_the_prompt_has_every_earlier_answer(engine, database, alice, conversation_id):
    """A turn that runs between the reading of the history and the storing of the question is part of the history."""
    from functions.chat.turn import begin

    scripted, real = ScriptedProvider(HELLO), begin.preferred_candidates
    own_engine = make_engine(database)
    hidden_turns = iter([lambda: take(make_services(own_engine, ScriptedProvider(HELLO)), alice, "quick", conversation_id=conversation_id)])

    def candidates_for(*args, **options):
        for take_hidden_turn in hidden_turns:
            take_hidden_turn()
        return real(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(begin, "preferred_candidates", candidates_for)
        take(make_services(engine, scripted), alice, "slow", conversation_id=conversation_id)
    own_engine.dispose()

    assert [m.text for m in scripted.requests[0].messages] == ["quick", "Hello", "slow"]


@pytest.mark.parametrize(("conflicts", "is_begun"), [(19, True), (20, False)])
def test_a_turn_gives_way_to_concurrent_turns_and_is_refused_after_twenty(engine, alice, monkeypatch, conflicts, is_begun):
    from functions.chat.turn import begin

    services = make_services(engine, ScriptedProvider(HELLO))
    real, left = begin.turn_begin.store_turn, [TurnConflict("a concurrent turn")] * conflicts

    def store_turn(*args, **options):
        if left:
            raise left.pop()
        return real(*args, **options)

    monkeypatch.setattr(begin.turn_begin, "store_turn", store_turn)
    if is_begun:
        assert take(services, alice)[-1].name == "turn.completed"
    else:
        with pytest.raises(ConversationBusy):
            take(services, alice)


def test_a_stale_turn_does_not_block_its_conversation(engine, alice, age):
    provider = HangingProvider("word")
    taken = events_of(take_numbered(make_services(engine, provider), alice))
    started = next(taken)
    age(started.turn_id)
    events = take(make_services(engine, ScriptedProvider(HELLO)), alice, "next", conversation_id=started.conversation_id)
    provider.close(), list(taken)

    assert events[-1].name == "turn.completed"
    assert [m.status for m in stored_messages(engine, alice, started.conversation_id)] == [
        "completed",
        "interrupted",
        "completed",
        "completed",
    ]
