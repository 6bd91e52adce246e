"""The tools that one user has: the deployment's, those of MCP servers, and those of the caller's own function.

What the user has set is joined to each. Made inside a transaction, used outside of it: nothing here keeps the connection.
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
from parley.tools.checking import faults
from parley.tools.outcome import Outcome
from parley.tools.own import OwnTool
from parley.tools.remotes import Remotes
from parley.tools.runner import ToolRunner
from parley.tools.spec import ToolSpec

MOST_BYTES = 64 * 1024
_CUT = "\n[The rest was cut off.]"

type Run = Callable[[Mapping[str, Any], float], Outcome]


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool with its user's word on it. `wish` is what `needs_approval` takes.

    `is_enabled` joins the tool's own default and the user's setting.
    """

    spec: ToolSpec
    wish: bool | None
    is_enabled: bool

    @property
    def requires_approval(self) -> bool:
        """Whether a call always waits for its user, whatever is in the context."""
        return self.spec.requires_approval or bool(self.wish)


class Toolbox:
    """A user's tools by name. `run` may be called by several threads at once."""

    def __init__(self, tools: Mapping[str, tuple[Offered, Run]]) -> None:
        self._tools = tools

    @property
    def all(self) -> list[Offered]:
        """Every tool that there is for the user, the disabled ones too, by name."""
        return [self._tools[name][0] for name in sorted(self._tools)]

    @property
    def offered(self) -> list[Offered]:
        """The tools that a model may be told of, by name."""
        return [tool for tool in self.all if tool.is_enabled]

    def get(self, name: str) -> Offered | None:
        """Return an enabled tool, or None where the user has none of this name."""
        tool, _ = self._tools.get(name, (None, None))
        return tool if tool and tool.is_enabled else None

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Outcome:
        """Run a tool. Never raises: an unknown name, arguments that do not fit and every failure are outcomes.

        Whether the call needs an approval is the caller's to decide, before.
        """
        tool = self.get(name)
        if tool is None:
            return Outcome(False, f"There is no tool {name!r}.", 0.0)
        if wrong := faults(tool.spec.parameters, arguments):
            return Outcome(False, "The arguments do not fit: " + "; ".join(map(str, wrong)), 0.0)
        return _safely(self._tools[name][1], name, arguments, min(timeout_s, tool.spec.timeout_s))


def toolbox(
    connection: Connection,
    runner: ToolRunner,
    *,
    user_id: UUID,
    scopes: Collection[str],
    remotes: Remotes | None = None,
    own: Sequence[OwnTool] = (),
) -> Toolbox:
    """Return the tools of a user whose token may do `scopes`, as the database has them listed: no server is asked.

    Call `runner.specs()` before the transaction: here it is called again, and answers what it has kept. Where two
    tools have one name, the caller's own goes before the deployment's, and these before an MCP server's.
    """
    settings = tool_settings.all_of(connection, user_id=user_id)
    found: dict[str, tuple[Offered, Run]] = {}
    for spec, run in _everything(connection, runner, user_id, remotes, own):
        if frozenset(spec.scopes) <= frozenset(scopes):
            found.setdefault(spec.name, (offered(spec, settings.get(spec.name)), run))
    return Toolbox(found)


def offered(spec: ToolSpec, setting: ToolSetting | None) -> Offered:
    """Join a tool and its user's setting. What an MCP server's tool does is anybody's guess: it asks unless the user lifts that."""
    setting = setting or ToolSetting(spec.name)
    wish = setting.requires_approval if setting.requires_approval is not None or spec.source != "mcp" else True
    return Offered(spec, wish, spec.is_enabled if setting.is_enabled is None else setting.is_enabled)


def _everything(
    connection: Connection, runner: ToolRunner, user_id: UUID, remotes: Remotes | None, own: Sequence[OwnTool]
) -> Iterator[tuple[ToolSpec, Run]]:
    for tool in own:
        yield tool.spec, partial(_run_here, tool)
    for spec in runner.specs():
        yield spec, partial(_run_there, runner, spec.name, user_id)
    if remotes:
        yield from remotes.tools(connection, user_id=user_id)


def _run_here(tool: OwnTool, arguments: Mapping[str, Any], timeout_s: float) -> Outcome:
    """Run a tool beside its caller. Nothing can end a thread: one that is too slow is left, and its answer, too."""
    answer: Future[str | Outcome] = Future()
    Thread(target=copy_context().run, args=(_answer, answer, tool, arguments), name=tool.spec.name, daemon=True).start()
    done, _ = wait([answer], timeout_s)
    said = answer.result() if done else Outcome(False, f"The tool did not answer within {timeout_s:g} seconds.", 0.0)
    return said if isinstance(said, Outcome) else Outcome(True, said, 0.0)


def _answer(answer: Future[str | Outcome], tool: OwnTool, arguments: Mapping[str, Any]) -> None:
    try:
        answer.set_result(tool.run(arguments))
    except Exception as exc:  # whoever waits gets it
        answer.set_exception(exc)


def _run_there(runner: ToolRunner, name: str, user_id: UUID, arguments: Mapping[str, Any], timeout_s: float) -> Outcome:
    return runner.run(name, arguments, user_id=user_id, timeout_s=timeout_s)


def _safely(run: Run, name: str, arguments: Mapping[str, Any], timeout_s: float) -> Outcome:
    started = time.perf_counter()
    try:
        outcome = run(arguments, timeout_s)
    except Exception as exc:
        logger.warning("a tool failed", tool=name, reason=repr(exc))
        outcome = Outcome(False, "The tool failed.", 0.0)
    return replace(outcome, content=_cut(outcome.content), elapsed_ms=(time.perf_counter() - started) * 1000)


def _cut(text: str) -> str:
    """Keep to the limit, in whole characters that can be stored, and say so."""
    encoded = storable(text).encode()
    if len(encoded) <= MOST_BYTES:
        return encoded.decode()
    return encoded[: MOST_BYTES - len(_CUT)].decode(errors="ignore") + _CUT
