"""Figures with their aims, and the table that compares them."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from bench.harness.tables import format_figure, table, verdict

_DIGITS = {"×": 2, "s": 2}


@dataclass(frozen=True)
class Figure:
    """A measured value and its aim, `at_most` or `at_least`; without either, the value is only reported. `value` None: not measured.

    `reason` is a sentence about what is left if the aim is not reached.
    """

    name: str
    value: float | None
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    reason: str = ""

    @property
    def result(self) -> str:
        """Whether the aim is reached, as text; empty if there is no aim."""
        has_aim = self.at_most is not None or self.at_least is not None
        return verdict(self.value, at_most=self.at_most, at_least=self.at_least) if has_aim else ""

    def row(self) -> list[str]:
        """Return the figure's cells: name, measured, aim, result."""
        measured = format_figure(self.value, digits=_DIGITS.get(self.unit, 1))
        aims = [f"{sign} {aim:g}{_spaced(self.unit)}" for sign, aim in (("≤", self.at_most), ("≥", self.at_least)) if aim is not None]
        return [self.name, measured if self.value is None else measured + _spaced(self.unit), " ".join(aims), self.result]


def _spaced(unit: str) -> str:
    return unit if unit in ("×", "%", "") else f" {unit}"


@dataclass(frozen=True)
class Section:
    """A benchmark's tables as Markdown, and its figures that have aims.

    With a `marker`, docs/bench.md shows the tables between `<!-- marker: begin -->` and `<!-- marker: end -->`.
    """

    text: str
    figures: Sequence[Figure] = ()
    marker: str = ""


def aims_table(sections: Sequence[Section]) -> str:
    """Return the table of all figures, and after it, what is left of each aim that is not reached."""
    figures = [figure for section in sections for figure in section.figures]
    rows = table(["figure", "measured", "aim", ""], [figure.row() for figure in figures])
    # Figures that miss their aims for the same reason share a sentence.
    names: dict[str, list[str]] = {}
    for figure in figures:
        if figure.result == verdict(1, at_most=0) and figure.reason:
            names.setdefault(figure.reason, []).append(figure.name)
    left = [textwrap.fill(f"- **{'; '.join(group)}.** {reason}", 100, subsequent_indent="  ") for reason, group in names.items()]
    return "\n".join([rows, *(["", "What is left of the aims that are not reached:", "", *left] if left else [])])
