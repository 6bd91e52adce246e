"""The bounds on the answers in progress, followers and waiting requests of one user, counted across workers."""

import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest

from functions.chat.completions.completion import stream_completion
from functions.chat.errors import ConversationBusy
from functions.chat.services import StreamLimits
from functions.chat.turn import replay
from functions.chat.turn.approvals import Decision, decide
from parley.db.turn import turn_checkpoint
from parley.db.turn.stream_leases import LEASE_S, StreamLease, TooManyStreams
from parley.deadline import Deadline
from parley.llm.messages import Message, ModelRequest
from tests.support.concurrency import closing_engine, meet_after, outcomes
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer
from tests.support.turns import HELLO, HangingProvider, ScriptedProvider, events_of, make_services, take, take_numbered

LIMIT = 2


def limited(engine, provider, **options):
    return replace(make_services(engine, provider, **options), stream_limits=StreamLimits(LIMIT, LIMIT, LIMIT))


@pytest.fixture
def running(engine, alice):
    """Return a function that starts a turn, which runs until the end of the test, and returns its first event."""
    started = []

    def running(person=alice):
        provider = HangingProvider("word")
        events = events_of(take_numbered(limited(engine, provider), person))
        started.append((provider, events))
        return next(events)

    yield running
    for provider, events in started:
        provider.close()
        list(events)


def follow(engine, person, turn_id):
    return replay.read_events(
        engine, person.principal, turn_id, after=0, deadline=Deadline.after(20), max_followers=LIMIT, repeats_last=True
    )


def test_a_user_has_a_limited_number_of_running_turns(engine, alice, running):
    for _ in range(LIMIT):
        running()
    with pytest.raises(TooManyStreams):
        running()


def test_a_refused_turn_is_429_with_a_time_to_retry_and_stores_nothing(chat, engine, alice, running, monkeypatch):
    running()
    from functions.chat import app

    monkeypatch.setitem(app.app._app.state._state, "services", replace(app.services, stream_limits=StreamLimits(answers=1)))
    answer = chat.post("/chat", {"message": "hello", "stream": False}, as_=alice)

    assert (answer.status, answer.json["code"]) == (429, "too_many_streams")
    assert int(answer.headers["retry-after"]) > 0


def test_the_running_turns_of_others_do_not_count(engine, alice, bob, running):
    for _ in range(LIMIT):
        running(bob)

    assert take(limited(engine, ScriptedProvider(HELLO)), alice)[-1].name == "turn.completed"


def test_a_turn_whose_worker_died_does_not_count(engine, alice, running, age):
    for _ in range(LIMIT):
        age(running().turn_id)

    assert take(limited(engine, ScriptedProvider(HELLO)), alice)[-1].name == "turn.completed"


def test_a_waiting_turn_is_not_resumed_beyond_the_limit(engine, alice, running):
    toolbox = RecordingToolbox().add("write", lambda: "", requires_approval=True)
    services = limited(engine, ScriptedRounds(tool_calls_answer(("w", "write", {})), DONE), toolbox=toolbox)
    waiting = take(services, alice, model="handy", tools=True)[0]
    for _ in range(LIMIT):
        running()

    with pytest.raises(TooManyStreams):
        decide(services, alice.principal, Decision(waiting.turn_id, "w", True), Deadline.after(30))


def test_turns_resumed_at_the_same_moment_stay_within_the_limit(engine, database, alice, running, monkeypatch):
    def waiting(services):
        return take(services, alice, model="handy", tools=True)[0].turn_id

    def services_of(own_engine):
        toolbox = RecordingToolbox().add("write", lambda: "", requires_approval=True)
        return limited(own_engine, ScriptedRounds(tool_calls_answer(("w", "write", {})), DONE), toolbox=toolbox)

    turn_ids = [waiting(services_of(engine)) for _ in range(3)]
    for _ in range(LIMIT - 1):
        running()
    meet_after(monkeypatch, turn_checkpoint, "resume")

    def approve(turn_id):
        with closing_engine(database) as own_engine:
            decide(services_of(own_engine), alice.principal, Decision(turn_id, "w", True), Deadline.after(30))

    kinds = Counter(map(type, outcomes([partial(approve, turn_id) for turn_id in turn_ids])))

    assert kinds == {TooManyStreams: 2, type(None): 1}


def test_a_user_has_a_limited_number_of_stateless_completions(engine, alice):
    def completion():
        services = limited(engine, ScriptedProvider(HELLO))
        request = ModelRequest([Message("user", "hello")])
        return stream_completion(services, alice.principal, "offline", request, stops=[], deadline=Deadline.after(20)).events

    first, second = completion(), completion()
    with pytest.raises(TooManyStreams):
        completion()
    list(first)

    assert len(list(completion())) == len(list(second))


def test_a_user_follows_a_limited_number_of_streams(engine, alice, running):
    turn_id = running().turn_id
    followers = [follow(engine, alice, turn_id) for _ in range(LIMIT + 1)]
    for follower in followers[:LIMIT]:
        next(follower)
    with pytest.raises(TooManyStreams):
        next(followers[LIMIT])
    followers[0].close()

    with closing(follow(engine, alice, turn_id)) as another:
        assert next(another).event.name == "turn.started"
    followers[1].close()


def test_the_events_of_an_ended_turn_are_read_without_a_limit(engine, alice, running):
    ended = take(limited(engine, ScriptedProvider(HELLO)), alice)[0]
    turn_id = running().turn_id
    followers = [follow(engine, alice, turn_id) for _ in range(LIMIT)]
    for follower in followers:
        next(follower)

    assert len(list(follow(engine, alice, ended.turn_id))) > 1
    for follower in followers:
        follower.close()


def test_a_limited_number_of_a_users_requests_wait_for_another_turn(engine, database, alice, running):
    conversation_id = running().conversation_id

    def wait():
        with closing_engine(database) as own_engine:
            take(limited(own_engine, ScriptedProvider(HELLO)), alice, conversation_id=conversation_id, wait=True, time_limit_s=23)

    kinds = Counter(map(type, outcomes([wait] * (LIMIT + 2))))

    assert kinds == {TooManyStreams: 2, ConversationBusy: LIMIT}


def test_concurrent_requests_take_no_more_leases_than_the_limit(engine, database, alice):
    barrier, ended = threading.Barrier(8), threading.Barrier(8)

    def lease():
        with closing_engine(database) as own_engine, StreamLease(own_engine, "follower", user_id=alice.id, limit=3) as held:
            barrier.wait(30)
            try:
                held.hold()
            finally:
                ended.wait(30)

    assert Counter(map(type, outcomes([lease] * 8))) == {TooManyStreams: 5, type(None): 3}


def test_the_lease_of_a_worker_that_died_is_taken_over(engine, alice, change):
    lease = StreamLease(engine, "follower", user_id=alice.id, limit=1)
    lease.hold()
    change(f"UPDATE stream_leases SET expires_at = expires_at - interval '{LEASE_S + 1} seconds'")

    with StreamLease(engine, "follower", user_id=alice.id, limit=1) as other:
        other.hold()
