"""A POST repeated with its `Idempotency-Key`: one model call, one question, one answer, one charge."""

import threading
from uuid import UUID

import pytest

from functions.chat.errors import InProgress
from functions.chat.schemas import ChatIn
from functions.chat.turn.events import NumberedEvent
from parley.db.engine import make_engine
from parley.db.turn.turn_begin import IdempotencyKey
from parley.errors import NotFound
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.errors import ProviderBusy
from tests.support.images import PNG_DATA_URL
from tests.support.turns import HELLO, HangingProvider, ScriptedProvider, events_of, make_services, stored_messages, take, take_numbered

CLIENTS = 50


def idempotency_key(key="a key", *, body=b"body", route="POST /chat"):
    return IdempotencyKey(route, key, body)


def post(chat, person, body, key="a key"):
    return chat.post("/chat", body, as_=person, headers={"Idempotency-Key": key})


def numbered(events):
    return [(one.number, one.event.name, one.event.data()) for one in events]


def test_a_repeated_post_gets_the_events_of_the_first(chat, conversation, alice):
    first, second = (post(chat, alice, {"message": "hello"}) for _ in range(2))

    assert (second.events[0], second.events[-1], second.text) == (first.events[0], first.events[-1], first.text)
    assert len(conversation.get("/conversations", as_=alice).json["items"]) == 1


def test_a_repeated_post_without_streaming_is_answered_alike(chat, alice):
    first, second = (post(chat, alice, {"message": "hello", "stream": False}) for _ in range(2))

    assert (second.status, second.json) == (first.status, first.json) == (200, first.json)


def test_a_failure_is_repeated_too(engine, alice):
    services = make_services(engine, ScriptedProvider([ProviderBusy("acme", retry_after_s=0.0)]))
    first, second = (take(services, alice, idempotency_key=idempotency_key()) for _ in range(2))

    assert [event.name for event in second] == ["turn.started", "turn.failed"]
    assert second[-1].data() == first[-1].data()


def test_a_failure_is_repeated_without_streaming_too(chat, alice):
    body = {"message": "hello", "model": "priced", "stream": False}
    first, second = (post(chat, alice, body) for _ in range(2))

    assert [(one.status, one.json["code"]) for one in (first, second)] == [(502, "provider_failed")] * 2


def test_the_key_with_another_body_is_422(chat, alice):
    post(chat, alice, {"message": "hello"})
    answer = post(chat, alice, {"message": "something else"})

    assert (answer.status, answer.json["code"]) == (422, "idempotency_key_reused")


OTHER_FIELDS = {
    "message": "something else",
    "conversation_id": str(new_id()),
    "model": "priced",
    "tools": False,
    "documents": True,
    "stream": False,
    "max_output_tokens": 9,
    "temperature": 0.5,
    "images": [PNG_DATA_URL],
    "response_format": {"type": "json_object"},
    "incognito": True,
    "wait": True,
    "assistant_id": str(new_id()),
    "questions": True,
}


def test_the_key_with_any_other_field_is_422(chat, alice):
    post(chat, alice, {"message": "hello"})
    answers = [post(chat, alice, {"message": "hello", name: value}) for name, value in OTHER_FIELDS.items()]

    assert OTHER_FIELDS.keys() == ChatIn.model_fields.keys()
    assert {(answer.status, answer.json["code"]) for answer in answers} == {(422, "idempotency_key_reused")}


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_invalid_key_is_422(chat, alice, key):
    assert post(chat, alice, {"message": "hello"}, key).status == 422


def test_a_key_is_scoped_to_its_user(engine, alice, bob):
    services = make_services(engine, ScriptedProvider(HELLO))
    mine, theirs = (take(services, person, idempotency_key=idempotency_key())[0] for person in (alice, bob))

    assert mine.turn_id != theirs.turn_id


def test_a_key_is_scoped_to_its_route(engine, alice):
    services = make_services(engine, ScriptedProvider(HELLO))
    here, there = (take(services, alice, idempotency_key=idempotency_key(route=route))[0] for route in ("POST /chat", "POST /elsewhere"))

    assert here.turn_id != there.turn_id


def test_a_repeat_of_a_running_turn_is_409_and_names_it(engine, chat, alice):
    provider = HangingProvider("word")
    taken = take_numbered(make_services(engine, provider), alice, idempotency_key=idempotency_key())
    started = next(taken).event
    with pytest.raises(InProgress) as refused:
        take(make_services(engine, provider), alice, idempotency_key=idempotency_key())
    provider.close(), list(taken)

    assert (refused.value.status, refused.value.public_fields) == (409, {"turn_id": str(started.turn_id)})


@pytest.mark.parametrize("seen", [0, 1, 2])
def test_a_repeated_stream_joins_the_running_turn_after_the_events_that_it_has(engine, database, alice, seen):
    """As a browser does whose connection broke: the model is called once, and each event arrives once."""
    gate = threading.Event()
    provider = ScriptedProvider([llm.TextDelta("one "), llm.TextDelta("two "), lambda: gate.wait(10), llm.TextDelta("three"), HELLO[-1]])
    taken = take_numbered(make_services(engine, provider), alice, idempotency_key=idempotency_key())
    first = [next(taken) for _ in range(seen or 1)][:seen]
    thread = threading.Thread(target=lambda: list(taken))
    thread.start()
    mine = make_engine(database)
    repeated = take_numbered(make_services(mine, ScriptedProvider([])), alice, idempotency_key=idempotency_key(), joins_after=seen)
    joined = [event for event in repeated if gate.set() or isinstance(event, NumberedEvent)]
    thread.join()
    mine.dispose()
    texts = "".join(event.event.data()["text"] for event in [*first, *joined] if event.event.name == "text.delta")

    assert (texts, joined[-1].event.name) == ("one two three", "turn.completed")
    assert all(event.number > seen for event in joined)


