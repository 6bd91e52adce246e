"""A toolbox of test functions, and a scripted provider that calls them."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from parley.llm import messages as llm
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec
from tests.support.turns import ScriptedProvider

USAGE = llm.Usage(100, 10)
DONE = [llm.TextDelta("Done."), llm.Finished("stop", USAGE)]


@dataclass(frozen=True)
class FakeOfferedTool:
    """An enabled tool with the user's approval setting."""

    spec: ToolSpec
    user_requires_approval: bool | None = None


@dataclass
class RecordingToolbox:
    """Runs Python functions as tools, and records the calls and the seconds that each may take."""

    tools: dict[str, tuple[FakeOfferedTool, Callable[..., Any]]] = field(default_factory=dict)
    ran: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)

    def add(
        self, name: str, function: Callable[..., Any] = lambda **_: "ok", *, user_requires_approval: bool | None = None, **options: Any
    ) -> "RecordingToolbox":
        spec = ToolSpec(name, f"What {name} does.", {"type": "object"}, "plugin", **options)
        self.tools[name] = FakeOfferedTool(spec, user_requires_approval), function
        return self

    @property
    def offered(self) -> list[FakeOfferedTool]:
        return [offered for offered, _ in self.tools.values()]

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float, elicitation: Any = None) -> ToolOutcome:
        self.ran.append((name, arguments))
        self.timeouts_s.append(timeout_s)
        return ToolOutcome(True, str(self.tools[name][1](**arguments)), 0.0)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.ran]


def tool_calls_answer(*calls: tuple[str, str, Any] | llm.ModelEvent, reason: str = "tool_calls") -> list[llm.ModelEvent]:
    """Return an answer with tool calls, given as (id, name, arguments). Arguments that are events are included unchanged."""
    events = [each if not isinstance(each, tuple) else llm.ToolCall(each[0], each[1], json.dumps(each[2])) for each in calls]
    return [*events, llm.Finished(reason, USAGE)]  # type: ignore[arg-type]


class ScriptedRounds(ScriptedProvider):
    """Plays one script per model call, and repeats the last script."""

    def __init__(self, *scripts: list[Any]) -> None:
        super().__init__([])
        self._scripts = list(scripts)
        self._lock = threading.Lock()

    def stream(self, model_name: str, request: llm.ModelRequest) -> Iterator[llm.ModelEvent]:
        with self._lock:
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self.requests.append(request)
        for step in script:
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
            else:
                yield step


def tool_results(request: llm.ModelRequest) -> list[llm.ToolResult]:
    """Return the tool results in a model request."""
    return [part for message in request.messages for part in message.parts if isinstance(part, llm.ToolResult)]
