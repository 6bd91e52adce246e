"""The outcome of running a tool: text of limited size, or a failure that is described for the model."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from parley.llm.provider import storable
from parley.observability import logger

if TYPE_CHECKING:
    # Not at run time: the module imports SQLAlchemy, which the tool runner does not need.
    from parley.db.chunks import FoundChunk

MAX_RESULT_BYTES = 64 * 1024
_TRUNCATION_NOTE = "\n[Truncated: the result is longer.]"


@dataclass(frozen=True, slots=True)
class ArgumentError:
    """An error in a call's arguments; `path` leads from the arguments object to the invalid value."""

    path: tuple[str | int, ...]
    msg: str

    def __str__(self) -> str:
        return f"/{'/'.join(map(str, self.path))}: {self.msg}"


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A web page that a search engine found. `text` contains the engine's excerpts."""

    url: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class AskedForm:
    """A form that an MCP server asks its user to answer. `request` has what the server needs to continue the call."""

    form: Mapping[str, Any]
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """A tool's result as text, or, if `ok` is false, the reason for the failure, worded for the model.

    `found` contains the document chunks or web pages of the text, which an answer may cite. If there are `argument_errors`, the tool
    did not run. If the tool `asked` its user, there is no result yet. `run_safely` measures `elapsed_ms`, and a call that has timed out
    sets it; it is 0 for a call that did not run.
    """

    ok: bool
    content: str
    elapsed_ms: float = 0.0
    found: Sequence["FoundChunk | FoundPage"] = ()
    argument_errors: Sequence[ArgumentError] = ()
    asked: AskedForm | None = None


def run_safely(tool_name: str, run: Callable[[], ToolOutcome]) -> ToolOutcome:
    """Run a tool and return its outcome with the elapsed time and truncated content. Never raises: an exception is a failure."""
    started_s = time.perf_counter()
    try:
        outcome = run()
    except Exception as exc:  # around a tool's run: whatever it raises, the model gets a result
        # The places only: the exception's text may contain the arguments.
        trace = traceback.format_tb(exc.__traceback__)
        error, cause = type(exc).__name__, type(exc.__cause__).__name__
        logger.warning("tool_failed", tool=log_name(tool_name), error=error, cause=cause, traceback=trace)
        outcome = ToolOutcome(False, "The tool failed.")
    elapsed_ms = round((time.perf_counter() - started_s) * 1000, 1)
    return replace(outcome, content=truncate_result(outcome.content), elapsed_ms=elapsed_ms)


def log_name(tool_name: str) -> str:
    """Return the name of a tool for the log. A tool `server.tool` of an MCP server is logged as `mcp`: a user named the server."""
    return "mcp" if "." in tool_name else tool_name


def truncate_result(text: str, *, max_bytes: int = MAX_RESULT_BYTES) -> str:
    """Return storable text of at most `max_bytes` of UTF-8, with a note at the end if it was truncated."""
    encoded = storable(text[: max_bytes + 1]).encode()
    if len(encoded) <= max_bytes and len(text) <= max_bytes:
        return encoded.decode()
    return encoded[: max(0, max_bytes - len(_TRUNCATION_NOTE))].decode(errors="ignore") + _TRUNCATION_NOTE
