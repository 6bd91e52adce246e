"""The tools of a turn: the toolbox, parsed tool calls, and the parallel execution of one round's calls.

Each call runs in a daemon thread; a thread that outlasts its timeout is abandoned and its result dropped.
"""

import json
import math
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, Queue
from typing import Any, Protocol, Self

from sqlalchemy import Connection

from parley.auth.principal import Principal
from parley.db.turn.message_parts import MessagePart
from parley.errors import ParleyError
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.provider import storable
from parley.observability import logger
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec


class UnusableArguments(ParleyError):
    """A model wrote arguments of a tool that cannot be stored."""


class TurnTool(Protocol):
    """A tool that its user lets models call."""

    @property
    def spec(self) -> ToolSpec:
        """What it is."""
        ...

    @property
    def user_requires_approval(self) -> bool | None:
        """Whether its user wants to be asked each time, None if they did not say."""
        ...


class TurnToolbox(Protocol):
    """One user's tools, bound to them by the server: no argument of a call says whose they are."""

    @property
    def offered(self) -> Sequence[TurnTool]:
        """The tools that are enabled and that the caller's scopes allow."""
        ...

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolOutcome:
        """Check the arguments and run one tool. Several threads may call it at once. Never raises: all that happens is an outcome."""
        ...


# In two steps: what takes long is asked before the transaction is open.
type ToolboxFactory = Callable[[Principal], Callable[[Connection], TurnToolbox]]


def no_tools(_principal: Principal) -> Callable[[Connection], TurnToolbox]:
    """Return what gives nobody any tools."""
    return lambda _connection: EmptyToolbox()


class EmptyToolbox:
    """No tools at all."""

    offered: Sequence[TurnTool] = ()

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolOutcome:  # noqa: ARG002 - there is nothing to run
        """Say so."""
        return ToolOutcome(False, f"There is no tool {name!r}.", 0.0)


_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True, eq=False)
class ParsedToolCall:
    """A call whose arguments can be stored; with `is_sound` false, the model wrote some that cannot be."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    has_valid_arguments: bool = True

    @classmethod
    def of(cls, call: llm.ToolCall, *, taken: Container[str]) -> Self:
        """Read a model's call. It keeps the vendor's id, unless that is `taken`: some vendors count anew in each answer."""
        call_id = f"call_{new_id().hex}" if call.id in taken else call.id
        try:
            return cls(call_id, call.name, _storable_json(json.loads(call.arguments), depth=0))
        except (UnusableArguments, RecursionError):
            return cls(call_id, call.name, {}, has_valid_arguments=False)

    @classmethod
    def stored(cls, part: MessagePart) -> Self:
        """Read a call that was stored."""
        return cls(part["call_id"], part["name"], part["arguments"])


def _storable_json(value: Any, *, depth: int) -> Any:
    """Return JSON that PostgreSQL takes too. Raises UnusableArguments for what is too deep or no number."""
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


MAX_RESULT_BYTES = 64 * 1024


# A tool ends itself in time; one that does not is left alone so long after it.
TOOL_GRACE_S = 0.5


_TRUNCATION_NOTE = "\n[cut here: the result is longer]"


class ParallelToolCalls:
    """Runs each call in a thread of its own. Nobody waits for a thread that hangs: it is a daemon, and what it says is not heard."""

    def __init__(self, toolbox: TurnToolbox, calls: Mapping[ParsedToolCall, float]) -> None:
        """Start the calls, each with the seconds that it may take."""
        self._results: Queue[tuple[ParsedToolCall, ToolOutcome]] = Queue()
        self._began_s = time.monotonic()
        self._give_up_at_s = {call: self._began_s + timeout_s + TOOL_GRACE_S for call, timeout_s in calls.items()}
        for call, timeout_s in calls.items():
            threading.Thread(target=partial(self._run, toolbox, call, timeout_s), name="tool", daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether a result is still to come."""
        return bool(self._give_up_at_s)

    def next(self, *, timeout_s: float) -> tuple[ParsedToolCall, ToolOutcome] | None:
        """Return the next result, or None if none came in time."""
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
                logger.warning("a tool hangs", tool=call.name)
                return call, ToolOutcome(False, "The tool did not answer in time.", _milliseconds(now_s - self._began_s))
        return None

    def _run(self, toolbox: TurnToolbox, call: ParsedToolCall, timeout_s: float) -> None:
        try:
            outcome = toolbox.run(call.name, call.arguments, timeout_s=timeout_s)
        except Exception:  # around a tool's run: whatever it does, the model is told and the turn goes on
            logger.exception("a tool broke", tool=call.name)
            outcome = ToolOutcome(False, "The tool failed.", 0.0)
        elapsed_ms = _milliseconds(time.monotonic() - self._began_s)
        self._results.put((call, replace(outcome, content=truncate_result(storable(outcome.content)), elapsed_ms=elapsed_ms)))


def truncate_result(content: str, *, max_bytes: int = MAX_RESULT_BYTES) -> str:
    """Return a result that is no longer than `most_bytes` of UTF-8, with a note where something is missing."""
    written = content.encode()
    if len(written) <= max_bytes:
        return content
    return written[: max(0, max_bytes - len(_TRUNCATION_NOTE))].decode(errors="ignore") + _TRUNCATION_NOTE


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
