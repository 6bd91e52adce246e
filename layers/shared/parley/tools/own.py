"""Tools that run in the caller's own function, because they need its database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parley.tools.outcome import Outcome
from parley.tools.spec import ToolSpec


@dataclass(frozen=True, slots=True)
class OwnTool:
    """A tool, and what runs it: it takes arguments that fit the schema and opens what transactions it needs by itself.

    The user is bound when it is made, never taken from the arguments.
    """

    spec: ToolSpec
    run: Callable[[Mapping[str, Any]], str | Outcome]
