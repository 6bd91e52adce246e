import json
import threading
import time

from tests.fakes.vendor import chunk, says, streams
from tests.support.time_limits import HANG_S, wait_until


def events_of(response):
    """Yield (name, data) of each event as it arrives."""
    name = None
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_the_first_words_arrive_before_the_model_has_said_the_last(ada, vendor):
    heard, waited = threading.Event(), []
    vendor.script = streams("first", "second", before=lambda index: index and waited.append(heard.wait(HANG_S)))
    with ada.stream({"message": "hello"}) as response:
        events = events_of(response)
        assert [next(events)[0], next(events)[1]] == ["turn.started", {"text": "first"}]
        heard.set()
        rest = [name for name, _ in events]

    assert rest == ["text.delta", "turn.completed"]
    assert waited == [True]


def test_a_stream_is_an_event_stream_with_a_request_id(ada, vendor):
    vendor.script = streams("hi")
    with ada.stream({"message": "hello"}) as response:
        list(events_of(response))

        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"] == response.headers["x-amzn-requestid"]


def test_the_vendors_usage_is_priced_in_the_last_event(ada, vendor):
    vendor.script = streams("hi")
    with ada.stream({"message": "hello"}) as response:
        *_, (_, last) = events_of(response)

    assert last["usage"] == {"input_tokens": 12, "output_tokens": 3, "cost_usd": 0.000018}


def test_the_vendor_is_asked_with_the_key_of_the_environment(ada, vendor):
    vendor.script = streams("hi")
    ada.post("/chat", {"message": "hello", "stream": False})

    assert vendor.requests[-1][0]["authorization"] == "Bearer sk-test-vendor-key"


def test_an_answer_that_breaks_off_ends_the_stream_with_one_event(ada, vendor):
    vendor.script = says(chunk("half an ans"))
    with ada.stream({"message": "hello"}) as response:
        names = [name for name, _ in events_of(response)]

    assert names == ["turn.started", "text.delta", "turn.interrupted"]


def test_a_client_that_leaves_changes_nothing(ada, vendor):
    left = threading.Event()
    vendor.script = streams("one ", "two ", "three", before=lambda index: index and left.wait(HANG_S))
    with ada.stream({"message": "hello"}) as response:
        events = events_of(response)
        conversation_id = next(events)[1]["conversation_id"]
        next(events)
    left.set()

    wait_until(lambda: len(ada.messages(conversation_id)) >= 2)
    assert ada.messages(conversation_id)[-1]["text"] == "one two three"


def test_a_warm_worker_streams_again(stack, ada, vendor):
    vendor.script = streams("hi")
    for _ in range(3):
        with ada.stream({"message": "hello"}) as response:
            assert [name for name, _ in events_of(response)][-1] == "turn.completed"

    (chat,) = [function for function in stack.status()["functions"] if function["name"] == "ChatFunction"]
    assert sum(chat["workers"].values()) < chat["invocations"]


def test_many_conversations_stream_at_once(stack, vendor):
    vendor.script = streams("a", "b", "c", before=lambda _: time.sleep(0.05))
    clients = [stack.register() for _ in range(6)]
    answers = []

    def talk(client):
        answers.append(client.post("/chat", {"message": f"I am {client.email}", "stream": False}).json()["message"]["text"])

    threads = [threading.Thread(target=talk, args=(client,)) for client in clients]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert answers == ["abc"] * 6
