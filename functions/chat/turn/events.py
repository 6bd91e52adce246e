"""The events of a turn, in the order in which clients see them.

Each event knows its name and its JSON: what is streamed is what is logged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, ClassVar, Literal
from uuid import UUID

from parley.db.messages import StoredMessage
from parley.errors import ParleyError, problem_document
from parley.llm.messages import FinishReason


@dataclass(frozen=True, slots=True)
class TurnUsage:
    """What a turn took. Zero cost means a model without a price."""

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        return {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens, "cost_usd": float(self.cost_usd)}


@dataclass(frozen=True, slots=True)
class TurnTimings:
    """Milliseconds since the turn began; `first_token_ms` is None where no text came."""

    first_token_ms: float | None
    total_ms: float


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The question is stored, and the model is asked."""

    name: ClassVar = "turn.started"
    turn_id: UUID
    conversation_id: UUID
    user_message_id: UUID
    model: str

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        ids = {"turn_id": self.turn_id, "conversation_id": self.conversation_id, "user_message_id": self.user_message_id}
        return {name: str(id) for name, id in ids.items()} | {"model": self.model}


type MemoryKind = Literal["fact", "passage"]


@dataclass(frozen=True, slots=True)
class MemoryUsed:
    """Something of the user's memory that the model is given: a fact, or a passage of a past conversation."""

    name: ClassVar = "memory"
    kind: MemoryKind
    id: UUID
    text: str

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        return {"kind": self.kind, "id": str(self.id), "text": self.text}


@dataclass(frozen=True, slots=True)
class SourceGiven:
    """A piece of a document that the model is given; the answer may cite it by its number.

    `snippet` is an exact piece of its text. `score` is for ordering only.
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
        """Return its JSON."""
        head = {"number": self.number, "document_id": str(self.document_id), "title": self.title, "chunk_id": str(self.chunk_id)}
        return head | {"page": self.page, "snippet": self.snippet, "score": self.score}


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """The next piece of the answer."""

    name: ClassVar = "text.delta"
    text: str

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        return {"text": self.text}


@dataclass(frozen=True, slots=True)
class ToolCallEvent:
    """Something about a call of a tool."""

    name: ClassVar[str]
    call_id: str
    tool: str
    arguments: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        return {"call_id": self.call_id, "name": self.tool, "arguments": self.arguments}


@dataclass(frozen=True, slots=True)
class ToolCalled(ToolCallEvent):
    """The model asks for a tool."""

    name: ClassVar = "tool.call"


@dataclass(frozen=True, slots=True)
class ToolApproval(ToolCallEvent):
    """The call is run only if the user approves it."""

    name: ClassVar = "tool.approval"


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """What came of a call; `content` is what the model is given."""

    name: ClassVar = "tool.result"
    call_id: str
    tool: str
    ok: bool
    content: str
    elapsed_ms: float

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        told = {"call_id": self.call_id, "name": self.tool, "ok": self.ok, "content": self.content}
        return told | {"elapsed_ms": self.elapsed_ms}


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The answer is stored; `message` is it, once it is."""

    name: ClassVar = "turn.completed"
    message_id: UUID
    finish_reason: FinishReason
    usage: TurnUsage
    model: str
    timings: TurnTimings
    message: StoredMessage | None = None

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        head = {"message_id": str(self.message_id), "finish_reason": self.finish_reason, "usage": self.usage.data()}
        return head | {"model": self.model, "timings": asdict(self.timings)}


@dataclass(frozen=True, slots=True)
class IncompleteAnswer:
    """The answer has no proper end; what was delivered of it is stored."""

    name: ClassVar[str]
    message_id: UUID
    reason: str
    usage: TurnUsage
    message: StoredMessage | None = None

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        return {"message_id": str(self.message_id), "reason": self.reason, "usage": self.usage.data()}


@dataclass(frozen=True, slots=True)
class TurnStopped(IncompleteAnswer):
    """Somebody stopped the answer."""

    name: ClassVar = "turn.stopped"


@dataclass(frozen=True, slots=True)
class TurnInterrupted(IncompleteAnswer):
    """The answer broke off."""

    name: ClassVar = "turn.interrupted"


@dataclass(frozen=True, slots=True)
class TurnWaiting:
    """The turn is kept, and goes on when all these calls are approved or denied."""

    name: ClassVar = "turn.waiting"
    call_ids: Sequence[str]

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        return {"call_ids": list(self.call_ids)}


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """There is no answer; the question stays. `request_id` is the failed request's own."""

    name: ClassVar = "turn.failed"
    error: ParleyError
    request_id: str = ""

    def data(self) -> dict[str, Any]:
        """Return its JSON."""
        return problem_document(self.error, request_id=self.request_id) | {"retryable": self.error.retryable}


type TurnEvent = (
    TurnStarted
    | MemoryUsed
    | SourceGiven
    | AnswerDelta
    | ToolCalled
    | ToolApproval
    | ToolAnswered
    | TurnCompleted
    | TurnStopped
    | TurnInterrupted
    | TurnWaiting
    | TurnFailed
)


@dataclass(frozen=True, slots=True)
class ReplayedEvent:
    """An event that is read again from the log. At the end of a turn, `message` is the stored answer."""

    name: str
    content: Mapping[str, Any]
    message: StoredMessage | None = None

    def data(self) -> Mapping[str, Any]:
        """Return its JSON."""
        return self.content


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event and its number in the turn, from 1 on."""

    number: int
    event: TurnEvent | ReplayedEvent


@dataclass(frozen=True, slots=True)
class Ping:
    """Nothing has happened, and the connection is to know that we are there."""
