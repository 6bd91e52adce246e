"""The report of an import: what was added, and what was left out and why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from functions.ingest.imports.draft import storable
from parley.db.imports.imported_conversations import StoredImport
from parley.db.imports.imports import Import

_MAX_TITLES = 5
_MAX_TITLE_CHARACTERS = 100


@dataclass(slots=True)
class Report:
    """Counts what an import has done. `position` is the number of conversations of the file that are done."""

    program: str | None
    position: int
    outcomes: Counter[str]
    messages: int
    left_out: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Import) -> Self:
        """Return the report as far as it is stored."""
        outcomes = Counter(added=run.conversations_added, extended=run.conversations_extended, unchanged=run.conversations_unchanged)
        return cls(run.source, run.position, outcomes, run.messages_added, {code: dict(entry) for code, entry in run.left_out.items()})

    def copy(self) -> Self:
        """Return a copy that changes independently."""
        left_out = {code: {"count": entry["count"], "titles": list(entry["titles"])} for code, entry in self.left_out.items()}
        return type(self)(self.program, self.position, Counter(self.outcomes), self.messages, left_out)

    def take(self, other: Self) -> None:
        """Become equal to another report."""
        self.program, self.position, self.outcomes = other.program, other.position, other.outcomes
        self.messages, self.left_out = other.messages, other.left_out

    def count_position(self, program: str | None) -> None:
        """Count a conversation of the file."""
        self.position += 1
        self.program = self.program or program

    def count_stored(self, stored: StoredImport) -> None:
        """Count a conversation that was stored, or that was stored already."""
        self.outcomes[stored.outcome] += 1
        self.messages += stored.messages

    def leave_out(self, code: str, title: str) -> None:
        """Count a conversation that was left out, and keep the titles of a few."""
        self._count(code, 1)
        titles = self.left_out[code]["titles"]
        if title and len(titles) < _MAX_TITLES:
            titles.append(storable(title)[:_MAX_TITLE_CHARACTERS])

    def count_parts(self, left_out: Counter[str]) -> None:
        """Count what was left out of conversations, by code."""
        for code, count in left_out.items():
            if count:
                self._count(code, count)

    def columns(self) -> dict[str, Any]:
        """Return the columns of the import's row."""
        return {
            "source": self.program,
            "position": self.position,
            "conversations_added": self.outcomes["added"],
            "conversations_extended": self.outcomes["extended"],
            "conversations_unchanged": self.outcomes["unchanged"],
            "messages_added": self.messages,
            "left_out": self.left_out,
        }

    def _count(self, code: str, count: int) -> None:
        entry = self.left_out.setdefault(code, {"count": 0, "titles": []})
        entry["count"] += count
