"""The tools of a turn: the toolbox, parsed tool calls, and the parallel execution of one round's calls.

Each call runs in a daemon thread. A thread that outlasts its timeout is abandoned, and its result is dropped.
"""

import json
import math
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, Queue
from typing import Any, Protocol, Self

from parley.auth.principal import Principal
from parley.db.engine import Connection
from parley.db.turn.message_parts import MessagePart
from parley.errors import ParleyError
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.provider import storable
from parley.observability import logger, put_metrics
from parley.tools.mcp import Elicitation
from parley.tools.outcome import ToolOutcome, log_name, run_safely
from parley.tools.spec import ToolSpec

# A tool enforces its own timeout. If it does not, its thread is abandoned after this additional time.
TOOL_GRACE_S = 0.5
_MAX_DEPTH = 32


class UnusableArguments(ParleyError):
    """The arguments that the model wrote cannot be stored."""


class TurnTool(Protocol):
    """A tool that the user lets models call."""

    @property
    def spec(self) -> ToolSpec:
        """The tool's name, description, parameters and limits."""
        ...

    @property
    def user_requires_approval(self) -> bool | None:
        """The user's own setting, None if there is none. True adds a requirement; False never removes one."""
        ...


class TurnToolbox(Protocol):
    """The tools of one user. The server binds them to that user, so no argument of a call names a user."""

    @property
    def offered(self) -> Sequence[TurnTool]:
        """The tools that are enabled and that the caller's scopes allow."""
        ...

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float, elicitation: Elicitation | None = None) -> ToolOutcome:
        """Check the arguments and run one tool. Safe to call from several threads. Never raises: a failure is an outcome, too.

        With `elicitation`, the tool of an MCP server may ask the user.
        """
        ...


# Two steps: the first makes network calls before the transaction begins; the second receives the transaction's connection.
type ToolboxFactory = Callable[[Principal], Callable[[Connection], TurnToolbox]]


def no_tools(_principal: Principal) -> Callable[[Connection], TurnToolbox]:
    """Return a factory of empty toolboxes."""
    return lambda _connection: EmptyToolbox()


class EmptyToolbox:
    """A toolbox without tools."""

    offered: Sequence[TurnTool] = ()

    def run(
        self,
        name: str,
        arguments: Mapping[str, Any],  # noqa: ARG002 - there is nothing to run
        *,
        timeout_s: float,  # noqa: ARG002
        elicitation: Elicitation | None = None,  # noqa: ARG002
    ) -> ToolOutcome:
        """Report that the tool is unknown."""
        return ToolOutcome(False, f"Unknown tool {name!r}.")


@dataclass(frozen=True, slots=True, eq=False)
class ParsedToolCall:
    """A tool call with parsed arguments. If the model's arguments cannot be stored, they are empty and `has_valid_arguments` is False."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    has_valid_arguments: bool = True

    @classmethod
    def of(cls, call: llm.ToolCall, *, taken: Container[str]) -> Self:
        """Parse a model's call. Replace the vendor's id if it is in `taken`, because some vendors repeat ids in each response."""
        call_id = f"call_{new_id().hex}" if call.id in taken else call.id
        try:
            return cls(call_id, call.name, _storable_json(json.loads(call.arguments), depth=0))
        except (UnusableArguments, RecursionError):
            return cls(call_id, call.name, {}, has_valid_arguments=False)

    @classmethod
    def stored(cls, part: MessagePart) -> Self:
        """Return the call of a stored part."""
        return cls(part["call_id"], part["name"], part["arguments"])


def _storable_json(value: Any, *, depth: int) -> Any:
    """Return the value as JSON that PostgreSQL accepts. Raises UnusableArguments if it is too deep or has NaN or infinity."""
    if depth > _MAX_DEPTH or (isinstance(value, float) and not math.isfinite(value)):
        raise UnusableArguments
    match value:
        case str():
            return storable(value)
        case list():
            return [_storable_json(item, depth=depth + 1) for item in value]
        case dict():
            return {storable(name): _storable_json(item, depth=depth + 1) for name, item in value.items()}
    return value


class ParallelToolCalls:
    """Runs each tool call in a daemon thread. A thread that hangs is abandoned, and its result is dropped."""

    def __init__(
        self, toolbox: TurnToolbox, calls: Mapping[ParsedToolCall, float], elicitations: Mapping[ParsedToolCall, Elicitation]
    ) -> None:
        """Start the calls, each with its timeout in seconds. Calls with an elicitation may ask the user."""
        self._results: Queue[tuple[ParsedToolCall, ToolOutcome]] = Queue()
        self._began_s = time.monotonic()
        self._give_up_at_s = {call: self._began_s + timeout_s + TOOL_GRACE_S for call, timeout_s in calls.items()}
        for call, timeout_s in calls.items():
            threading.Thread(target=partial(self._run, toolbox, call, timeout_s, elicitations.get(call)), name="tool", daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether a result is still to come."""
        return bool(self._give_up_at_s)

    def next(self, *, timeout_s: float) -> tuple[ParsedToolCall, ToolOutcome] | None:
        """Return the next call that ends, with its result, or None if no call ends in time."""
        try:
            call, outcome = self._results.get(timeout=timeout_s)
        except Empty:
            return self._timed_out()
        return (call, outcome) if self._give_up_at_s.pop(call, None) else None

    def _timed_out(self) -> tuple[ParsedToolCall, ToolOutcome] | None:
        now_s = time.monotonic()
        for call, give_up_at_s in self._give_up_at_s.items():
            if now_s >= give_up_at_s:
                del self._give_up_at_s[call]
                logger.warning("tool_timed_out", tool=log_name(call.name))
                put_metrics({"ToolErrors": 1})
                return call, ToolOutcome(False, "The tool did not answer in time.", _milliseconds(now_s - self._began_s))
        return None

    def _run(self, toolbox: TurnToolbox, call: ParsedToolCall, timeout_s: float, elicitation: Elicitation | None) -> None:
        outcome = run_safely(call.name, lambda: toolbox.run(call.name, call.arguments, timeout_s=timeout_s, elicitation=elicitation))
        self._results.put((call, outcome))


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
