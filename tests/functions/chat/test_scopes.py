"""The scopes of an API key inside a turn: memory, tools and approvals each need a scope of their own."""

from types import SimpleNamespace

import pytest

from functions.chat.turn.approvals import Decision, decide
from functions.chat.turn.events import MemoryUsed
from functions.chat.turn.tool_events import ToolCalled
from parley.auth.principal import API_KEY_SCOPES, DEFAULT_API_KEY_SCOPES
from parley.deadline import Deadline
from parley.errors import Forbidden
from tests.support.api_gateway import PASSWORD
from tests.support.builders import add_memory
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer
from tests.support.turns import HELLO, ScriptedProvider, make_services, take

WRITE = tool_calls_answer(("w", "write", {"to": "bob"}))


@pytest.fixture
def toolbox():
    return RecordingToolbox().add("write", lambda to: f"sent to {to}", requires_approval=True)


def names(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize(("scopes", "count"), [(("chat",), 0), (("chat", "conversations"), 1)])
def test_the_users_memory_is_given_only_to_a_key_that_may_read_conversations(engine, alice, key_with, scopes, count):
    add_memory(engine, alice, "I am allergic to nuts")
    provider = ScriptedProvider(HELLO)
    events = take(make_services(engine, provider), key_with(*scopes), "which nuts am I allergic to?")

    assert len(names(events, MemoryUsed)) == len(provider.requests[0].facts) == count


@pytest.mark.parametrize(("scopes", "count"), [(("chat",), 0), (("chat", "tools"), 1)])
def test_tools_are_offered_only_to_a_key_with_their_scope(engine, key_with, toolbox, scopes, count):
    provider = ScriptedRounds(WRITE)
    events = take(make_services(engine, provider, toolbox=toolbox), key_with(*scopes), model="handy", tools=True)

    assert len(names(events, ToolCalled)) == len(provider.requests[0].tools) == count


def test_a_key_that_names_tools_without_their_scope_is_forbidden(chat, key_with):
    answer = chat.post("/chat", {"message": "hello", "tools": ["calculator"], "stream": False}, as_=key_with("chat"))

    assert (answer.status, answer.json["code"]) == (403, "forbidden")


@pytest.fixture
def waiting(engine, alice, toolbox):
    """Return the services and the id of a turn of a session that waits for an approval."""
    services = make_services(engine, ScriptedRounds(WRITE, DONE), toolbox=toolbox)
    return SimpleNamespace(services=services, turn_id=take(services, alice, model="handy", tools=True)[0].turn_id)


def test_a_key_without_the_scope_cannot_approve_a_call(waiting, key_with):
    key = key_with(*DEFAULT_API_KEY_SCOPES)

    with pytest.raises(Forbidden):
        decide(waiting.services, key.principal, Decision(waiting.turn_id, "w", True), Deadline.after(30))


def test_a_key_with_the_scope_approves_a_call(waiting, key_with):
    assert decide(
        waiting.services, key_with(*API_KEY_SCOPES).principal, Decision(waiting.turn_id, "w", True), Deadline.after(30)
    ).decisions == {"w": True}


def test_any_key_for_chats_may_deny_a_call(waiting, key_with):
    assert decide(waiting.services, key_with("chat").principal, Decision(waiting.turn_id, "w", False), Deadline.after(30)).decisions == {
        "w": False
    }


def test_a_new_key_has_the_scope_for_approvals_only_on_request(auth, alice):
    created = auth.post("/auth/api-keys", {"name": "ci", "password": PASSWORD}, as_=alice).json

    assert set(created["scopes"]) == DEFAULT_API_KEY_SCOPES


def test_a_turn_resumed_without_the_scope_forgets_what_was_recalled(engine, alice, toolbox, key_with):
    add_memory(engine, alice, "I am allergic to nuts")
    provider = ScriptedRounds(WRITE, DONE)
    services = make_services(engine, provider, toolbox=toolbox)
    started, *_ = take(services, alice, "which nuts am I allergic to?", model="handy", tools=True)
    resumed = decide(services, key_with("chat", "tools").principal, Decision(started.turn_id, "w", False), Deadline.after(30))

    assert [fact.split(" (")[0] for fact in provider.requests[0].facts] == ["I am allergic to nuts"]
    assert list(resumed.request.facts) == []
