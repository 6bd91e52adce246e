"""The tools of one user: the deployment's, those of MCP servers, and in-process tools, which need the database.

Each tool is combined with the user's settings. A toolbox is made inside a transaction and used outside of it: it does not
keep the connection.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any
from uuid import UUID

from parley.db import tool_settings
from parley.db.engine import Connection
from parley.db.tool_settings import ToolSetting
from parley.llm.genai_spans import start_tool_span
from parley.observability import put_metrics
from parley.tools.arguments import argument_errors, rejected_arguments
from parley.tools.invoker import ToolRunner
from parley.tools.mcp import Elicitation
from parley.tools.mcp_registry import McpRegistry
from parley.tools.outcome import ToolOutcome, log_name, run_safely
from parley.tools.spec import ToolSpec


@dataclass(frozen=True, slots=True)
class InProcessTool:
    """A tool that runs in this process. `run` takes validated arguments and opens its own transactions.

    The user is bound when the tool is made, never taken from the arguments.
    """

    spec: ToolSpec
    run: Callable[[Mapping[str, Any]], str | ToolOutcome]


type RunTool = Callable[[Mapping[str, Any], float, Elicitation | None], ToolOutcome]


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool with the user's settings. `user_requires_approval` is the argument of `needs_approval`.

    `is_enabled` is the user's setting, or the tool's default if there is none.
    """

    spec: ToolSpec
    user_requires_approval: bool | None
    is_enabled: bool

    @property
    def requires_approval(self) -> bool:
        """Whether every call needs approval, even with an untainted context."""
        return self.spec.requires_approval or bool(self.user_requires_approval)


class Toolbox:
    """A user's tools by name. `run` is thread-safe."""

    def __init__(self, tools: Mapping[str, tuple[OfferedTool, RunTool]]) -> None:
        self._tools = tools

    @property
    def all(self) -> list[OfferedTool]:
        """All tools of the user, including disabled ones, sorted by name."""
        return [self._tools[name][0] for name in sorted(self._tools)]

    @property
    def offered(self) -> list[OfferedTool]:
        """The enabled tools, sorted by name."""
        return [tool for tool in self.all if tool.is_enabled]

    def get(self, name: str) -> OfferedTool | None:
        """Return the enabled tool with this name, or None."""
        tool, _ = self._tools.get(name, (None, None))
        return tool if tool and tool.is_enabled else None

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float, elicitation: Elicitation | None = None) -> ToolOutcome:
        """Run a tool. Never raises: an unknown name, invalid arguments and every failure are outcomes.

        The caller must check beforehand whether the call needs approval. Only tools of MCP servers use `elicitation`.
        """
        # The model may invent a name out of the user's words.
        known_name = log_name(name) if self.get(name) else "unknown"
        span = start_tool_span(known_name)
        outcome = self._run(name, arguments, timeout_s=timeout_s, elicitation=elicitation)
        if not outcome.ok:
            span.fail("tool_error")
            put_metrics({"ToolErrors": 1}, tool=known_name)
        span.end()
        return outcome

    def _run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float, elicitation: Elicitation | None) -> ToolOutcome:
        tool = self.get(name)
        if tool is None:
            return ToolOutcome(False, f"Unknown tool {name!r}.")
        # A check against an MCP server's schema can take very long, so the tool runner makes it, under its time limit.
        if tool.spec.source != "mcp" and (errors := argument_errors(tool.spec.parameters, arguments)):
            return rejected_arguments(errors)
        run = self._tools[name][1]
        return run_safely(name, lambda: run(arguments, min(timeout_s, tool.spec.timeout_s), elicitation))


def make_toolbox(
    connection: Connection,
    runner: ToolRunner,
    *,
    user_id: UUID,
    scopes: Collection[str],
    mcp_registry: McpRegistry | None = None,
    in_process_tools: Sequence[InProcessTool] = (),
) -> Toolbox:
    """Return the tools that a token with `scopes` may use. MCP tools come from the stored listings: no server is called.

    Call `runner.specs()` before opening the transaction, so that its cache is filled when it is called again here. If two
    tools have the same name, in-process tools take precedence over the deployment's, and these over MCP servers'.
    """
    settings = tool_settings.list_all(connection, user_id=user_id)
    tools: dict[str, tuple[OfferedTool, RunTool]] = {}
    for spec, run in _all_tools(connection, runner, user_id, mcp_registry, in_process_tools):
        if frozenset(spec.scopes) <= frozenset(scopes):
            tools.setdefault(spec.name, (with_setting(spec, settings.get(spec.name)), run))
    return Toolbox(tools)


def with_setting(spec: ToolSpec, setting: ToolSetting | None) -> OfferedTool:
    """Combine a tool with the user's setting. An MCP server's tool needs approval unless the user has lifted the requirement."""
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


def _run_in_process(tool: InProcessTool, arguments: Mapping[str, Any], timeout_s: float, _elicitation: Elicitation | None) -> ToolOutcome:
    """Run a tool in a thread. A thread cannot be stopped: after `timeout_s` it is abandoned and its result is ignored."""
    future: Future[str | ToolOutcome] = Future()
    Thread(target=copy_context().run, args=(_run_into, future, tool, arguments), name=tool.spec.name, daemon=True).start()
    done, _ = wait([future], timeout_s)
    result = future.result() if done else ToolOutcome(False, f"The tool did not respond within {timeout_s:g} seconds.")
    return result if isinstance(result, ToolOutcome) else ToolOutcome(True, result)


def _run_into(future: Future[str | ToolOutcome], tool: InProcessTool, arguments: Mapping[str, Any]) -> None:
    try:
        future.set_result(tool.run(arguments))
    except Exception as exc:  # raised again in the thread that waits
        future.set_exception(exc)


def _run_remotely(
    runner: ToolRunner, name: str, user_id: UUID, arguments: Mapping[str, Any], timeout_s: float, _elicitation: Elicitation | None
) -> ToolOutcome:
    return runner.run(name, arguments, user_id=user_id, timeout_s=timeout_s)
