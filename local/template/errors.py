"""What is wrong with a template, and where."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One fault: the resource it belongs to (or a section's name), its line if known, and a sentence."""

    resource: str
    line: int | None
    message: str


class TemplateInvalid(Exception):
    """The template cannot be deployed, so it cannot be emulated either."""

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line for each problem, as compilers print them: `file:line: resource: message`."""
        return [self._line(problem) for problem in self.problems]

    def _line(self, problem: Problem) -> str:
        place = f"{self.path}:{problem.line}" if problem.line else self.path
        return f"{place}: {problem.resource}: {problem.message}"


class Unresolvable(Exception):
    """A value of the template cannot be worked out; the reader of the value knows whose it is."""