def test_a_joined_stream_of_a_deleted_turn_ends_with_turn_failed(engine, database, conversation, alice):
    provider, mine = HangingProvider("word"), make_engine(database)
    taken = take_numbered(make_services(engine, provider), alice, idempotency_key=idempotency_key())
    started = next(taken).event
    joined = take_numbered(make_services(mine, ScriptedProvider([])), alice, idempotency_key=idempotency_key(), joins_after=0)
    next(joined)
    conversation.delete(f"/conversations/{started.conversation_id}", as_=alice)
    last = list(joined)[-1]
    provider.close(), list(taken), mine.dispose()

    assert (last.number, last.event.name, last.event.data()["code"]) == (2, "turn.failed", "not_found")


def test_a_repeated_stream_over_http_starts_after_the_last_event_id(chat, alice):
    first = post(chat, alice, {"message": "hello"})
    headers = {"Idempotency-Key": "a key", "Last-Event-ID": "1"}
    rest = chat.post("/chat", {"message": "hello"}, as_=alice, headers=headers)

    assert (next(name for name, _ in rest.events), rest.text, rest.events[-1]) == ("text.delta", first.text, first.events[-1])


def test_a_repeated_whole_answer_does_not_join(chat, alice, change):
    made = post(chat, alice, {"message": "hello", "stream": False}).json
    change("UPDATE turns SET status = 'running' WHERE id = :id", id=UUID(made["turn_id"]))

    assert post(chat, alice, {"message": "hello", "stream": False}).status == 409


def test_the_problem_document_names_the_running_turn(chat, alice, change):
    made = post(chat, alice, {"message": "hello", "stream": False}).json
    change("UPDATE turns SET status = 'running' WHERE id = :id", id=UUID(made["turn_id"]))
    answer = post(chat, alice, {"message": "hello", "stream": False})

    assert (answer.status, answer.json["code"], answer.json["turn_id"]) == (409, "in_progress", made["turn_id"])
    assert int(answer.headers["retry-after"]) > 0


def test_a_refused_post_leaves_its_key_unused(chat, alice):
    assert post(chat, alice, {"message": "hello", "conversation_id": str(new_id())}).status == 404
    assert post(chat, alice, {"message": "hello"}).status == 200


def test_after_a_day_a_key_is_new(engine, alice, change):
    services = make_services(engine, ScriptedProvider(HELLO))
    first, *_ = take(services, alice, idempotency_key=idempotency_key())
    change("UPDATE turns SET started_at = now() - interval '25 hours' WHERE id = :id", id=first.turn_id)
    second, *_ = take(services, alice, idempotency_key=idempotency_key(body=b"another"))

    assert first.turn_id != second.turn_id


def test_an_expired_key_does_not_open_a_missing_conversation(engine, alice, change):
    services = make_services(engine, ScriptedProvider(HELLO))
    first, *_ = take(services, alice, idempotency_key=idempotency_key())
    change("UPDATE turns SET started_at = now() - interval '25 hours' WHERE id = :id", id=first.turn_id)

    with pytest.raises(NotFound):
        take(services, alice, idempotency_key=idempotency_key(), conversation_id=new_id())


def test_a_repeat_in_a_continued_conversation_gets_its_own_answer(engine, alice):
    services = make_services(engine, ScriptedProvider(HELLO))
    first = list(take_numbered(services, alice, idempotency_key=idempotency_key()))
    take(services, alice, "second", conversation_id=first[0].event.conversation_id)
    again = list(take_numbered(services, alice, idempotency_key=idempotency_key()))

    assert numbered(again)[-1] == numbered(first)[-1]


def test_fifty_posts_at_once_with_one_key_are_one_turn(database, alice, row):
    provider = ScriptedProvider([llm.TextDelta("one"), llm.Finished("stop", llm.Usage(10, 1))])
    barrier, outcomes = threading.Barrier(CLIENTS), []

    def ask():
        engine = make_engine(database)
        barrier.wait(30)
        try:
            outcomes.append(take(make_services(engine, provider), alice, idempotency_key=idempotency_key(), model="priced")[0])
        except InProgress:
            outcomes.append(None)
        engine.dispose()

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    (started,) = {event.data()["turn_id"]: event for event in outcomes if event}.values()
    counts = "(SELECT count(*) FROM messages WHERE user_id = :u), (SELECT count(*) FROM usage WHERE user_id = :u)"

    assert len(outcomes) == CLIENTS
    assert len(provider.requests) == 1
    assert tuple(row(f"SELECT {counts}, (SELECT count(*) FROM turns WHERE user_id = :u)", u=alice.id)) == (2, 1, 1)
    assert started.name == "turn.started"


def test_a_second_key_does_not_wait_for_the_first(engine, alice):
    provider = HangingProvider("word")
    taken = events_of(take_numbered(make_services(engine, provider), alice, idempotency_key=idempotency_key("first")))
    next(taken)
    other = take(make_services(engine, ScriptedProvider(HELLO)), alice, idempotency_key=idempotency_key("second"))
    provider.close(), list(taken)

    assert other[-1].name == "turn.completed"
    assert len(stored_messages(engine, alice, other[0].conversation_id)) == 2
