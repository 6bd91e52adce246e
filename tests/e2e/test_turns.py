"""Turns over real HTTP: stopped, followed by another worker, repeated, and interrupted by a killed worker."""

import json
import os
import signal
import threading
import time
from pathlib import Path

from tests.e2e.conftest import descendants
from tests.fakes.vendor import streams
from tests.support.time_limits import HANG_S


def events_of(response):
    """Yield (id, name, data) of each event as it arrives."""
    number = name = None
    for line in response.iter_lines():
        if line.startswith("id: "):
            number = int(line.removeprefix("id: "))
        elif line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield number, name, json.loads(line.removeprefix("data: "))


def workers_of(stack, function):
    named = f"AWS_LAMBDA_FUNCTION_NAME={function}".encode()
    return [pid for pid in descendants(stack.process.pid) if named in environment_of(pid)]


def environment_of(pid):
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:  # only root can read the parser process of ingestion
        return b""


def text_of(events):
    return "".join(data["text"] for _, name, data in events if name == "text.delta")


def stopped(ada, vendor):
    """Stop a turn whose model is silent; return the turn's id, its last event and the seconds it took."""
    silence = threading.Event()
    vendor.script = streams("half an ", "answer", before=lambda index: index and silence.wait(HANG_S))
    with ada.stream({"message": "hello"}) as response:
        events = events_of(response)
        turn_id = next(events)[2]["turn_id"]
        next(events)
        assert ada.post(f"/chat/turns/{turn_id}/stop").status_code == 202
        asked_s = time.monotonic()
        (*_, (_, name, data)) = events
    silence.set()
    return turn_id, name, data, time.monotonic() - asked_s


def test_a_stop_ends_the_stream_within_a_second(ada, vendor):
    found = [stopped(ada, vendor) for _ in range(3)]

    assert {(name, data["reason"]) for _, name, data, _ in found} == {("turn.stopped", "requested")}
    assert {ada.get(f"/chat/turns/{turn_id}").json()["text"] for turn_id, *_ in found} == {"half an "}
    assert min(took_s for *_, took_s in found) < 1  # the minimum, because other load may slow down some of the tries


def test_who_lost_the_connection_reads_the_rest_from_another_worker(stack, ada, vendor):
    goes_on = threading.Event()
    vendor.script = streams("one ", "two ", "three", before=lambda index: index == 2 and goes_on.wait(HANG_S))
    with ada.stream({"message": "hello"}) as response:
        events = events_of(response)
        started, first = next(events), next(events)
    threading.Timer(0.7, goes_on.set).start()
    path = f"/chat/turns/{started[2]['turn_id']}/events"
    with stack.http.stream("GET", path, headers=ada.headers | {"Last-Event-ID": str(first[0])}) as response:
        rest = list(events_of(response))

    assert text_of([first, *rest]) == "one two three"
    assert (rest[-1][0], rest[-1][1]) == (5, "turn.completed")


def test_a_repeated_post_is_answered_again_and_asked_once(ada, vendor):
    vendor.script, before = streams("just ", "once"), len(vendor.requests)
    headers = ada.headers | {"Idempotency-Key": "the same"}
    first, second = (ada._http.post("/chat", json={"message": "hello", "stream": False}, headers=headers) for _ in range(2))

    assert first.json() == second.json()
    assert len(vendor.requests) == before + 1
    assert len(ada.messages(first.json()["conversation_id"])) == 2


def test_a_second_turn_of_a_conversation_is_refused_or_waits(ada, vendor):
    goes_on = threading.Event()
    vendor.script = streams("one ", "two", before=lambda index: index and goes_on.wait(HANG_S))
    with ada.stream({"message": "hello"}) as response:
        events = events_of(response)
        conversation_id = next(events)[2]["conversation_id"]
        body = {"message": "me too", "conversation_id": conversation_id, "stream": False}
        assert ada.post("/chat", body).json()["code"] == "conversation_busy"
        threading.Timer(0.5, goes_on.set).start()
        waited = ada.post("/chat", body | {"wait": True})
        list(events)

    assert waited.json()["message"]["text"] == "one two"
    assert [message["seq"] for message in ada.messages(conversation_id)] == [1, 2, 3, 4]


def test_a_turn_whose_worker_is_killed_is_interrupted_within_a_minute(fault_stack, vendor):
    """The watchdog alone interrupts the turn: the test requests the messages, never the turn."""
    ada, silence = fault_stack.register(), threading.Event()
    vendor.script = streams("half an ", "answer", before=lambda index: index and silence.wait(HANG_S))
    with ada.stream({"message": "hello"}) as response:
        events = events_of(response)
        conversation_id = next(events)[2]["conversation_id"]
        next(events)
        time.sleep(2)  # a heartbeat must have logged the text, and the turn must have sent its watchdog message
        for pid in workers_of(fault_stack, "ChatFunction"):
            os.kill(pid, signal.SIGKILL)
    ends = time.monotonic() + 60
    while len(found := ada.messages(conversation_id)) < 2 and time.monotonic() < ends:
        time.sleep(0.5)
    silence.set()

    assert [(message["text"], message["status"]) for message in found] == [("hello", "completed"), ("half an ", "interrupted")]
