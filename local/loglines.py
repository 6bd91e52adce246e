"""What of a worker's output the terminal shows: JSON log lines as a person reads them, and the quiet ones not at all."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local.console import Colour

# CloudWatch reads metrics from the log in this form; nobody else does.
_METRICS = "_aws"
# Seven lines of advice before each exception, on how to find out what AWS has changed.
_ADVICE = "LAMBDA_WARNING: Unhandled exception."
_COLOURS: dict[str, Colour] = {"WARNING": "yellow", "WARN": "yellow", "ERROR": "red", "CRITICAL": "red", "FATAL": "red"}
# What Powertools and Lambda's runtime put on every line; the rest is what the line is about.
_USUAL = {
    *("level", "location", "message", "timestamp", "service", "cold_start", "sampling_rate", "xray_trace_id", "logger", "log_level"),
    *("function_name", "function_memory_size", "function_arn", "function_request_id"),
    *("exception", "exception_name", "stack_trace", "stackTrace", "errorType", "errorMessage", "requestId"),
}


@dataclass(frozen=True)
class Shown:
    """Text for the terminal, of one line or more."""

    text: str
    colour: Colour


def shown(line: str) -> Shown | None:
    """Return how the terminal shows a line of output; None for metrics, and for JSON log lines below WARNING.

    A line that is not a JSON log line is shown as it is. What Lambda's runtime says of a failed start is left out
    where the emulator says it too.
    """
    if _ADVICE in line:
        return None
    fields = _fields(line)
    if fields is None:
        return Shown(line, "dim")
    if _METRICS in fields or (str(fields.get("errorType")).startswith("Runtime.") and not fields.get("stackTrace")):
        return None
    level = str(fields.get("level", "")).upper()
    if not level:
        return Shown(line, "dim")
    return Shown("\n".join([_summary(level, fields), *_trace(fields)]), _COLOURS[level]) if level in _COLOURS else None


def _fields(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _summary(level: str, fields: dict[str, Any]) -> str:
    """Return `LEVEL message  key=value …`; an error of Lambda's runtime has a type and a message in other fields."""
    raised = ": ".join(str(fields[key]) for key in ("errorType", "errorMessage") if fields.get(key))
    message = str(fields.get("message") or raised)
    pairs = [f"{key}={_value(value)}" for key, value in fields.items() if key not in _USUAL and value is not None]
    return "  ".join([f"{level} {message}", *([" ".join(pairs)] if pairs else [])])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _trace(fields: dict[str, Any]) -> Iterator[str]:
    """Yield the traceback's lines, indented."""
    found = fields.get("exception") or fields.get("stackTrace") or ""
    text = "\n".join(str(part) for part in found) if isinstance(found, list) else str(found)
    yield from (f"  {line}" for line in text.splitlines() if line.strip())
