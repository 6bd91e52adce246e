"""The events of a turn about its tool calls: a call, an approval or an answer that it needs, and its result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class ToolCallEvent:
    """Base class of the events about a tool call."""

    name: ClassVar[str]
    call_id: str
    tool: str
    arguments: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        return {"call_id": self.call_id, "name": self.tool, "arguments": self.arguments}


@dataclass(frozen=True, slots=True)
class ToolCalled(ToolCallEvent):
    """The model called a tool."""

    name: ClassVar = "tool.call"


@dataclass(frozen=True, slots=True)
class ToolApproval(ToolCallEvent):
    """The tool call needs the user's approval before it is run."""

    name: ClassVar = "tool.approval"


@dataclass(frozen=True, slots=True)
class ToolQuestion:
    """A tool call asks the user to answer a form. The answers are sent with `question_id`."""

    name: ClassVar = "tool.question"
    question_id: str
    call_id: str
    tool: str
    form: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        return {"question_id": self.question_id, "call_id": self.call_id, "name": self.tool, "form": self.form}


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """The result of a tool call; `content` is the text that the model receives."""

    name: ClassVar = "tool.result"
    call_id: str
    tool: str
    ok: bool
    content: str
    elapsed_ms: float

    def data(self) -> dict[str, Any]:
        """Return the event's JSON."""
        result = {"call_id": self.call_id, "name": self.tool, "ok": self.ok, "content": self.content}
        return result | {"elapsed_ms": self.elapsed_ms}
