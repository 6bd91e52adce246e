"""The output item of a response that is open: its text so far, and the item as clients see it."""

from dataclasses import dataclass, field

from functions.chat.completions.opaque_content import pack_thought
from functions.chat.responses_api.free_form import FreeFormText
from functions.chat.responses_api.response_schemas import (
    CustomCallItemOut,
    FunctionCallItemOut,
    ItemStatus,
    MessageItemOut,
    OutputRefusalOut,
    OutputTextOut,
    ReasoningItemOut,
    SummaryTextOut,
)
from functions.chat.responses_api.tools import client_name
from parley.llm.messages import Thought


@dataclass(slots=True)
class OpenMessage:
    """A message while it is written: its complete `parts`, and the deltas of the next part as `texts`."""

    id: str
    is_refusal: bool
    parts: list[OutputTextOut | OutputRefusalOut] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def part(self) -> OutputTextOut | OutputRefusalOut:
        """The part that is written now."""
        text = "".join(self.texts)
        return OutputRefusalOut(refusal=text) if self.is_refusal else OutputTextOut(text=text)

    def item(self, status: ItemStatus) -> MessageItemOut:
        """Return the message with its complete parts."""
        return MessageItemOut(id=self.id, status=status, content=list(self.parts))


@dataclass(slots=True)
class OpenReasoning:
    """Reasoning while it is written: its text in pieces, and the form that only the vendor can read. Either may be missing."""

    id: str
    texts: list[str] = field(default_factory=list)
    thought: Thought | None = None

    def item(self) -> ReasoningItemOut:
        """Return the reasoning as an item."""
        summary = [SummaryTextOut(text="".join(self.texts))] if self.texts else []
        return ReasoningItemOut(id=self.id, summary=summary, encrypted_content=pack_thought(self.thought) if self.thought else None)


@dataclass(slots=True)
class OpenCall:
    """A tool call while its arguments arrive. `texts` are the pieces that the client has, which `decoder` makes for a free-form tool."""

    id: str
    call_id: str
    name: str
    is_free_form: bool
    decoder: FreeFormText = field(default_factory=FreeFormText)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return "".join(self.texts)

    def item(self, status: ItemStatus) -> FunctionCallItemOut | CustomCallItemOut:
        """Return the call with its arguments so far."""
        name, namespace = client_name(self.name)
        if self.is_free_form:
            return CustomCallItemOut(id=self.id, status=status, call_id=self.call_id, name=name, input=self.text, namespace=namespace)
        return FunctionCallItemOut(id=self.id, status=status, call_id=self.call_id, name=name, arguments=self.text, namespace=namespace)
