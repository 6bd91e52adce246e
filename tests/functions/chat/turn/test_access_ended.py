"""A stream ends soon after its session has ended or its API key was revoked."""

import time
from dataclasses import replace
from itertools import chain

import pytest

from functions.chat.completions.completion import stream_completion
from functions.chat.turn import replay
from functions.chat.turn.events import TurnStopped
from parley.db.turn import stream_leases, turns
from parley.deadline import Deadline
from parley.errors import Unauthorized
from parley.ids import new_id
from parley.llm.messages import Finished, Message, ModelRequest, TextDelta, Usage
from tests.support.api_gateway import PASSWORD
from tests.support.turns import HangingProvider, ScriptedProvider, events_of, make_services, stored_messages, take_numbered

SOON_S = 10.0


@pytest.fixture
def key(auth, alice):
    """Return the holder of an API key, and a function that revokes the key."""
    created = auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}, as_=alice).json
    claims = {"sub": str(alice.id), "api_key_id": created["id"], "scope": " ".join(created["scopes"]), "exp": alice.claims["exp"]}
    return replace(alice, claims=claims), lambda: auth.delete(f"/auth/api-keys/{created['id']}", as_=alice)


def last_soon(events):
    began_s = time.monotonic()
    *_, last = events
    assert time.monotonic() - began_s < SOON_S
    return last


def test_a_logout_stops_the_turns_of_its_session(engine, auth, alice):
    events = events_of(take_numbered(make_services(engine, HangingProvider("half")), alice))
    next(events), next(events)
    assert auth.post("/auth/logout", {}, as_=alice).status == 204
    last = last_soon(events)

    assert isinstance(last, TurnStopped)
    assert last.reason == "access_ended"


def test_a_revoked_key_stops_its_turns(engine, alice, key):
    holder, revoke = key
    events = events_of(take_numbered(make_services(engine, HangingProvider("half")), holder))
    started = next(events)
    next(events)
    revoke()

    assert last_soon(events).reason == "access_ended"
    assert [message.text for message in stored_messages(engine, alice, started.conversation_id)] == ["hello", "half"]


@pytest.mark.parametrize("credential", ["sessions", "api_keys"])
def test_a_turns_next_heartbeat_notices_that_its_credential_has_expired(engine, alice, key, change, credential):
    person = alice if credential == "sessions" else key[0]
    record = lambda: turns.record_heartbeat(engine, new_id(), user_id=alice.id, entries=[], principal=person.principal)  # noqa: E731
    before = record()
    change(f"UPDATE {credential} SET expires_at = now() WHERE user_id = :u", u=alice.id)

    assert (before.is_access_ended, record().is_access_ended) == (False, True)


def test_a_follower_whose_session_has_ended_reads_no_further(engine, auth, alice, key):
    holder, _ = key
    provider = HangingProvider("word")
    running = events_of(take_numbered(make_services(engine, provider), holder))
    turn_id = next(running).turn_id
    follower = replay.read_events(
        engine, alice.principal, turn_id, after=0, deadline=Deadline.after(60), max_followers=9, repeats_last=True
    )
    next(follower)
    auth.post("/auth/logout", {}, as_=alice)

    last_soon(chain([None], follower))
    provider.close(), list(running)


def test_a_stateless_completion_ends_after_a_logout(engine, auth, alice, monkeypatch):
    monkeypatch.setattr(stream_leases, "RENEW_S", 0.0)
    log_out = lambda: auth.post("/auth/logout", {}, as_=alice)  # noqa: E731
    provider = ScriptedProvider([TextDelta("one "), log_out, TextDelta("two"), Finished("stop", Usage(1, 2))])
    request = ModelRequest([Message("user", "hello")])
    completion = stream_completion(
        make_services(engine, provider), alice.principal, "offline", request, stops=[], deadline=Deadline.after(20)
    )

    with pytest.raises(Unauthorized):
        list(completion.events)
