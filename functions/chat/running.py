"""A turn under way."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from uuid import UUID

from functions.chat.called import Called
from functions.chat.context import Context
from functions.chat.events import (
    MemoryKind,
    MemoryUsed,
    Numbered,
    SourceGiven,
    TextDelta,
    Timings,
    ToolAnswered,
    ToolApproval,
    ToolCalled,
    TurnStarted,
    UsageSum,
)
from functions.chat.journal import Journal
from functions.chat.toolbox import Empty, Toolbox
from parley.db.outbox import OutboxEntry as Work
from parley.db.turn.message_parts import AnswerParts
from parley.db.turn.turn_checkpoint import Checkpoint
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.model import ModelCall
from parley.llm.router import Candidate, ModelStream
from parley.metering.background import BackgroundEmbedding
from parley.metering.limits import BillingSubject, Reservation
from parley.tools.outcome import ToolOutcome


@dataclass(slots=True)
class Turn:
    """What was stored at its beginning, and what has come of the answer. Times are this worker's own clock.

    `before` is what a turn that had paused held, and `decisions` what its user said to its calls since. `pictures` are the files
    of images that were read, by their keys.
    """

    billing_subject: BillingSubject
    conversation_id: UUID
    candidates: Sequence[Candidate]
    context: Context
    request: llm.ModelRequest
    reservations: list[Reservation]
    user_message_id: UUID
    toolbox: Toolbox = field(default_factory=Empty)
    id: UUID = field(default_factory=new_id)
    answer_id: UUID = field(default_factory=new_id)
    started_s: float = field(default_factory=time.perf_counter)
    first_token_ms: float | None = None
    parts: AnswerParts = field(default_factory=AnswerParts)
    rounds: int = 0
    finished: llm.Finished | None = None
    asked: list[ModelStream] = field(default_factory=list)
    request_id: str = ""
    journal: Journal = field(default_factory=Journal)
    follow_up: Sequence[Work] = ()
    before: Checkpoint = field(default_factory=Checkpoint)
    decisions: Mapping[str, bool] = MappingProxyType({})
    unsound: set[str] = field(default_factory=set)
    pictures: dict[str, bytes | None] = field(default_factory=dict)
    query_embedding: BackgroundEmbedding | None = None
    started: Numbered = field(init=False)

    @property
    def user_id(self) -> UUID:
        """Whose turn it is."""
        return self.billing_subject.user_id

    @property
    def calls(self) -> list[ModelCall]:
        """The calls of models that this process made, the last one being what answered."""
        return [call for asked in self.asked for call in asked.calls]

    @property
    def billed(self) -> list[ModelCall]:
        """The calls to pay for: those of models, and that which embedded the question, by an estimate where it is not over."""
        return [*([self.query_embedding.call] if self.query_embedding else []), *self.calls]

    @property
    def open_calls(self) -> list[Called]:
        """The calls of tools that have no result yet."""
        return [Called.stored(part) for part in self.parts.open_calls]

    @property
    def model_id(self) -> str:
        """The model that answered, or that was to answer first."""
        calls = self.calls
        return calls[-1].model_id if calls else self.candidates[0].id

    def start(self) -> None:
        """Note the beginning."""
        self.started = self.journal.note(TurnStarted(self.id, self.conversation_id, self.user_message_id, self.model_id))

    def add_text(self, text: str) -> Numbered:
        """Note the next piece that is delivered, and return it as an event."""
        if self.first_token_ms is None:
            self.first_token_ms = self._elapsed_ms()
        self.parts.add_text(text)
        return self.journal.note(TextDelta(text))

    def recall(self, kind: MemoryKind, id: UUID, text: str) -> Numbered:
        """Note that the model is given something of the user's memory."""
        return self.journal.note(MemoryUsed(kind, id, text))

    def give(self, source: SourceGiven) -> Numbered:
        """Note that the model is given a source."""
        self.parts.source(source.data())
        return self.journal.note(source)

    def call(self, call: Called) -> Numbered:
        """Note that the model asks for a tool."""
        self.parts.call(call.call_id, call.name, call.arguments)
        if not call.is_sound:
            self.unsound.add(call.call_id)
        return self.journal.note(ToolCalled(call.call_id, call.name, call.arguments))

    def ask(self, call: Called) -> Numbered:
        """Note that a call needs an approval."""
        return self.journal.note(ToolApproval(call.call_id, call.name, call.arguments))

    def answer(self, call: Called, outcome: ToolOutcome, *, is_vouched: bool = False) -> Numbered:
        """Note what came of a call, and whether nobody outside had a say in it."""
        self.parts.result(call.call_id, ok=outcome.ok, content=outcome.content, is_vouched=is_vouched)
        return self.journal.note(ToolAnswered(call.call_id, call.name, outcome.ok, outcome.content, outcome.elapsed_ms))

    def timings(self) -> Timings:
        """Return the times so far."""
        return Timings(self.first_token_ms, self._elapsed_ms())

    def usage(self) -> UsageSum:
        """Sum up what all calls took."""
        counts, before = [call.usage for call in self.calls], self.before
        cost_usd = sum((call.cost_usd for call in self.calls), before.cost_usd)
        input_tokens = before.input_tokens + sum(one.input_tokens for one in counts)
        return UsageSum(input_tokens, before.output_tokens + sum(one.output_tokens for one in counts), cost_usd)

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
