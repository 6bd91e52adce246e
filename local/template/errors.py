"""Errors in a template and their positions."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """An error in a template: the name of the resource or section, the line if known, and a message."""

    resource: str
    line: int | None
    message: str


class TemplateInvalid(Exception):
    """AWS would reject the template, or the emulator does not support it; `problems` holds every error found."""

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line for each problem in compiler format: `file:line: resource: message`."""
        return [self._line(problem) for problem in self.problems]

    def _line(self, problem: Problem) -> str:
        location = f"{self.path}:{problem.line}" if problem.line else self.path
        return f"{location}: {problem.resource}: {problem.message}"


class Unresolvable(Exception):
    """A value of the template cannot be resolved. The caller adds the resource and the line."""
