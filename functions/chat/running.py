"""A turn under way."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from functions.chat.events import Numbered, TextDelta, Timings, TurnStarted, UsageSum
from functions.chat.journal import Journal
from parley.db.outbox import Entry as Work
from parley.ids import new_id
from parley.limits import Payer, Reservation
from parley.llm import types as llm
from parley.llm.calls import Call
from parley.llm.router import Asked, Candidate


@dataclass(slots=True)
class Turn:
    """What was stored at its beginning, and what has come of the answer. Times are this worker's own clock."""

    payer: Payer
    conversation_id: UUID
    candidates: Sequence[Candidate]
    request: llm.Request
    reservations: list[Reservation]
    user_message_id: UUID
    id: UUID = field(default_factory=new_id)
    answer_id: UUID = field(default_factory=new_id)
    started_s: float = field(default_factory=time.perf_counter)
    first_token_ms: float | None = None
    pieces: list[str] = field(default_factory=list)
    finished: llm.Finished | None = None
    asked: Asked | None = None
    request_id: str = ""
    journal: Journal = field(default_factory=Journal)
    follow_up: Sequence[Work] = ()
    started: Numbered = field(init=False)

    def __post_init__(self) -> None:
        event = TurnStarted(self.id, self.conversation_id, self.user_message_id, self.model_id)
        self.started = self.journal.note(event)

    @property
    def user_id(self) -> UUID:
        """Whose turn it is."""
        return self.payer.user_id

    @property
    def text(self) -> str:
        """What was delivered."""
        return "".join(self.pieces)

    @property
    def calls(self) -> list[Call]:
        """The calls of models that were made, the last one being what answered."""
        return self.asked.calls if self.asked else []

    @property
    def model_id(self) -> str:
        """The model that answered, or that was to answer first."""
        return self.calls[-1].model_id if self.calls else self.candidates[0].id

    def say(self, text: str) -> Numbered:
        """Note the next piece that is delivered, and return it as an event."""
        if self.first_token_ms is None:
            self.first_token_ms = self._elapsed_ms()
        self.pieces.append(text)
        return self.journal.note(TextDelta(text))

    def timings(self) -> Timings:
        """Return the times so far."""
        return Timings(self.first_token_ms, self._elapsed_ms())

    def usage(self) -> UsageSum:
        """Sum up what all calls took."""
        counts = [call.usage for call in self.calls]
        cost_usd = sum((call.cost_usd for call in self.calls), Decimal(0))
        return UsageSum(sum(one.input_tokens for one in counts), sum(one.output_tokens for one in counts), cost_usd)

    def _elapsed_ms(self) -> float:
        return round((time.perf_counter() - self.started_s) * 1000, 1)
