"""What the stack says while it runs: the access log, the functions' output, and what went wrong."""

import traceback
from datetime import datetime
from pathlib import Path
from typing import TextIO

from local.console import Colour, Console
from local.gateway.exchange import Exchange
from local.runtime.outcome import Failure, Outcome
from local.template.stack import Invocation, Schedule

# CloudWatch reads metrics from the log in this form; nobody else does, so the terminal is spared them.
_METRICS = '{"_aws"'


class Journal:
    """Writes to the terminal, and each function's output also to `<folder>/<function>.log`; the last run's logs are gone."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        self._folder = folder
        self._files: dict[str, TextIO] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in folder.glob("*.log"):
            old.unlink()

    def output(self, function: str, text: str) -> None:
        """Take a line of a worker's output; Lambda's runtime puts carriage returns for new lines within one."""
        for line in text.rstrip("\r\n").split("\r"):
            if not line.startswith(_METRICS):
                self._console.say(f"{function.removesuffix('Function').lower()} │ {line}", "dim")
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

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _open(self, function: str) -> TextIO:
        self._files[function] = file = (self._folder / f"{function}.log").open("w", encoding="utf-8")
        return file


def _clock() -> str:
    return datetime.now().strftime("%H:%M:%S")


def _colour(status: int) -> Colour | None:
    if status >= 500:
        return "red"
    return "yellow" if status >= 400 else None
