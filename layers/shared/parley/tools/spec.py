"""A tool: its specification, how it runs, what it is given beside its arguments, and how it fails.

Plugin authors import `ToolContext` and `ToolFailed` from here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from parley.errors import ParleyError
from parley.tools.guarded_http.client import GuardedHttp


class ToolFailed(ParleyError):
    """The tool has no answer; `public_message` says why, in words for the model and its user."""

    status, code = 422, "tool_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.public_message = reason


class ToolUnusable(ParleyError):
    """What was to be registered as a tool cannot be one."""

    code = "tool_unusable"


type ToolSource = Literal["builtin", "plugin", "langchain", "mcp"]

MAX_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as models and users see it; `parameters` is the JSON schema of its one object of arguments.

    `egress` says that its arguments leave the deployment, `writes` that it changes something: where text that nobody
    vouches for is in the context, both need an approval. `scopes` are what the caller's key must have.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    source: ToolSource
    requires_approval: bool = False
    is_enabled: bool = True
    egress: bool = False
    writes: bool = False
    timeout_s: float = MAX_TIMEOUT_S
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom a tool runs, and its way to the internet. A tool that wants it declares one parameter of this type.

    The server says who the user is: no argument can.
    """

    user_id: UUID
    http: GuardedHttp


_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")  # no dots: those part an MCP server's name from its tool's


@dataclass(frozen=True, slots=True)
class Tool:
    """`run` takes the arguments as they came, and returns the output or something to be awaited for it."""

    spec: ToolSpec
    run: Callable[[Mapping[str, Any], ToolContext], Any]

    def __post_init__(self) -> None:
        spec = self.spec
        if not _TOOL_NAME.fullmatch(spec.name):
            raise ToolUnusable(f"{spec.name!r} is no name for a tool: letters, digits, _ and -, 64 at most")
        if not spec.description.strip():
            raise ToolUnusable(f"the tool {spec.name} has no description: write a docstring")
        if not 0 < spec.timeout_s <= MAX_TIMEOUT_S:
            raise ToolUnusable(f"the tool {spec.name} may run for {MAX_TIMEOUT_S:g} s at most, not for {spec.timeout_s:g} s")
