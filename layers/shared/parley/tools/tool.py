"""A tool as the tool runner has it: what it is, and how it runs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parley.tools.call import Call
from parley.tools.errors import ToolUnusable
from parley.tools.spec import LONGEST_TIMEOUT_S, ToolSpec

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")  # no dots: those part an MCP server's name from its tool's


@dataclass(frozen=True, slots=True)
class Tool:
    """`run` takes the arguments as they came, and returns the output or something to be awaited for it."""

    spec: ToolSpec
    run: Callable[[Mapping[str, Any], Call], Any]

    def __post_init__(self) -> None:
        spec = self.spec
        if not _NAME.fullmatch(spec.name):
            raise ToolUnusable(f"{spec.name!r} is no name for a tool: letters, digits, _ and -, 64 at most")
        if not spec.description.strip():
            raise ToolUnusable(f"the tool {spec.name} has no description: write a docstring")
        if not 0 < spec.timeout_s <= LONGEST_TIMEOUT_S:
            raise ToolUnusable(f"the tool {spec.name} may run for {LONGEST_TIMEOUT_S:g} s at most, not for {spec.timeout_s:g} s")
