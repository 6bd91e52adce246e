"""The tools of one user: the deployment's, those of MCP servers, and in-process tools, which need the caller's database.

The user's settings are joined to each. Made inside a transaction and used outside of it: nothing here keeps the connection.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from parley.db import tool_settings
from parley.db.tool_settings import ToolSetting
from parley.llm.provider import storable
from parley.observability import logger
from parley.tools.arguments import argument_errors
from parley.tools.invoker import ToolRunner
from parley.tools.mcp_registry import McpRegistry
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec


@dataclass(frozen=True, slots=True)
class InProcessTool:
    """A tool, and what runs it: it takes arguments that fit the schema and opens what transactions it needs by itself.

    The user is bound when it is made, never taken from the arguments.
    """

    spec: ToolSpec
    run: Callable[[Mapping[str, Any]], str | ToolOutcome]


MAX_RESULT_BYTES = 64 * 1024
_TRUNCATION_NOTE = "\n[The rest was cut off.]"

type RunTool = Callable[[Mapping[str, Any], float], ToolOutcome]


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool with its user's word on it. `wish` is what `needs_approval` takes.

    `is_enabled` joins the tool's own default and the user's setting.
    """

    spec: ToolSpec
    user_requires_approval: bool | None
    is_enabled: bool

    @property
    def requires_approval(self) -> bool:
        """Whether a call always waits for its user, whatever is in the context."""
        return self.spec.requires_approval or bool(self.user_requires_approval)


class Toolbox:
    """A user's tools by name. `run` may be called by several threads at once."""

    def __init__(self, tools: Mapping[str, tuple[OfferedTool, RunTool]]) -> None:
        self._tools = tools

    @property
    def all(self) -> list[OfferedTool]:
        """Every tool that there is for the user, the disabled ones too, by name."""
        return [self._tools[name][0] for name in sorted(self._tools)]

    @property
    def offered(self) -> list[OfferedTool]:
        """The tools that a model may be told of, by name."""
        return [tool for tool in self.all if tool.is_enabled]

    def get(self, name: str) -> OfferedTool | None:
        """Return an enabled tool, or None where the user has none of this name."""
        tool, _ = self._tools.get(name, (None, None))
        return tool if tool and tool.is_enabled else None

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolOutcome:
        """Run a tool. Never raises: an unknown name, arguments that do not fit and every failure are outcomes.

        Whether the call needs an approval is the caller's to decide, before.
        """
        tool = self.get(name)
        if tool is None:
            return ToolOutcome(False, f"There is no tool {name!r}.", 0.0)
        if wrong := argument_errors(tool.spec.parameters, arguments):
            return ToolOutcome(False, "The arguments do not fit: " + "; ".join(map(str, wrong)), 0.0)
        return _run_safely(self._tools[name][1], name, arguments, min(timeout_s, tool.spec.timeout_s))


def make_toolbox(
    connection: Connection,
    runner: ToolRunner,
    *,
    user_id: UUID,
    scopes: Collection[str],
    mcp_registry: McpRegistry | None = None,
    in_process_tools: Sequence[InProcessTool] = (),
) -> Toolbox:
    """Return the tools of a user whose token may do `scopes`, as the database has them listed: no server is asked.

    Call `runner.specs()` before the transaction: here it is called again, and answers what it has kept. Where two
    tools have one name, the caller's own goes before the deployment's, and these before an MCP server's.
    """
    settings = tool_settings.list_all(connection, user_id=user_id)
    found: dict[str, tuple[OfferedTool, RunTool]] = {}
    for spec, run in _all_tools(connection, runner, user_id, mcp_registry, in_process_tools):
        if frozenset(spec.scopes) <= frozenset(scopes):
            found.setdefault(spec.name, (with_setting(spec, settings.get(spec.name)), run))
    return Toolbox(found)


def with_setting(spec: ToolSpec, setting: ToolSetting | None) -> OfferedTool:
    """Join a tool and its user's setting. What an MCP server's tool does is anybody's guess: it asks unless the user lifts that."""
    setting = setting or ToolSetting(spec.name)
    user_requires_approval = setting.requires_approval if setting.requires_approval is not None or spec.source != "mcp" else True
    return OfferedTool(spec, user_requires_approval, spec.is_enabled if setting.is_enabled is None else setting.is_enabled)


def _all_tools(
    connection: Connection, runner: ToolRunner, user_id: UUID, mcp_registry: McpRegistry | None, in_process_tools: Sequence[InProcessTool]
) -> Iterator[tuple[ToolSpec, RunTool]]:
    for tool in in_process_tools:
        yield tool.spec, partial(_run_in_process, tool)
    for spec in runner.specs():
        yield spec, partial(_run_remotely, runner, spec.name, user_id)
    if mcp_registry:
        yield from mcp_registry.tools(connection, user_id=user_id)


def _run_in_process(tool: InProcessTool, arguments: Mapping[str, Any], timeout_s: float) -> ToolOutcome:
    """Run a tool beside its caller. Nothing can end a thread: one that is too slow is left, and its answer, too."""
    answer: Future[str | ToolOutcome] = Future()
    Thread(target=copy_context().run, args=(_run_into, answer, tool, arguments), name=tool.spec.name, daemon=True).start()
    done, _ = wait([answer], timeout_s)
    said = answer.result() if done else ToolOutcome(False, f"The tool did not answer within {timeout_s:g} seconds.", 0.0)
    return said if isinstance(said, ToolOutcome) else ToolOutcome(True, said, 0.0)


def _run_into(answer: Future[str | ToolOutcome], tool: InProcessTool, arguments: Mapping[str, Any]) -> None:
    try:
        answer.set_result(tool.run(arguments))
    except Exception as exc:  # whoever waits gets it
        answer.set_exception(exc)


def _run_remotely(runner: ToolRunner, name: str, user_id: UUID, arguments: Mapping[str, Any], timeout_s: float) -> ToolOutcome:
    return runner.run(name, arguments, user_id=user_id, timeout_s=timeout_s)


def _run_safely(run: RunTool, name: str, arguments: Mapping[str, Any], timeout_s: float) -> ToolOutcome:
    started = time.perf_counter()
    try:
        outcome = run(arguments, timeout_s)
    except Exception as exc:
        logger.warning("a tool failed", tool=name, reason=repr(exc))
        outcome = ToolOutcome(False, "The tool failed.", 0.0)
    return replace(outcome, content=_truncated(outcome.content), elapsed_ms=(time.perf_counter() - started) * 1000)


def _truncated(text: str) -> str:
    """Keep to the limit, in whole characters that can be stored, and say so."""
    encoded = storable(text).encode()
    if len(encoded) <= MAX_RESULT_BYTES:
        return encoded.decode()
    return encoded[: MAX_RESULT_BYTES - len(_TRUNCATION_NOTE)].decode(errors="ignore") + _TRUNCATION_NOTE
