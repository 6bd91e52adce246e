"""Request and response models of conversations, memories, search, summaries and usage."""

from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from functions.conversation.search import ScoredMemory, SearchMode
from parley.db.search import FoundPassage
from parley.http.paging import Listing
from parley.http.schemas import Input, Output, Timestamp
from parley.snippets import snippet

Title = Annotated[str, Field(min_length=1, max_length=200)]


ModelName = Annotated[str, Field(min_length=1, max_length=100)]


SystemPrompt = Annotated[str, Field(max_length=32_000)]


class ConversationFields(Input):
    """PATCH /conversations/{id}: what is not named stays."""

    title: Title | None = None
    model: ModelName | None = None
    system_prompt: SystemPrompt | None = None


class ConversationIn(ConversationFields):
    """POST /conversations. An incognito one is never mined for memory, and nothing is recalled in it."""

    incognito: bool = False

    def columns(self) -> dict[str, str | bool | None]:
        """Return it as it is stored."""
        return self.model_dump(exclude={"incognito"}) | {"is_incognito": self.incognito}


class ForkIn(Input):
    """POST /conversations/{id}/fork."""

    upto_seq: Annotated[int, Field(ge=1, lt=2**31)]


class ConversationOut(Output):
    """A conversation; `updated_at` is its last activity."""

    id: UUID
    title: str | None
    model: str | None
    system_prompt: str | None
    created_at: Timestamp
    updated_at: Timestamp


FactText = Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True), Field(examples=["I live in Lyon."])]


class MemoryIn(Input):
    """POST /memories and PATCH /memories/{id}."""

    text: FactText


class MemoryOut(Output):
    """A fact. `conversation_id` is where it was first said; one that a newer fact took the place of has an end."""

    id: UUID
    text: str
    source: Literal["user", "extracted"]
    conversation_id: UUID | None
    created_at: Timestamp
    superseded_by: UUID | None
    ended_at: Timestamp | None


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
        excerpt = passage.text.partition("\n")[2] or passage.text
        return cls(
            conversation_id=passage.conversation_id,
            title=passage.title,
            seq=passage.first_seq,
            snippet=snippet(excerpt, query),
            score=round(passage.score, 6),
            said_at=passage.said_at,
        )


class FoundMemoryOut(MemoryOut):
    """A fact and how well it fits."""

    score: float

    @classmethod
    def of(cls, found: ScoredMemory) -> Self:
        """Show a fact."""
        return cls(**MemoryOut.model_validate(found.memory).model_dump(), score=round(found.score, 6))


class FoundPassagesPage(Listing[FoundPassageOut]):
    """One page of places, and how they were found."""

    mode: SearchMode


class FoundMemoriesPage(Listing[FoundMemoryOut]):
    """One page of facts, and how they were found."""

    mode: SearchMode


class SummaryOut(Output):
    """What was said up to and with message number `upto_seq`."""

    text: str
    upto_seq: int
    created_at: Timestamp


class SummaryRequested(Output):
    """It will be written; there is nothing more to say."""

    status: Literal["accepted"] = "accepted"


class DayLineOut(Output):
    """What the calls of one model took in one day of UTC."""

    day: date
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float


class BudgetOut(Output):
    """This month's budget, whatever period was asked for; `reserved_usd` is for answers under way."""

    monthly_usd: float
    spent_usd: float
    reserved_usd: float
    left_usd: float
    resets_at: Timestamp


class UsagePage(Listing[DayLineOut]):
    """One page of usage, and the budget."""

    budget: BudgetOut
