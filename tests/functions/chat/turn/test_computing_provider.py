"""A provider's thread that computes, and so ignores `close`, delays neither the deadline nor a stop nor a ping."""

import threading
import time

import pytest

from functions.chat.completions.completion import stream_completion
from functions.chat.errors import OutOfTime
from functions.chat.turn import heartbeat
from functions.chat.turn.events import Ping, TurnFailed, TurnStopped
from parley import turn_recovery
from parley.deadline import Deadline
from parley.llm.messages import Message, ModelRequest
from tests.support.time_limits import HANG_S
from tests.support.turns import events_of, make_services, take, take_numbered

COMPUTES_S = 20.0
# Far more than the turn needs, far less than the computation takes.
SOON_S = 5.0


class ComputingProvider:
    """Computes before its first event, whoever closes it, until the test ends."""

    def __init__(self):
        self.until_s = time.monotonic() + COMPUTES_S
        self.is_over = threading.Event()

    def stream(self, model_name, request):
        while time.monotonic() < self.until_s and not self.is_over.is_set():
            sum(range(1000))
        yield from ()


@pytest.fixture
def computing():
    provider = ComputingProvider()
    yield provider
    provider.is_over.set()
    for thread in threading.enumerate():
        if thread.name == "provider-stream":
            thread.join(HANG_S)


def test_the_deadline_ends_a_turn_whose_provider_computes(engine, alice, computing):
    began_s = time.monotonic()
    last = take(make_services(engine, computing), alice, time_limit_s=0.5)[-1]

    assert isinstance(last, TurnFailed)
    assert last.error.code == "out_of_time"
    assert time.monotonic() - began_s < SOON_S


def test_a_stop_ends_a_turn_whose_provider_computes(engine, alice, computing):
    events = events_of(take_numbered(make_services(engine, computing), alice))
    began_s = time.monotonic()
    turn_recovery.request_stop(engine, alice.principal, next(events).turn_id)

    assert isinstance(list(events)[-1], TurnStopped)
    assert time.monotonic() - began_s < SOON_S


def test_a_client_is_pinged_while_the_provider_computes(engine, alice, computing, monkeypatch):
    monkeypatch.setattr(heartbeat, "PING_S", 0.2)
    events = list(take_numbered(make_services(engine, computing), alice, time_limit_s=1.0))

    assert sum(isinstance(event, Ping) for event in events) >= 2


def test_the_deadline_ends_a_stateless_completion_whose_provider_computes(engine, alice, computing):
    began_s = time.monotonic()
    request = ModelRequest([Message("user", "hello")])
    completion = stream_completion(
        make_services(engine, computing), alice.principal, "offline", request, stops=[], deadline=Deadline.after(0.5)
    )
    with pytest.raises(OutOfTime):
        list(completion.events)

    assert time.monotonic() - began_s < 2 * SOON_S
