"""What the stack says while it runs: the access log, the functions' output, and what went wrong."""

import traceback
from datetime import datetime
from pathlib import Path
from typing import TextIO

from local.console import Colour, Console
from local.gateway.exchange import Exchange
from local.loglines import Shown, shown
from local.mailbox import Mail
from local.runtime.outcome import Failure, Outcome
from local.template.stack import EventSource, Invocation, Schedule


class Journal:
    """Writes to the terminal, and each function's output also to `<folder>/<function>.log`; the last run's logs are gone.

    The terminal is spared JSON log lines below WARNING, and metrics, unless `is_verbose`.
    """

    def __init__(self, console: Console, folder: Path, *, is_verbose: bool = False) -> None:
        self._console = console
        self._is_verbose = is_verbose
        self._folder = folder
        self._files: dict[str, TextIO] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in folder.glob("*.log"):
            old.unlink()

    def output(self, function: str, text: str) -> None:
        """Take a line of a worker's output; Lambda's runtime puts carriage returns for new lines within one."""
        for line in text.rstrip("\r\n").split("\r"):
            self._show(function, Shown(line, "dim") if self._is_verbose else shown(line))
            self.platform(function, line)

    def platform(self, function: str, text: str) -> None:
        """Take a line of Lambda itself: only the file gets it."""
        file = self._files.get(function) or self._open(function)
        file.write(f"{text}\n")
        file.flush()

    def trouble(self, function: str, text: str) -> None:
        """Take what a developer should see at once."""
        self._console.say(f"{function}: {text}", "red")
        self.platform(function, text)

    def access(self, exchange: Exchange, status: int) -> None:
        """Write the line of a request."""
        target = exchange.route.integration if exchange.route else None
        function = target.function if isinstance(target, Invocation) else "-"
        parts = [
            f"{_clock()} {exchange.method:<6} {exchange.path} {status} {exchange.elapsed_ms:.0f} ms",
            function,
            exchange.request_id[:8],
        ]
        self._console.say("  ".join([*parts, *exchange.marks]), _colour(status))
        if exchange.trouble:
            self._console.say(f"         {exchange.trouble}", "yellow")

    def crashed(self, exchange: Exchange, error: Exception) -> None:
        """Write what the emulator itself did wrong."""
        self._console.say(f"the emulator failed on {exchange.method} {exchange.path}:\n{''.join(traceback.format_exception(error))}", "red")

    def fired(self, schedule: Schedule, outcome: Outcome) -> None:
        """Write the line of a schedule that ran."""
        result = f"failed: {outcome.message}" if isinstance(outcome, Failure) else "done"
        self._console.say(
            f"{_clock()} schedule {schedule.name}  {schedule.function}  {result}", "red" if isinstance(outcome, Failure) else None
        )

    def consumed(self, source: EventSource, *, count: int, failed: int, trouble: str | None) -> None:
        """Write the line of a batch that a function got from a queue."""
        result = "done" if not failed else f"{failed} failed: {trouble}" if trouble else f"{failed} failed"
        messages = "1 message" if count == 1 else f"{count} messages"
        self._console.say(f"{_clock()} queue {source.queue}  {source.function}  {messages}  {result}", "red" if failed else None)

    def unread(self, source: EventSource, reason: str) -> None:
        """Write that a queue cannot be read; it is tried again."""
        self._console.say(f"{_clock()} queue {source.queue} cannot be read: {reason}", "red")

    def posted(self, mail: Mail) -> None:
        """Write a mail as its recipient sees it."""
        self._console.say(f"{_clock()} mail to {', '.join(mail.to)}  {mail.subject}", "bold")
        for line in mail.text.strip().splitlines():
            self._console.say(f"mail │ {line}")

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _show(self, function: str, line: Shown | None) -> None:
        for part in line.text.split("\n") if line else ():
            self._console.say(f"{short_name(function)} │ {part}", line.colour if line else None)

    def _open(self, function: str) -> TextIO:
        self._files[function] = file = (self._folder / f"{function}.log").open("w", encoding="utf-8")
        return file


def short_name(function: str) -> str:
    """Return a function's name as the terminal shows it: `chat` of `ChatFunction`."""
    return function.removesuffix("Function").lower()


def _clock() -> str:
    return datetime.now().strftime("%H:%M:%S")


def _colour(status: int) -> Colour | None:
    if status >= 500:
        return "red"
    return "yellow" if status >= 400 else None
