"""The events of a turn, in the order in which clients see them; those about tool calls are in `tool_events.py`.

Each event knows its name and its JSON, so the stream and the log have the same content.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from math import ceil
from typing import Any, ClassVar, Literal
from uuid import UUID

from functions.chat.turn.tool_events import ToolAnswered, ToolApproval, ToolCalled, ToolQuestion
from parley.db.messages import StoredMessage
from parley.errors import ParleyError, problem_document
from parley.llm.messages import FinishReason


@dataclass(frozen=True, slots=True)
class TurnUsage:
    """Tokens and cost of a turn. A cost of zero means that the model has no price."""

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal

    def data(self) -> dict[str, Any]:
        """Return the usage as JSON."""
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "cost_usd": float(self.cost_usd)}


@dataclass(frozen=True, slots=True)
class TurnTimings:
    """Milliseconds since the turn began; `first_token_ms` is None if the answer has no text.

    `model_ms` is the part of `total_ms` spent waiting for models. In a stream, some of Parley's own work is done meanwhile.
    """

    first_token_ms: float | None
    total_ms: float
    model_ms: float


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The question is stored, and the model will be called next."""

    name: ClassVar = "turn.started"
    turn_id: UUID
    conversation_id: UUID
    user_message_id: UUID
    model: str

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        ids = {"turn_id": self.turn_id, "conversation_id": self.conversation_id, "user_message_id": self.user_message_id}
        return {name: str(id) for name, id in ids.items()} | {"model": self.model}


type MemoryKind = Literal["fact", "passage"]
# How memory and documents were searched. `text` means by words only, because the question got no vector in time.
type RetrievalMode = Literal["hybrid", "text"]


@dataclass(frozen=True, slots=True)
class MemoryUsed:
    """A fact, or a passage of a past conversation, in the model's prompt."""

    name: ClassVar = "memory"
    kind: MemoryKind
    id: UUID
    text: str

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        return {"kind": self.kind, "id": str(self.id), "text": self.text}


@dataclass(frozen=True, slots=True)
class SourceGiven:
    """A document chunk in the model's prompt. The answer may cite the chunk by its number.

    `snippet` is an exact excerpt of the chunk. `score` is for ordering only.
    """

    name: ClassVar = "source"
    number: int
    document_id: UUID
    title: str
    chunk_id: UUID
    page: int | None
    snippet: str
    score: float

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        head = {"number": self.number, "document_id": str(self.document_id), "title": self.title, "chunk_id": str(self.chunk_id)}
        return head | {"page": self.page, "snippet": self.snippet, "score": self.score}


@dataclass(frozen=True, slots=True)
class WebSourceGiven:
    """A web page in the model's prompt. The answer may cite the page by its number. `snippet` is an exact excerpt of the engine's text."""

    name: ClassVar = "source"
    number: int
    url: str
    title: str
    snippet: str

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        return {"number": self.number, "url": self.url, "title": self.title, "snippet": self.snippet}


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """The next text of the answer."""

    name: ClassVar = "text.delta"
    text: str

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        return {"text": self.text}


@dataclass(frozen=True, slots=True)
class MessageRead:
    """A message that the user sent to the running turn is in the next request to the model."""

    name: ClassVar = "message.read"
    id: str
    text: str

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        return {"id": self.id, "text": self.text}


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The answer is complete. `message` is the stored answer, None until the answer is stored.

    `retrieval` is None if neither memory nor documents were searched.
    """

    name: ClassVar = "turn.completed"
    message_id: UUID
    finish_reason: FinishReason
    usage: TurnUsage
    model: str
    timings: TurnTimings
    message: StoredMessage | None = None
    retrieval: RetrievalMode | None = None

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        head = {"message_id": str(self.message_id), "finish_reason": self.finish_reason, "usage": self.usage.data()}
        return head | {"model": self.model, "timings": asdict(self.timings), "retrieval": self.retrieval}


@dataclass(frozen=True, slots=True)
class IncompleteAnswer:
    """The answer ended early; the text delivered so far is stored. `retrieval` is as in TurnCompleted."""

    name: ClassVar[str]
    message_id: UUID
    reason: str
    usage: TurnUsage
    timings: TurnTimings
    message: StoredMessage | None = None
    retrieval: RetrievalMode | None = None

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        head = {"message_id": str(self.message_id), "reason": self.reason, "usage": self.usage.data()}
        return head | {"timings": asdict(self.timings), "retrieval": self.retrieval}


@dataclass(frozen=True, slots=True)
class TurnStopped(IncompleteAnswer):
    """The turn was stopped. `reason` says why, such as `requested` or `access_ended`."""

    name: ClassVar = "turn.stopped"


@dataclass(frozen=True, slots=True)
class TurnInterrupted(IncompleteAnswer):
    """The turn failed after part of the answer was delivered."""

    name: ClassVar = "turn.interrupted"


@dataclass(frozen=True, slots=True)
class TurnWaiting:
    """The turn is paused until each of these tool calls is approved or denied, and each of these questions answered or declined."""

    name: ClassVar = "turn.waiting"
    call_ids: Sequence[str]

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        return {"call_ids": list(self.call_ids)}


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn failed before any answer was delivered; the question stays stored.

    `request_id` identifies the request that failed.
    """

    name: ClassVar = "turn.failed"
    error: ParleyError
    request_id: str = ""

    def data(self) -> dict[str, Any]:
        """Return the event's JSON: a problem document, `retryable`, and `retry_after` in seconds if that is known."""
        wait_s = self.error.retry_after_s
        retry = {} if wait_s is None else {"retry_after": max(1, ceil(wait_s))}
        return problem_document(self.error, request_id=self.request_id) | {"retryable": self.error.retryable} | retry


type TurnEvent = (
    TurnStarted
    | MemoryUsed
    | SourceGiven
    | WebSourceGiven
    | AnswerDelta
    | ToolCalled
    | ToolApproval
    | ToolQuestion
    | ToolAnswered
    | MessageRead
    | TurnCompleted
    | TurnStopped
    | TurnInterrupted
    | TurnWaiting
    | TurnFailed
)


# The names of the events that end a stream: the turn has ended, or waits for the user.
LAST_EVENTS = frozenset(event.name for event in (TurnCompleted, TurnStopped, TurnInterrupted, TurnWaiting, TurnFailed))


@dataclass(frozen=True, slots=True)
class ReplayedEvent:
    """An event read from the log. On a terminal event, `message` is the stored answer, None if no answer is stored."""

    name: str
    content: Mapping[str, Any]
    message: StoredMessage | None = None

    def data(self) -> Mapping[str, Any]:
        """Return the event's JSON, as it was logged."""
        return self.content


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event with its number within the turn, counted from 1."""

    number: int
    event: TurnEvent | ReplayedEvent


@dataclass(frozen=True, slots=True)
class Ping:
    """A keep-alive, sent when no event has been sent for a while. It has no number and is not logged."""
