"""The table of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One step's outcome on both sides; `difference` is empty if they are the same, `seconds` are `sam local`'s."""

    title: str
    parley_status: str
    sam_status: str
    difference: str
    seconds: float

    @property
    def is_same(self) -> bool:
        return not self.difference


def heading() -> str:
    return f"{'event':<32}{'parley':>8}{'sam local':>11}  {'':<10}{'seconds':>8}"


def line(row: Row) -> str:
    """Return the row, and under it what differs."""
    verdict = "same" if row.is_same else "DIFFERENT"
    text = f"{row.title:<32}{row.parley_status:>8}{row.sam_status:>11}  {verdict:<10}{row.seconds:>8.1f}"
    return text if row.is_same else "\n".join([text, *(f"    {part}" for part in row.difference.splitlines())])


def summary(rows: Sequence[Row]) -> str:
    same = sum(row.is_same for row in rows)
    rest = f", {len(rows) - same} different" if same < len(rows) else ""
    return f"{len(rows)} calls: {same} same{rest}"
