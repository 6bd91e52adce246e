"""Take turns without HTTP, with a scripted provider, and collect their events."""

import os
import threading
from collections.abc import Iterable, Iterator
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
from parley.llm.guards.spans import Finder, Replace, ReplacedText
from parley.llm.router import ModelRouter, RetryPolicy
from parley.metering.limits import DefaultLimits
from tests.conftest import ROOT
from tests.fakes.circuits import MemoryCircuits
from tests.support.time_limits import HANG_S

HELLO = [llm.TextDelta("Hel"), llm.TextDelta("lo"), llm.Finished("stop", llm.Usage(1000, 100, 400))]


@dataclass
class ScriptedProvider:
    """Plays its script of events to yield, errors to raise and functions to call. Records the requests."""

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
    """Yields some texts and then blocks until it is closed, like an SDK that waits for its vendor."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.closed = list(texts), threading.Event()

    def stream(self, model_name: str, request: llm.ModelRequest) -> Self:
        return self

    def __iter__(self) -> Iterator[llm.ModelEvent]:
        for text in self.texts:
            yield llm.TextDelta(text)
        self.closed.wait(HANG_S)

    def close(self) -> None:
        self.closed.set()


@dataclass
class RecordingQueue:
    """Records the messages that a turn, or the run of a scheduled prompt, sends to the upkeep queue."""

    sent: list[tuple[Any, float]] = field(default_factory=list)

    def send_later(self, message: Any, *, delay_s: float = 0) -> None:
        self.sent.append((message, delay_s))


def no_embedder(model: Any) -> Any:
    """Fail the test: the turn must not embed anything."""
    raise AssertionError(model)


@dataclass
class RecordingMemoryQueue:
    """Records the outbox entries that a turn sends to the memory queue when it ends."""

    sent: list[Any] = field(default_factory=list)

    def send_entries(self, entries: Any) -> None:
        self.sent += entries


def make_services(engine: Any, provider: Any, *, queue: Any = None, toolbox: Any = None, memory_queue: Any = None) -> ChatServices:
    """Return the services of a turn with a scripted provider, circuits in memory and recording queues."""
    router = ModelRouter(lambda model: provider, CircuitBreaker(MemoryCircuits()), retry_policy=RetryPolicy(first_pause_s=0.0))
    default_limits = DefaultLimits(rate_per_minute=1000, budget_usd=Decimal(5))
    models = ROOT / "tests" / "functions" / "chat" / "handy.toml" if toolbox else ROOT / "tests" / "models.toml"
    catalogue = Catalogue.load(models)
    options = {"toolbox_for": lambda principal: lambda connection: toolbox} if toolbox else {}
    queue, memory_queue = queue or RecordingQueue(), memory_queue or RecordingMemoryQueue()
    images = Images(os.environ["PARLEY_FILES_BUCKET"])
    return ChatServices(
        engine, lambda: catalogue, router, {}, default_limits, queue, no_embedder, memory_queue, images, no_embedder, **options
    )


def take_numbered(
    services: ChatServices,
    person: Any,
    text: str = "hello",
    *,
    time_limit_s: float = 60,
    idempotency_key: Any = None,
    joins_after: int | None = None,
    **options: Any,
) -> Any:
    """Return the generator of a turn's numbered events and pings."""
    return run.take_turn(
        services,
        person.principal,
        Question(text, **options),
        deadline=Deadline.after(time_limit_s),
        idempotency_key=idempotency_key,
        joins_after=joins_after,
    )


def events_of(numbered: Any) -> Iterator[Any]:
    """Yield the events without their numbers, leaving out pings."""
    return (each.event for each in numbered if isinstance(each, NumberedEvent))


def take(services: ChatServices, person: Any, text: str = "hello", **options: Any) -> list[Any]:
    """Take a turn to its end and return its events."""
    return list(events_of(take_numbered(services, person, text, **options)))


def stored_messages(engine: Any, person: Any, conversation_id: Any) -> list[Any]:
    """Return the messages of a conversation, oldest first."""
    with principal_scope(engine, person.principal) as connection:
        return messages.newest(connection, conversation_id, user_id=person.id, limit=100)


def replaced_pieces(finder: Finder, replace: Replace, pieces: Iterable[str]) -> list[str]:
    """Return the text that a guard passes on after each piece of an answer, and at its end."""
    stream = ReplacedText(finder, replace)
    return [*(stream.feed(piece) for piece in pieces), stream.rest()]
