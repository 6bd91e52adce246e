"""Messages to a turn that runs: the model reads them at the next round of its tool loop."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from functions.chat import routes
from functions.chat.errors import NotRunning, TooManyMessages
from functions.chat.turn import heartbeat
from functions.chat.turn.steering_messages import add_message
from parley.db.turn.steering_messages import SteeringMessage
from parley.errors import InvalidInput, NotFound
from parley.http.app import create_app
from parley.http.streaming import streaming_handler
from parley.turn_recovery import interrupt_if_stale
from tests.support.api_gateway import Function
from tests.support.toolbox import DONE, RecordingToolbox, ScriptedRounds, tool_calls_answer
from tests.support.turns import HELLO, ScriptedProvider, events_of, make_services, stored_messages, take, take_numbered

EUROS = SteeringMessage(uuid4().hex, "In euros, please")


@pytest.fixture
def sent():
    """What the user sends while the tool runs: a list of functions."""
    return []


@pytest.fixture
def services(engine, sent):
    toolbox = RecordingToolbox().add("price", lambda: [send() for send in sent])
    return make_services(engine, ScriptedRounds(tool_calls_answer(("p", "price", {})), DONE), toolbox=toolbox)


@pytest.fixture
def steered(services, alice, sent):
    """Return the events of a turn to which the user sends a message while its tool runs."""
    events = events_of(take_numbered(services, alice, "What is the price?", model="handy", tools=True))
    started = next(events)
    sent.append(lambda: add_message(services, alice.principal, started.turn_id, EUROS))
    return [started, *events]


def test_the_next_round_has_the_message_after_the_results_of_its_tools(steered, services):
    names = [event.name for event in steered]
    messages = services.router.provider_for(None).requests[1].messages

    assert names[2:] == ["tool.result", "message.read", "text.delta", "turn.completed"]
    assert [message.role for message in messages][-3:] == ["tool", "assistant", "user"]
    assert messages[-1].content == "In euros, please"


def test_the_message_is_a_part_of_the_answer_and_of_the_history(steered, services, alice, engine):
    answer = stored_messages(engine, alice, steered[0].conversation_id)[-1]
    take(services, alice, "And now?", conversation_id=steered[0].conversation_id, model="handy", tools=True)
    history = services.router.provider_for(None).requests[-1].messages

    assert answer.parts[2] == {"type": "user_message", "id": EUROS.id, "text": EUROS.text}
    assert answer.text == "Done."
    assert "In euros, please" in [message.content for message in history]


def test_the_message_is_found_by_search_with_its_question_and_answer(steered, alice, engines):
    with engines["owner"].connect() as connection:
        (passage,) = connection.scalars(text("SELECT text FROM passages WHERE user_id = :id"), {"id": alice.id})

    assert passage.splitlines()[1:] == ["User: What is the price?", "User: In euros, please", "Assistant: Done."]


@pytest.mark.parametrize("tools", [True, False])
def test_the_message_is_in_the_history_of_a_turn_with_and_without_tools(steered, services, alice, tools):
    take(services, alice, "And now?", conversation_id=steered[0].conversation_id, model="handy", tools=tools)
    history = services.router.provider_for(None).requests[-1].messages

    assert [message.text for message in history if message.role == "user"] == ["What is the price?", "In euros, please", "And now?"]


def test_a_turn_without_another_round_leaves_the_message_unread(engine, alice):
    services = make_services(
        engine, ScriptedProvider([*HELLO[:1], lambda: add_message(services, alice.principal, ids[0], EUROS), *HELLO[1:]])
    )
    ids, events = [], events_of(take_numbered(services, alice))
    ids.append(next(events).turn_id)

    assert "message.read" not in [event.name for event in events]


def test_a_repeated_message_is_read_once(services, alice, sent):
    events = events_of(take_numbered(services, alice, "What is the price?", model="handy", tools=True))
    started = next(events)
    sent += [lambda: add_message(services, alice.principal, started.turn_id, EUROS)] * 2

    assert [event.name for event in events].count("message.read") == 1


def test_what_cannot_be_taken_is_refused(services, alice, bob):
    events = events_of(take_numbered(services, alice, "What is the price?", model="handy", tools=True))
    started = next(events)
    for message in (EUROS, *(SteeringMessage(uuid4().hex, "Hurry") for _ in range(9))):
        add_message(services, alice.principal, started.turn_id, message)
    for person, message, error in [
        (bob, EUROS, NotFound),
        (alice, SteeringMessage(EUROS.id, "In dollars"), InvalidInput),
        (alice, SteeringMessage(uuid4().hex, "More"), TooManyMessages),
    ]:
        with pytest.raises(error):
            add_message(services, person.principal, started.turn_id, message)

    assert list(events)[-1].name == "turn.completed"


def test_a_turn_that_has_ended_takes_no_message(steered, services, alice):
    add_message(services, alice.principal, steered[0].turn_id, EUROS)
    with pytest.raises(NotRunning):
        add_message(services, alice.principal, steered[0].turn_id, SteeringMessage(uuid4().hex, "More"))


def test_a_turn_that_dies_keeps_the_message_that_it_has_read(engine, services, alice, sent, age, monkeypatch):
    monkeypatch.setattr(heartbeat, "TICK_S", 0.0)
    numbered = take_numbered(services, alice, "What is the price?", model="handy", tools=True)
    started = next(numbered).event
    sent.append(lambda: add_message(services, alice.principal, started.turn_id, EUROS))
    for each in numbered:
        if getattr(each, "event", None) and each.event.name == "text.delta":
            break
    age(started.turn_id)
    interrupt_if_stale(engine, started.turn_id, user_id=alice.id)

    assert "user_message" in [part["type"] for part in stored_messages(engine, alice, started.conversation_id)[-1].parts]


def test_over_http_a_message_is_202_409_and_422(engine, services, alice):
    from functions.chat.app import settings

    api = Function(streaming_handler(create_app(routes.router, settings=settings, services=services)))
    turn_id = api.post("/chat", {"message": "Hello", "model": "handy", "stream": False}, as_=alice).json["turn_id"]
    bodies = [{"key": uuid4().hex, "message": text} for text in ("More", "", "x" * 8_001)]
    answers = [api.post(f"/chat/turns/{turn_id}/messages", body, as_=alice) for body in bodies]

    assert [answer.status for answer in answers] == [409, 422, 422]
    assert answers[0].json["code"] == "not_running"
