"""A turn in memory: its request, the answer so far, the events still to be logged, and how it may end early."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from uuid import UUID

from functions.chat.turn.events import (
    AnswerDelta,
    MemoryKind,
    MemoryUsed,
    NumberedEvent,
    SourceGiven,
    ToolAnswered,
    ToolApproval,
    ToolCalled,
    TurnEvent,
    TurnStarted,
    TurnTimings,
    TurnUsage,
)
from functions.chat.turn.prompt import PromptContext
from functions.chat.turn.tools import EmptyToolbox, ParsedToolCall, TurnToolbox
from parley.db.outbox import OutboxEntry as Work
from parley.db.turn.message_parts import AnswerParts
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


class ApprovalsPending(ParleyError):
    """The turn pauses until its user has said whether these calls may be run."""

    status, code = 409, "waiting"

    def __init__(self, calls: Sequence[ParsedToolCall]) -> None:
        super().__init__(f"{len(calls)} calls need an approval")
        self.calls = calls


class StopRequested(ParleyError):
    """Somebody asked the turn to stop."""

    status, code = 409, "stopped"


class Superseded(ParleyError):
    """The turn was ended by somebody else, who took it for dead."""

    status, code = 409, "superseded"


class EventBuffer:
    """Numbers the events of one turn. Texts that follow one another are logged as one entry."""

    def __init__(self, *, last: int = 0) -> None:
        """Go on behind the number `last`."""
        self.last = last
        self._entries: list[LoggedEvent] = []
        self._texts: list[str] = []

    def add(self, event: TurnEvent) -> NumberedEvent:
        """Give the event its number and keep it for the log."""
        if isinstance(event, AnswerDelta):
            self._texts.append(event.text)
            self.last += 1
        else:
            self._close_text()
            self.last += 1
            self._entries.append(LoggedEvent(self.last, event.name, event.data()))
        return NumberedEvent(self.last, event)

    def discard_last(self) -> None:
        """Take the last event, which was no text, back: it did not happen. Its number is not used again."""
        self._entries.pop()

    def pending(self) -> list[LoggedEvent]:
        """Return what is to be logged. It stays so until `logged`: an attempt that failed is repeated entry by entry."""
        self._close_text()
        return list(self._entries)

    def drain(self) -> list[LoggedEvent]:
        """Return what is to be logged in a transaction that all depends on, and forget it."""
        entries = self.pending()
        self.mark_logged(entries)
        return entries

    def mark_logged(self, entries: list[LoggedEvent]) -> None:
        """Forget what the log has."""
        self._entries = self._entries[len(entries) :]

    def _close_text(self) -> None:
        if self._texts:
            self._entries.append(LoggedEvent(self.last, TEXT_EVENT, {"texts": self._texts}))
            self._texts = []


@dataclass(slots=True)
class Turn:
    """What was stored at its beginning, and what has come of the answer. Times are this worker's own clock.

    `before` is what a turn that had paused held, and `decisions` what its user said to its calls since. `pictures` are the files
    of images that were read, by their keys.
    """

    billing_subject: BillingSubject
    conversation_id: UUID
    candidates: Sequence[Candidate]
    context: PromptContext
    request: llm.ModelRequest
    reservations: list[Reservation]
    user_message_id: UUID
    toolbox: TurnToolbox = field(default_factory=EmptyToolbox)
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
    follow_up: Sequence[Work] = ()
    resumed_from: Checkpoint = field(default_factory=Checkpoint)
    decisions: Mapping[str, bool] = MappingProxyType({})
    invalid_calls: set[str] = field(default_factory=set)
    image_bytes: dict[str, bytes | None] = field(default_factory=dict)
    query_embedding: BackgroundCall[Vector] | None = None
    started: NumberedEvent = field(init=False)

    @property
    def user_id(self) -> UUID:
        """Whose turn it is."""
        return self.billing_subject.user_id

    @property
    def model_calls(self) -> list[ModelCall]:
        """The calls of models that this process made, the last one being what answered."""
        return [call for stream in self.model_streams for call in stream.calls]

    @property
    def billed_calls(self) -> list[ModelCall]:
        """The calls to pay for: those of models, and that which embedded the question, by an estimate where it is not over."""
        return [*([self.query_embedding.call] if self.query_embedding else []), *self.model_calls]

    @property
    def open_calls(self) -> list[ParsedToolCall]:
        """The calls of tools that have no result yet."""
        return [ParsedToolCall.stored(part) for part in self.parts.pending_tool_calls]

    @property
    def model_id(self) -> str:
        """The model that answered, or that was to answer first."""
        calls = self.model_calls
        return calls[-1].model_id if calls else self.candidates[0].id

    def start(self) -> None:
        """Note the beginning."""
        self.started = self.event_buffer.add(TurnStarted(self.id, self.conversation_id, self.user_message_id, self.model_id))

    def add_text(self, text: str) -> NumberedEvent:
        """Note the next piece that is delivered, and return it as an event."""
        if self.first_token_ms is None:
            self.first_token_ms = self._elapsed_ms()
        self.parts.add_text(text)
        return self.event_buffer.add(AnswerDelta(text))

    def add_memory(self, kind: MemoryKind, id: UUID, text: str) -> NumberedEvent:
        """Note that the model is given something of the user's memory."""
        return self.event_buffer.add(MemoryUsed(kind, id, text))

    def add_source(self, source: SourceGiven) -> NumberedEvent:
        """Note that the model is given a source."""
        self.parts.add_source(source.data())
        return self.event_buffer.add(source)

    def add_tool_call(self, call: ParsedToolCall) -> NumberedEvent:
        """Note that the model asks for a tool."""
        self.parts.add_tool_call(call.call_id, call.name, call.arguments)
        if not call.has_valid_arguments:
            self.invalid_calls.add(call.call_id)
        return self.event_buffer.add(ToolCalled(call.call_id, call.name, call.arguments))

    def add_approval_request(self, call: ParsedToolCall) -> NumberedEvent:
        """Note that a call needs an approval."""
        return self.event_buffer.add(ToolApproval(call.call_id, call.name, call.arguments))

    def add_tool_result(self, call: ParsedToolCall, outcome: ToolOutcome, *, is_trusted: bool = False) -> NumberedEvent:
        """Note what came of a call, and whether nobody outside had a say in it."""
        self.parts.add_tool_result(call.call_id, ok=outcome.ok, content=outcome.content, is_trusted=is_trusted)
        return self.event_buffer.add(ToolAnswered(call.call_id, call.name, outcome.ok, outcome.content, outcome.elapsed_ms))

    def timings(self) -> TurnTimings:
        """Return the times so far."""
        return TurnTimings(self.first_token_ms, self._elapsed_ms())

    def usage(self) -> TurnUsage:
        """Sum up what all calls took."""
        counts, resumed_from = [call.usage for call in self.model_calls], self.resumed_from
        cost_usd = sum((call.cost_usd for call in self.model_calls), resumed_from.cost_usd)
        input_tokens = resumed_from.input_tokens + sum(one.input_tokens for one in counts)
        return TurnUsage(input_tokens, resumed_from.output_tokens + sum(one.output_tokens for one in counts), cost_usd)

    def checkpoint(self, *, upto: int) -> Checkpoint:
        """Return what the turn needs to go on elsewhere; it has logged `upto` events."""
        usage, answering = self.usage(), self.model_id
        ids = [answering, *(one.id for one in self.candidates if one.id != answering)]
        checkpoint = Checkpoint(
            self.parts.all(), upto, self.context.question.options(), ids, self.rounds, first_token_ms=self.first_token_ms
        )
        checkpoint = replace(checkpoint, total_ms=self._elapsed_ms(), facts=self.context.facts, passages=self.context.passages)
        checkpoint = replace(checkpoint, sources=[asdict(one) for one in self.context.sources], remembers=self.context.remembers)
        return replace(checkpoint, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, cost_usd=usage.cost_usd)

    def _elapsed_ms(self) -> float:
        return round((time.perf_counter() - self.started_s) * 1000, 1)
