"""What happens in a turn, in the order in which clients see it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from parley.db.messages import Message
from parley.errors import ParleyError
from parley.llm.types import FinishReason


@dataclass(frozen=True, slots=True)
class UsageSum:
    """What a turn took. Zero cost means a model without a price."""

    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Timings:
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


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer."""

    name: ClassVar = "text.delta"
    text: str


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The answer is stored."""

    name: ClassVar = "turn.completed"
    message: Message
    finish_reason: FinishReason
    usage: UsageSum
    model: str
    timings: Timings


@dataclass(frozen=True, slots=True)
class TurnInterrupted:
    """The answer broke off; what was delivered of it is stored."""

    name: ClassVar = "turn.interrupted"
    message: Message
    reason: str
    usage: UsageSum


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """There is no answer; the question stays."""

    name: ClassVar = "turn.failed"
    error: ParleyError


type TurnEvent = TurnStarted | TextDelta | TurnCompleted | TurnInterrupted | TurnFailed
