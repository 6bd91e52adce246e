"""A toolbox of test functions, and a provider that calls them by a script."""

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
    """A tool that its user lets models call."""

    spec: ToolSpec
    user_requires_approval: bool | None = None


@dataclass
class RecordingToolbox:
    """Runs functions; remembers what it ran."""

    tools: dict[str, tuple[FakeOfferedTool, Callable[..., Any]]] = field(default_factory=dict)
    ran: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def add(
        self, name: str, function: Callable[..., Any] = lambda **_: "ok", *, user_requires_approval: bool | None = None, **options: Any
    ) -> "RecordingToolbox":
        spec = ToolSpec(name, f"What {name} does.", {"type": "object"}, "plugin", **options)
        self.tools[name] = FakeOfferedTool(spec, user_requires_approval), function
        return self

    @property
    def offered(self) -> list[FakeOfferedTool]:
        return [offered for offered, _ in self.tools.values()]

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolOutcome:
        self.ran.append((name, arguments))
        return ToolOutcome(True, str(self.tools[name][1](**arguments)), 0.0)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.ran]


def tool_calls_answer(*wanted: tuple[str, str, Any] | llm.ModelEvent, reason: str = "tool_calls") -> list[llm.ModelEvent]:
    """An answer that asks for tools: (id, name, arguments) each, or an event as it is."""
    asked = [one if not isinstance(one, tuple) else llm.ToolCall(one[0], one[1], json.dumps(one[2])) for one in wanted]
    return [*asked, llm.Finished(reason, USAGE)]  # type: ignore[arg-type]


class ScriptedRounds(ScriptedProvider):
    """Plays one script after the other, the last again and again."""

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
    """The results that a model was given."""
    return [part for message in request.messages for part in message.parts if isinstance(part, llm.ToolResult)]
