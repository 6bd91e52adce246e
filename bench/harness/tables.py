"""Figures as aligned Markdown tables, which read well in a terminal too."""

import statistics
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table; the first column is text, the others are figures and stand to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (head, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    padded = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
    return f"| {' | '.join(padded)} |"


def median(values: Sequence[float]) -> float | None:
    """Return the median, None of nothing."""
    return statistics.median(values) if values else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least `share` of all do not exceed (the nearest-rank method); None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * share // 1) - 1))] if ordered else None


def difference_of(value: float | None, other: float | None) -> float | None:
    """Return the difference, None where one is missing."""
    return None if value is None or other is None else value - other


def ratio_of(value: float | None, other: float | None) -> float | None:
    """Return the ratio, None where one is missing or there is nothing to divide by."""
    return None if value is None or not other else value / other


def format_figure(value: float | None, *, digits: int = 1) -> str:
    """Write a figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def format_ratio(value: float | None) -> str:
    """Write a ratio."""
    return "–" if value is None else f"{value:.2f}×"


def verdict(value: float | None, *, at_most: float | None = None, at_least: float | None = None) -> str:
    """Say whether a figure keeps to its aim."""
    if value is None:
        return "not measured"
    is_kept = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    return "reached" if is_kept else "not reached"
