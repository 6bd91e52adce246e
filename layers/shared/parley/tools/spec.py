"""A tool: its specification, its function, the context of a call, and its errors.

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
    """The tool has no result; `public_message` gives the reason to the model and the user."""

    code = "tool_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.public_message = reason


class ToolUnusable(ParleyError):
    """A function or specification cannot be registered as a tool."""

    code = "tool_unusable"


type ToolSource = Literal["builtin", "plugin", "langchain", "mcp"]

MAX_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as models and users see it; `parameters` is the JSON schema of the arguments object.

    `egress` means that arguments leave the deployment, `writes` that the tool changes something: both need approval while
    untrusted text is in the context. `scopes` are the scopes that the caller's API key must have.
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
    """The user for whom a tool runs, and the HTTP client it must use. A tool that needs them declares a parameter of this type.

    The server sets the user: no argument of a call can change it.
    """

    user_id: UUID
    http: GuardedHttp


_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")  # without dots, which separate an MCP server's name from its tool's


@dataclass(frozen=True, slots=True)
class Tool:
    """A specification and its function. `run` takes unvalidated arguments and returns the output or an awaitable of it."""

    spec: ToolSpec
    run: Callable[[Mapping[str, Any], ToolContext], Any]

    def __post_init__(self) -> None:
        spec = self.spec
        if not _TOOL_NAME.fullmatch(spec.name):
            raise ToolUnusable(f"invalid tool name {spec.name!r}: use at most 64 letters, digits, _ and -")
        if not spec.description.strip():
            raise ToolUnusable(f"tool {spec.name} has no description: write a docstring")
        if not 0 < spec.timeout_s <= MAX_TIMEOUT_S:
            raise ToolUnusable(f"tool {spec.name} may run for at most {MAX_TIMEOUT_S:g} s, not {spec.timeout_s:g} s")
