"""Figures, statistics and aligned Markdown tables, which are readable in a terminal too."""

import statistics
import textwrap
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is aligned left, the others right."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(cells, widths) for cells in (head, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    padded = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
    return f"| {' | '.join(padded)} |"


def wrapped(text: str, *, indent: str = "") -> str:
    """Return a paragraph in lines of at most 100 characters, as the documents have them."""
    return textwrap.fill(" ".join(text.split()), 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def median(values: Sequence[float]) -> float | None:
    """Return the median, or None if there are no values."""
    return statistics.median(values) if values else None


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, or None if there are no values. Of rounds that fall into two groups, it varies less than the median."""
    return statistics.fmean(values) if values else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the quantile by the nearest-rank method, or None if there are no values. `share` is between 0 and 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-len(ordered) * share // 1) - 1))] if ordered else None


def difference_of(value: float | None, other: float | None) -> float | None:
    """Return the difference, or None if a value is missing."""
    return None if value is None or other is None else value - other


def ratio_of(value: float | None, other: float | None) -> float | None:
    """Return the ratio, or None if a value is missing or the divisor is zero."""
    return None if value is None or not other else value / other


def format_figure(value: float | None, *, digits: int = 1) -> str:
    """Return the figure as text, or a dash if it is missing."""
    return "–" if value is None else f"{value:.{digits}f}"


def format_ratio(value: float | None) -> str:
    """Return the ratio as text, or a dash if it is missing."""
    return "–" if value is None else f"{value:.2f}×"


def verdict(value: float | None, *, at_most: float | None = None, at_least: float | None = None) -> str:
    """Return whether a figure reaches its aim, as text."""
    if value is None:
        return "not measured"
    is_reached = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    return "reached" if is_reached else "not reached"
