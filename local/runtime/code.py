"""Where the code of a function's workers comes from."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.template.stack import Function


@dataclass(frozen=True)
class Code:
    """How a worker is started: the folder it starts in, the command before the handler, and what that needs."""

    root: Path
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def from_sources(function: Function) -> Code:
    """Return the checkout's own code, run by this environment's interpreter and packages."""
    return Code(root=function.root, command=(sys.executable, "-m", "awslambdaric"))
