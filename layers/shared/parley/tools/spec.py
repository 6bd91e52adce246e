"""What a tool is, whoever runs it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

type ToolSource = Literal["builtin", "plugin", "langchain", "mcp"]

LONGEST_TIMEOUT_S = 10.0


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
    timeout_s: float = LONGEST_TIMEOUT_S
    scopes: tuple[str, ...] = ()
