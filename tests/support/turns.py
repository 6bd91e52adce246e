"""Take turns without HTTP, with a scripted provider, and collect their events."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

from functions.chat.services import ChatServices
from functions.chat.turn import run
from functions.chat.turn.events import NumberedEvent
from functions.chat.turn.images import Images
from functions.chat.turn.question import Question
from parley.db import messages
from parley.db.transactions import principal_scope
from parley.deadline import Deadline
from parley.llm import messages as llm
from parley.llm.catalogue import Catalogue
from parley.llm.circuit_breaker import CircuitBreaker
from parley.llm.router import ModelRouter, RetryPolicy
from parley.metering.limits import DefaultLimits
from tests.conftest import ROOT
from tests.fakes.circuits import MemoryCircuits

HELLO = [llm.TextDelta("Hel"), llm.TextDelta("lo"), llm.Finished("stop", llm.Usage(1000, 100, 400))]


@dataclass
class ScriptedProvider:
    """Plays its script: events to yield, errors to raise, functions to call. Remembers what it was asked."""

    script: list[Any]
    requests: list[llm.ModelRequest] = field(default_factory=list)

    def stream(self, model_name: str, request: llm.ModelRequest) -> Iterator[llm.ModelEvent]:
        self.requests.append(request)
        for step in self.script:
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
            else:
                yield step


class HangingProvider:
    """Says its words and then nothing, until it is closed, as an SDK that blocks."""

    def __init__(self, *words: str) -> None:
        self.words, self.closed = list(words), threading.Event()

    def stream(self, model_name: str, request: llm.ModelRequest) -> Self:
        return self

    def __iter__(self) -> Iterator[llm.ModelEvent]:
        for word in self.words:
            yield llm.TextDelta(word)
        self.closed.wait(30)

    def close(self) -> None:
        self.closed.set()


@dataclass
class RecordingQueue:
    """Keeps what a turn would put on the queue."""

    sent: list[tuple[Any, float]] = field(default_factory=list)

    def send_later(self, message: Any, *, delay_s: float = 0) -> None:
        self.sent.append((message, delay_s))


def no_embedder(model: Any) -> Any:
    """Turns embed nothing."""
    raise AssertionError(model)


@dataclass
class RecordingMemoryQueue:
    """Keeps what the end of a turn would put on the queue."""

    sent: list[Any] = field(default_factory=list)

    def send_entry(self, entry: Any) -> None:
        self.sent.append(entry)


def make_services(engine: Any, provider: Any, *, queue: Any = None, toolbox: Any = None, memory_queue: Any = None) -> ChatServices:
    router = ModelRouter(lambda model: provider, CircuitBreaker(MemoryCircuits()), retry_policy=RetryPolicy(first_pause_s=0.0))
    default_limits = DefaultLimits(rate_per_minute=1000, budget_usd=Decimal(5))
    models = ROOT / "tests" / "functions" / "chat" / "handy.toml" if toolbox else ROOT / "tests" / "models.toml"
    catalogue = Catalogue.load(models)
    queues = queue or RecordingQueue(), memory_queue or RecordingMemoryQueue()
    boxes = {"toolbox_for": lambda principal: lambda connection: toolbox} if toolbox else {}
    images = Images(os.environ["PARLEY_FILES_BUCKET"])
    return ChatServices(
        engine, lambda: catalogue, router, {}, default_limits, queues[0], no_embedder, queues[1], images, no_embedder, **boxes
    )


def take_numbered(
    services: ChatServices, person: Any, text: str = "hello", *, time_limit_s: float = 60, idempotency_key: Any = None, **options: Any
) -> Any:
    """The turn's generator."""
    return run.take_turn(
        services, person.principal, Question(text, **options), deadline=Deadline.after(time_limit_s), idempotency_key=idempotency_key
    )


def events_of(numbered: Any) -> Iterator[Any]:
    """The events alone."""
    return (one.event for one in numbered if isinstance(one, NumberedEvent))


def take(services: ChatServices, person: Any, text: str = "hello", **options: Any) -> list[Any]:
    """A whole turn's events."""
    return list(events_of(take_numbered(services, person, text, **options)))


def stored_messages(engine: Any, person: Any, conversation_id: Any) -> list[Any]:
    with principal_scope(engine, person.principal) as connection:
        return messages.newest(connection, conversation_id, user_id=person.id, limit=100)


def wait_until(is_so: Callable[[], Any], *, limit_s: float = 10.0) -> Any:
    """Wait for something to become so, and return it."""
    import time

    ends = time.monotonic() + limit_s
    while not (found := is_so()) and time.monotonic() < ends:
        time.sleep(0.02)
    return found
