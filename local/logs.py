"""The log of the running stack: requests, triggers, mails, the functions' output, and errors.

The terminal shows the functions' JSON log lines in a readable form and omits those below WARNING; the files have every line.
"""

import contextlib
import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

from local.console import Colour, Console
from local.gateway.request import GatewayRequest
from local.mailbox import SentMail
from local.runtime.outcome import Failure, Outcome
from local.template.stack import EventSource, LambdaIntegration, Schedule

# Marks CloudWatch metrics in the embedded metric format, which only CloudWatch reads.
METRICS_FIELD = "_aws"
# Lambda's runtime prints seven lines of advice before each exception.
_EXCEPTION_ADVICE = "LAMBDA_WARNING: Unhandled exception."
_LEVEL_COLOURS: dict[str, Colour] = {"WARNING": "yellow", "WARN": "yellow", "ERROR": "red", "CRITICAL": "red", "FATAL": "red"}

# Powertools and Lambda's runtime put these fields on every line; the other fields are specific to the event.
_STANDARD_FIELDS = {
    *("level", "location", "message", "timestamp", "service", "cold_start", "sampling_rate", "xray_trace_id", "logger", "log_level"),
    *("function_name", "function_memory_size", "function_arn", "function_request_id"),
    *("exception", "exception_name", "stack_trace", "stackTrace", "errorType", "errorMessage", "requestId"),
}


@dataclass(frozen=True)
class TerminalText:
    """Text of one or more lines, with its colour."""

    text: str
    colour: Colour


def terminal_text(line: str) -> TerminalText | None:
    """Return the text for a line of a function's output, or None to omit the line.

    Metrics, JSON log lines below WARNING, the runtime's advice before an exception, and its report of a failed start are
    omitted; the emulator reports a failed start itself. Lines that are not JSON log lines are shown unchanged.
    """
    if is_advice(line):
        return None
    fields = line_fields(line)
    if fields is None:
        return TerminalText(line, "dim")
    if METRICS_FIELD in fields or (str(fields.get("errorType")).startswith("Runtime.") and not fields.get("stackTrace")):
        return None
    level = str(fields.get("level", "")).upper()
    if not level:
        return TerminalText(line, "dim")
    if level not in _LEVEL_COLOURS:
        return None
    return TerminalText("\n".join([summary(level, fields), *traceback_lines(fields)]), _LEVEL_COLOURS[level])


def is_advice(line: str) -> bool:
    """Return whether the line is the advice that Lambda's runtime prints before an exception."""
    return _EXCEPTION_ADVICE in line


