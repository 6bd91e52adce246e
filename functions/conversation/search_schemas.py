"""What the search routes give."""

from typing import Self
from uuid import UUID

from functions.conversation.memory_schemas import MemoryOut
from functions.conversation.searching import FoundMemory, Mode
from parley.db.search import FoundPassage
from parley.http.paging import Listing
from parley.http.schemas import Output, Timestamp
from parley.snippets import snippet


class FoundPassageOut(Output):
    """A place in a past conversation; `score` compares results of one search only."""

    conversation_id: UUID
    title: str | None
    seq: int
    snippet: str
    score: float
    said_at: Timestamp

    @classmethod
    def of(cls, passage: FoundPassage, query: str) -> Self:
        """Show a passage without the day that it begins with."""
        said = passage.text.partition("\n")[2] or passage.text
        return cls(
            conversation_id=passage.conversation_id,
            title=passage.title,
            seq=passage.first_seq,
            snippet=snippet(said, query),
            score=round(passage.score, 6),
            said_at=passage.said_at,
        )


class FoundMemoryOut(MemoryOut):
    """A fact and how well it fits."""

    score: float

    @classmethod
    def of(cls, found: FoundMemory) -> Self:
        """Show a fact."""
        return cls(**MemoryOut.model_validate(found.memory).model_dump(), score=round(found.score, 6))


class FoundPassagesPage(Listing[FoundPassageOut]):
    """One page of places, and how they were found."""

    mode: Mode


class FoundMemoriesPage(Listing[FoundMemoryOut]):
    """One page of facts, and how they were found."""

    mode: Mode
