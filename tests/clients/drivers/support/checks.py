"""The checks of a driver. Each result is a line of JSON, which `tests/clients/run.py` reads.

The fake vendor's model answers as `tests/clients/model.py` says.
"""

import json
import os
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

URL = os.environ["PARLEY_URL"]
KEY = os.environ["PARLEY_KEY"]
MODEL = "vendor"
QUESTION, ANSWER = "Hello there", "You said: Hello there"
TOOL_QUESTION, TOOL_ANSWER = 'Call add {"a": 2, "b": 3}', "The tool returned: 5"
# The values of a sample of `{"name": string, "age": integer}`.
PERSON = {"name": "Ada", "age": 36}


def check(name: str) -> Callable[[Callable[[], None]], None]:
    """Run the decorated function at once and report it under `name`."""

    def run(function: Callable[[], None]) -> None:
        error = ""
        try:
            function()
        except Exception as exc:  # every error is a result
            traceback.print_exc()
            error = f"{type(exc).__name__}: {exc}"[:500]
        print(json.dumps({"check": name, "error": error}), flush=True)

    return run


def equal(found: object, wanted: object) -> None:
    """Raise AssertionError unless the values are equal."""
    assert found == wanted, f"{found!r} instead of {wanted!r}"


@contextmanager
def raises(kind: type[BaseException], text: str = "") -> Iterator[None]:
    """Raise AssertionError unless the block raises an error of this class with this text."""
    try:
        yield
    except kind as exc:
        found = str(exc)
    else:
        raise AssertionError(f"{kind.__name__} was not raised")
    assert text in found, f"{text!r} is not in {found}"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def command(*words: str, status: int = 0, **variables: str) -> str:
    """Run a program and return its output. Raises AssertionError if it ends with another status."""
    done = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == status, f"status {done.returncode}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
    return done.stdout + done.stderr
