"""Tools that misbehave in every way there is."""

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
    """Never come back."""
    while True:
        time.sleep(1)


@tool
def hang_without_the_lock() -> str:
    """Never come back, and let no other thread of the process run."""
    return str(re.match(r"(a+)+$", "a" * 60 + "b"))


@tool(timeout_s=0.3)
def impatient() -> str:
    """Take longer than the tool itself allows."""
    time.sleep(30)
    return "late"


@tool
async def hang_awaiting() -> str:
    """Block a loop of asyncio's."""
    time.sleep(30)
    return "late"


@tool
def leave() -> str:
    """End the process."""
    os._exit(3)


@tool
def die() -> str:
    """End the process as a bug in C would."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return "alive"


@tool
def give_up() -> str:
    """Ask the interpreter to end."""
    sys.exit("enough")


@tool
def fail() -> str:
    """Raise."""
    raise ValueError("the sky is parley_abcdefghijk")


@tool
def recurse(depth: int = 0) -> str:
    """Call itself until there is no stack."""
    return recurse.run({"depth": depth + 1}, None) + "."  # type: ignore[arg-type]


@tool
def flood(size: int) -> str:
    """Say very much."""
    return "é" * size


@tool
def babble() -> Any:
    """Give what is no text."""
    return object()


@tool
def loop() -> Any:
    """Give what holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


@tool
def nothing_that_is_a_number() -> Any:
    """Give what JSON has no word for."""
    return {"n": float("nan")}


@tool
def surroundings() -> dict[str, str]:
    """Tell the environment."""
    return dict(os.environ)


@tool
def who(call: ToolContext) -> str:
    """Tell whom this runs for."""
    return str(call.user_id)


@tool
async def echo(text: str) -> str:
    """Say it again."""
    return text
