"""Search and follow the log files of the running stack: `parley logs`.

Lines are shown in the order of their times, across all functions. A search for a turn or a user also finds the lines that share a
correlation id with a line that names it: those of the authorizer, of the tool runner and of queued jobs.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import click

from local.logs import METRICS_FIELD, is_advice, line_fields, short_name, summary, traceback_lines

type Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
_POLL_S = 0.3
_RANKS = {"DEBUG": 0, "INFO": 1, "WARNING": 2, "WARN": 2, "ERROR": 3, "CRITICAL": 3, "FATAL": 3}
_COLOURS = {2: "yellow", 3: "red"}


@dataclass(frozen=True)
class LogLine:
    """A JSON log line of a function, or a line of other text, which has the time of the line before it."""

    function: str
    text: str
    fields: dict[str, Any]
    time: str

    @property
    def rank(self) -> int:
        """The severity, from 0 for DEBUG; lines of other text and Lambda's reports count as INFO."""
        return _RANKS.get(str(self.fields.get("level", "INFO")).upper(), 1)

    @property
    def correlation_ids(self) -> set[str]:
        """The ids under which the line can be found."""
        return {str(self.fields[name]) for name in ("correlation_id", "requestId", "function_request_id") if self.fields.get(name)}


@dataclass
class LogFilter:
    """Selects lines. Every criterion that is set must hold; `related` collects the correlation ids of the turn or user."""

    functions: tuple[str, ...] = ()
    level: Level = "DEBUG"
    turn: str | None = None
    user: str | None = None
    request: str | None = None
    related: set[str] = field(default_factory=set)

    def learn(self, lines: Iterable[LogLine]) -> None:
        """Remember the correlation ids of the lines that name the turn or the user."""
        for line in lines:
            if self._names_subject(line):
                self.related |= {str(line.fields["correlation_id"])} if line.fields.get("correlation_id") else set()

    def matches(self, line: LogLine) -> bool:
        """Return whether to show the line."""
        if METRICS_FIELD in line.fields or is_advice(line.text) or line.rank < _RANKS[self.level]:
            return False
        if self.functions and short_name(line.function) not in self.functions:
            return False
        if self.request and not any(id.startswith(self.request) for id in line.correlation_ids):
            return False
        return not (self.turn or self.user) or self._names_subject(line) or bool(line.correlation_ids & self.related)

    def _names_subject(self, line: LogLine) -> bool:
        if not self.turn and not self.user:
            return False
        return (not self.turn or line.fields.get("turn_id") == self.turn) and (not self.user or line.fields.get("user_id") == self.user)


class LogFiles:
    """The log files of a folder, read from where the last reading ended. A restarted stack writes new files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._times: dict[Path, str] = {}

    def read(self) -> list[LogLine]:
        """Return the complete lines since the last call, sorted by time."""
        lines = [line for path in sorted(self._folder.glob("*.log")) for line in self._new_lines(path)]
        return sorted(lines, key=lambda line: line.time)

    def _new_lines(self, path: Path) -> Iterator[LogLine]:
        offset = self._offsets.get(path, 0)
        with path.open("rb") as file:
            if file.seek(0, 2) < offset:
                offset = 0
            file.seek(offset)
            content = file.read()
        complete = content[: content.rfind(b"\n") + 1]
        self._offsets[path] = offset + len(complete)
        for text in complete.decode(errors="replace").splitlines():
            fields = line_fields(text) or {}
            self._times[path] = (
                str(fields.get("timestamp", self._times.get(path, ""))).replace("T", " ").replace(".", ",").removesuffix("Z")
            )
            yield LogLine(path.stem, text, fields, self._times[path])


def show_logs(folder: Path, log_filter: LogFilter, *, lines: int | None, follows: bool, as_json: bool) -> None:
    """Print the last `lines` matching lines, all if None, and then new lines until interrupted if `follows`."""
    files = LogFiles(folder)
    found = files.read()
    log_filter.learn(found)
    shown = [line for line in found if log_filter.matches(line)]
    _print(shown if lines is None else shown[len(shown) - min(lines, len(shown)) :], as_json=as_json)
    while follows:
        time.sleep(_POLL_S)
        found = files.read()
        log_filter.learn(found)
        _print((line for line in found if log_filter.matches(line)), as_json=as_json)


def _print(lines: Iterable[LogLine], *, as_json: bool) -> None:
    for line in lines:
        click.echo(line.text if as_json else _readable(line))


def _readable(line: LogLine) -> str:
    """Return the line as `time  function  LEVEL event  key=value …`, and the trace of an error below it."""
    clock = line.time[11:23] or "-" * 12
    text = summary(str(line.fields.get("level", "INFO")).upper(), line.fields) if line.fields else line.text
    head = f"{clock}  {short_name(line.function):<12}  {text}"
    return click.style("\n".join([head, *traceback_lines(line.fields)]), fg=_COLOURS.get(line.rank))
