"""A turn in memory: its request, the answer so far, the events still to be logged, and the signals that end it early."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from uuid import UUID

from functions.chat.turn.events import (
    AnswerDelta,
    MemoryKind,
    MemoryUsed,
    MessageRead,
    NumberedEvent,
    RetrievalMode,
    SourceGiven,
    TurnEvent,
    TurnStarted,
    TurnTimings,
    TurnUsage,
    WebSourceGiven,
)
from functions.chat.turn.prompt import PromptContext
from functions.chat.turn.tool_events import ToolAnswered, ToolApproval, ToolCalled, ToolQuestion
from functions.chat.turn.tools import EmptyToolbox, ParsedToolCall, TurnToolbox
from parley.auth.principal import Principal
from parley.db.outbox import OutboxEntry
from parley.db.turn.approvals import Approval
from parley.db.turn.message_parts import AnswerParts
from parley.db.turn.steering_messages import SteeringMessage
from parley.db.turn.turn_checkpoint import Checkpoint
from parley.db.turn.turn_events import TEXT_EVENT, LoggedEvent
from parley.db.vectors import Vector
from parley.errors import ParleyError
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.candidates import Candidate
from parley.llm.model import ModelCall
from parley.llm.router import ModelStream
from parley.metering.background import BackgroundCall
from parley.metering.limits import BillingSubject, Reservation
from parley.tools.outcome import ToolOutcome

if TYPE_CHECKING:
    # Not at run time: few turns ask their user.
    from functions.chat.turn.user_questions import UserQuestion


class ApprovalsPending(ParleyError):
    """The turn pauses until the user has approved or denied these tool calls, and answered or declined these questions."""

    def __init__(self, calls: Sequence[ParsedToolCall], questions: "Sequence[UserQuestion]" = ()) -> None:
        super().__init__(f"{len(calls)} calls need an approval, and {len(questions)} questions an answer")
        self.calls, self.questions = calls, questions


class StopRequested(ParleyError):
    """The user asked to stop the turn. `turn.stopped` contains `reason`."""

    reason = "requested"


class AccessEnded(StopRequested):
    """The turn's session has ended or its API key was revoked, so nobody may read the answer's stream any more."""

    reason = "access_ended"


class Superseded(ParleyError):
    """Another process found the turn stale and ended it."""


class EventBuffer:
    """Numbers the events of one turn, and collects them for the log. Consecutive text deltas are logged as one entry."""

    def __init__(self, *, last: int = 0) -> None:
        """Number the next event `last + 1`."""
        self.last = last
        self._entries: list[LoggedEvent] = []
        self._texts: list[str] = []

    def add(self, event: TurnEvent) -> NumberedEvent:
        """Return the event with its number, and collect it for the log."""
        if isinstance(event, AnswerDelta):
            self._texts.append(event.text)
            self.last += 1
        else:
            self._close_text()
            self.last += 1
            self._entries.append(LoggedEvent(self.last, event.name, event.data()))
        return NumberedEvent(self.last, event)

    def discard_last(self) -> None:
        """Remove the last event, which must not be a text delta. Its number is not used again."""
        self._entries.pop()

    def pending(self) -> list[LoggedEvent]:
        """Return the entries to log. They stay in the buffer until `mark_logged`, so that a failed attempt can be repeated."""
        self._close_text()
        return list(self._entries)

    def drain(self) -> list[LoggedEvent]:
        """Remove and return the entries to log. Use only in a transaction whose failure discards the turn."""
        entries = self.pending()
        self.mark_logged(entries)
        return entries

    def mark_logged(self, entries: list[LoggedEvent]) -> None:
        """Remove `entries`, which `pending` returned and which are now logged."""
        self._entries = self._entries[len(entries) :]

    def _close_text(self) -> None:
        if self._texts:
            self._entries.append(LoggedEvent(self.last, TEXT_EVENT, {"texts": self._texts}))
            self._texts = []


@dataclass(slots=True, kw_only=True)
class Turn:
    """The state of a running turn. Times are on this worker's clock.

    `reservations` are not settled yet. `follow_up` holds the outbox entries stored at the end of the turn, `deliveries` the ids of its
    events for web hooks, and `passages` the ids and texts of its passages. For a resumed turn, `resumed_from` is its checkpoint,
    `decisions` maps call ids to approval (True) or denial (False), and `answers` maps the ids of calls that asked the user to their
    last question. `invalid_calls` holds the ids of calls whose arguments cannot be stored. `image_bytes` caches images by key; an
    unreadable one is None. `steering_messages` counts the messages that the user has sent to the running turn.
    """

    billing_subject: BillingSubject
    conversation_id: UUID
    candidates: Sequence[Candidate]
    context: PromptContext
    request: llm.ModelRequest
    reservations: list[Reservation]
    user_message_id: UUID
    toolbox: TurnToolbox = field(default_factory=EmptyToolbox)
    principal: Principal | None = None
    id: UUID = field(default_factory=new_id)
    answer_id: UUID = field(default_factory=new_id)
    started_s: float = field(default_factory=time.perf_counter)
    first_token_ms: float | None = None
    parts: AnswerParts = field(default_factory=AnswerParts)
    rounds: int = 0
    finished: llm.Finished | None = None
    model_streams: list[ModelStream] = field(default_factory=list)
    request_id: str = ""
    event_buffer: EventBuffer = field(default_factory=EventBuffer)
    follow_up: Sequence[OutboxEntry] = ()
    passages: Sequence[tuple[UUID, str]] = ()
    deliveries: Sequence[UUID] = ()
    resumed_from: Checkpoint = field(default_factory=Checkpoint)
    decisions: Mapping[str, bool] = MappingProxyType({})
    answers: Mapping[str, Approval] = MappingProxyType({})
    invalid_calls: set[str] = field(default_factory=set)
    image_bytes: dict[str, bytes | None] = field(default_factory=dict)
    query_embedding: BackgroundCall[Vector] | None = None
    retrieval: RetrievalMode | None = None
    steering_messages: int = 0
    started: NumberedEvent = field(init=False)

    @property
    def user_id(self) -> UUID:
        """The id of the turn's user."""
        return self.billing_subject.user_id

    @property
    def model_calls(self) -> list[ModelCall]:
        """The model calls that this process made; the last call produced the answer."""
        return [call for stream in self.model_streams for call in stream.calls]

    @property
    def billed_calls(self) -> list[ModelCall]:
        """The calls to pay for: the model calls and the query embedding, whose cost is estimated if it has not ended."""
        return [*([self.query_embedding.call] if self.query_embedding else []), *self.model_calls]

    @property
    def open_calls(self) -> list[ParsedToolCall]:
        """The tool calls that have no result yet."""
        return [ParsedToolCall.stored(part) for part in self.parts.pending_tool_calls]

    @property
    def model_id(self) -> str:
        """The model of the last call; before the first call, the first candidate."""
        calls = self.model_calls
        return calls[-1].model_id if calls else self.candidates[0].id

    def start(self) -> None:
        """Add the event that starts the turn."""
        self.started = self.event_buffer.add(TurnStarted(self.id, self.conversation_id, self.user_message_id, self.model_id))

    def add_text(self, text: str) -> NumberedEvent:
        """Add text to the answer and return its event."""
        if self.first_token_ms is None:
            self.first_token_ms = self._elapsed_ms()
        self.parts.add_text(text)
        return self.event_buffer.add(AnswerDelta(text))

    def add_memory(self, kind: MemoryKind, id: UUID, text: str) -> NumberedEvent:
        """Add the event for a memory in the prompt and return it."""
        return self.event_buffer.add(MemoryUsed(kind, id, text))

    def add_source(self, source: SourceGiven | WebSourceGiven) -> NumberedEvent:
        """Add a source of the prompt to the answer's parts and return its event."""
        self.parts.add_source(source.data())
        return self.event_buffer.add(source)

    def add_tool_call(self, call: ParsedToolCall) -> NumberedEvent:
        """Add a tool call to the answer and return its event."""
        self.parts.add_tool_call(call.call_id, call.name, call.arguments)
        if not call.has_valid_arguments:
            self.invalid_calls.add(call.call_id)
        return self.event_buffer.add(ToolCalled(call.call_id, call.name, call.arguments))

    def add_approval_request(self, call: ParsedToolCall) -> NumberedEvent:
        """Add the event that asks the user to approve a call and return it."""
        return self.event_buffer.add(ToolApproval(call.call_id, call.name, call.arguments))

    def add_question(self, question: "UserQuestion") -> NumberedEvent:
        """Add the event that asks the user to answer a form and return it."""
        form = question.form.model_dump(mode="json")
        return self.event_buffer.add(ToolQuestion(question.id, question.call.call_id, question.call.name, form))

    def add_tool_result(self, call: ParsedToolCall, outcome: ToolOutcome, *, is_trusted: bool = False) -> NumberedEvent:
        """Add a call's result to the answer and return its event.

        `is_trusted` means that the content has no third-party text.
        """
        self.parts.add_tool_result(call.call_id, ok=outcome.ok, content=outcome.content, is_trusted=is_trusted)
        return self.event_buffer.add(ToolAnswered(call.call_id, call.name, outcome.ok, outcome.content, outcome.elapsed_ms))

    @property
    def has_unread_messages(self) -> bool:
        """Whether the user has sent messages to the turn that the model has not received, as far as the last heartbeat knows."""
        return self.steering_messages > len(self.parts.user_messages)

    def add_user_message(self, message: SteeringMessage) -> NumberedEvent:
        """Add a message that the user sent meanwhile to the answer's parts and return its event."""
        self.parts.add_user_message(message.id, message.text)
        return self.event_buffer.add(MessageRead(message.id, message.text))

    def timings(self) -> TurnTimings:
        """Return the timings so far."""
        model_ms = round(sum(call.waited_s for call in self.model_calls) * 1000, 1)
        return TurnTimings(self.first_token_ms, self._elapsed_ms(), model_ms)

    def usage(self) -> TurnUsage:
        """Return tokens and cost of all model calls, including those before a pause."""
        before = self.resumed_from
        return TurnUsage(
            before.input_tokens + sum(call.usage.input_tokens for call in self.model_calls),
            before.output_tokens + sum(call.usage.output_tokens for call in self.model_calls),
            sum((call.cost_usd for call in self.model_calls), before.cost_usd),
        )

    def checkpoint(self, *, upto: int) -> Checkpoint:
        """Return the state that another process needs to resume the turn. `upto` is the number of the last logged event."""
        usage, context, last_model = self.usage(), self.context, self.model_id
        return Checkpoint(
            parts=self.parts.all(),
            upto=upto,
            options=context.question.options(),
            candidates=[last_model, *(candidate.id for candidate in self.candidates if candidate.id != last_model)],
            rounds=self.rounds,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=usage.cost_usd,
            first_token_ms=self.first_token_ms,
            total_ms=self._elapsed_ms(),
            facts=context.facts,
            passages=context.passages,
            sources=[asdict(source) for source in context.sources],
            remembers=context.remembers,
        )

    def _elapsed_ms(self) -> float:
        return round((time.perf_counter() - self.started_s) * 1000, 1)
