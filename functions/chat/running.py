"""A turn under way."""

import time
from dataclasses import dataclass, field, replace
from uuid import UUID

from functions.chat.events import Numbered, TextDelta, Timings, TurnStarted, UsageSum
from functions.chat.journal import Journal
from parley.ids import new_id
from parley.llm import types as llm
from parley.llm.models import Model
from parley.llm.provider import Provider
from parley.llm.tokens import estimate_tokens


@dataclass(slots=True)
class Turn:
    """What was stored at its beginning, and what has come of the answer. Times are this worker's own clock."""

    user_id: UUID
    conversation_id: UUID
    user_message_id: UUID
    model_id: str
    model: Model
    provider: Provider
    request: llm.Request
    id: UUID = field(default_factory=new_id)
    answer_id: UUID = field(default_factory=new_id)
    started_s: float = field(default_factory=time.perf_counter)
    first_token_ms: float | None = None
    pieces: list[str] = field(default_factory=list)
    finished: llm.Finished | None = None
    request_id: str = ""
    journal: Journal = field(default_factory=Journal)
    started: Numbered = field(init=False)

    def __post_init__(self) -> None:
        event = TurnStarted(self.id, self.conversation_id, self.user_message_id, self.model_id)
        self.started = self.journal.note(event)

    @property
    def text(self) -> str:
        """What was delivered."""
        return "".join(self.pieces)

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
        """Sum up what the provider counted; for a broken answer, what we can tell."""
        counted = self.finished.usage if self.finished else llm.Usage()
        output_tokens = counted.output_tokens or (estimate_tokens(self.text) if self.pieces else 0)
        cost_usd = self.model.cost_usd(replace(counted, output_tokens=output_tokens))
        return UsageSum(counted.input_tokens, output_tokens, cost_usd)

    def _elapsed_ms(self) -> float:
        return round((time.perf_counter() - self.started_s) * 1000, 1)
