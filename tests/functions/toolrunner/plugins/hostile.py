"""Tools that misbehave in every known way."""

import os
import re
import signal
import sys
import time
from typing import Any

from parley.tools.decorator import tool
from parley.tools.spec import ToolContext


@tool
def hang() -> str:
    """Never return."""
    while True:
        time.sleep(1)


@tool
def hang_without_the_lock() -> str:
    """Never return, and never release the interpreter lock."""
    return str(re.match(r"(a+)+$", "a" * 60 + "b"))


@tool(timeout_s=0.3)
def impatient() -> str:
    """Take longer than the tool's own limit."""
    time.sleep(30)
    return "late"


@tool
async def hang_awaiting() -> str:
    """Block the event loop."""
    time.sleep(30)
    return "late"


@tool
def leave() -> str:
    """End the process."""
    os._exit(3)


@tool
def die() -> str:
    """End the process with a segmentation fault."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return "alive"


@tool
def give_up() -> str:
    """Exit the interpreter."""
    sys.exit("enough")


@tool
def fail() -> str:
    """Raise an exception with a secret in its message."""
    raise ValueError("the sky is parley_abcdefghijk")


@tool
def recurse(depth: int = 0) -> str:
    """Recurse until the stack is full."""
    return recurse.run({"depth": depth + 1}, None) + "."  # type: ignore[arg-type]


@tool
def flood(size: int) -> str:
    """Return very long text."""
    return "é" * size


@tool
def babble() -> Any:
    """Return an object that is neither text nor JSON."""
    return object()


@tool
def loop() -> Any:
    """Return a list that contains itself."""
    items: list[Any] = []
    items.append(items)
    return items


@tool
def nothing_that_is_a_number() -> Any:
    """Return a number that JSON cannot represent."""
    return {"n": float("nan")}


@tool
def surroundings() -> dict[str, str]:
    """Return the environment."""
    return dict(os.environ)


@tool
def who(call: ToolContext) -> str:
    """Return the id of the user."""
    return str(call.user_id)


@tool
async def echo(text: str) -> str:
    """Return the text."""
    return text
