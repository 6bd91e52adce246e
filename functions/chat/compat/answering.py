"""An answer as it comes, wherever from: the models directly, or a turn of a stored conversation."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from uuid import UUID

from functions.chat.events import Ping
from parley.llm.messages import Finished, TextDelta, ToolCall

type Said = TextDelta | ToolCall | Finished | Ping


@dataclass(frozen=True, slots=True)
class Answering:
    """`events` end with one `Finished`, or raise; `model` tells who answers, for certain once the first event but a ping has come."""

    events: Generator[Said]
    model: Callable[[], str]
    conversation_id: UUID | None = None