def line_fields(line: str) -> dict[str, Any] | None:
    """Return the fields of a JSON log line, or None for other text."""
    if not line.startswith("{"):
        return None
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def summary(level: str, fields: dict[str, Any]) -> str:
    """Return `LEVEL message  key=value …`. For an error reported by Lambda's runtime, the message is the error's type and text."""
    error = ": ".join(str(fields[key]) for key in ("errorType", "errorMessage") if fields.get(key))
    message = str(fields.get("message") or error)
    pairs = [f"{key}={_value(value)}" for key, value in fields.items() if key not in _STANDARD_FIELDS and value is not None]
    return "  ".join([f"{level} {message}", *([" ".join(pairs)] if pairs else [])])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def traceback_lines(fields: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the traceback, indented."""
    trace = fields.get("exception") or fields.get("stackTrace") or ""
    text = "\n".join(str(part) for part in trace) if isinstance(trace, list) else str(trace)
    yield from (f"  {line}" for line in text.splitlines() if line.strip())


class StackLog:
    """Writes to the terminal, and each function's output also to `<folder>/<function>.log`.

    Creating a StackLog deletes the logs of the previous run. With `is_verbose`, the terminal shows every line of output unchanged.
    """

    def __init__(self, console: Console, folder: Path, *, is_verbose: bool = False) -> None:
        self._console = console
        self._is_verbose = is_verbose
        self._folder = folder
        self._files: dict[str, FileIO] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in folder.glob("*.log"):
            old.unlink()

    def output(self, function: str, text: str) -> None:
        """Log a line of a worker's output. Lambda's runtime writes the newlines within a message as carriage returns."""
        for line in text.rstrip("\r\n").split("\r"):
            self._show(function, TerminalText(line, "dim") if self._is_verbose else terminal_text(line))
            self.platform(function, line)

    def platform(self, function: str, text: str) -> None:
        """Log a line from Lambda's platform, to the file only. On a full disk the line is lost, because the function must go on."""
        with contextlib.suppress(OSError):
            file = self._files.get(function) or self._open(function)
            file.write(f"{text}\n".encode())

    def alert(self, function: str, text: str) -> None:
        """Log an error that the developer should see at once."""
        self._console.print(f"{function}: {text}", "red")
        self.platform(function, text)

    def access(self, request: GatewayRequest, status: int) -> None:
        """Log a request."""
        target = request.route.integration if request.route else None
        function = target.function if isinstance(target, LambdaIntegration) else "-"
        parts = [
            f"{_clock_time()} {request.method:<6} {request.path} {status} {request.elapsed_ms:.0f} ms",
            function,
            request.request_id[:8],
        ]
        self._console.print("  ".join([*parts, *request.notes]), _status_colour(status))
        if request.error_reason:
            self._console.print(f"         {request.error_reason}", "yellow")

    def crashed(self, request: GatewayRequest, error: Exception) -> None:
        """Log an error in the emulator itself."""
        self._console.print(f"the emulator failed on {request.method} {request.path}:\n{''.join(traceback.format_exception(error))}", "red")

    def schedule_ran(self, schedule: Schedule, outcome: Outcome) -> None:
        """Log a run of a schedule."""
        result = f"failed: {outcome.message}" if isinstance(outcome, Failure) else "done"
        self._console.print(
            f"{_clock_time()} schedule {schedule.name}  {schedule.function}  {result}", "red" if isinstance(outcome, Failure) else None
        )

    def batch_done(self, source: EventSource, *, count: int, failed: int, reason: str | None) -> None:
        """Log a batch of messages; `reason` is set if the whole batch failed."""
        result = "done" if not failed else f"{failed} failed: {reason}" if reason else f"{failed} failed"
        messages = "1 message" if count == 1 else f"{count} messages"
        self._console.print(f"{_clock_time()} queue {source.queue}  {source.function}  {messages}  {result}", "red" if failed else None)

    def queue_unreadable(self, source: EventSource, reason: str) -> None:
        """Log that a queue cannot be read; the poller retries."""
        self._console.print(f"{_clock_time()} cannot read queue {source.queue}: {reason}", "red")

    def mail_sent(self, mail: SentMail) -> None:
        """Log a mail with its text."""
        self._console.print(f"{_clock_time()} mail to {', '.join(mail.to)}  {mail.subject}", "bold")
        for line in mail.text.strip().splitlines():
            self._console.print(f"mail │ {line}")

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _show(self, function: str, line: TerminalText | None) -> None:
        for part in line.text.split("\n") if line else ():
            self._console.print(f"{short_name(function)} │ {part}", line.colour if line else None)

    def _open(self, function: str) -> FileIO:
        # Without a buffer, so that a line that cannot be written does not fail later writes.
        self._files[function] = file = (self._folder / f"{function}.log").open("wb", buffering=0)
        return file


def short_name(function: str) -> str:
    """Return a function's name for the terminal: `chat` for `ChatFunction`."""
    return function.removesuffix("Function").lower()


def _clock_time() -> str:
    return datetime.now().strftime("%H:%M:%S")


def _status_colour(status: int) -> Colour | None:
    if status >= 500:
        return "red"
    return "yellow" if status >= 400 else None
