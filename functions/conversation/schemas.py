"""Request and response models of conversations, memories, search, summaries and usage, and of versions."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from functions.conversation.search import ScoredMemory, SearchMode
from parley.db.conversations import MAX_TAG_LENGTH, MAX_TAGS, Conversation
from parley.db.search import FoundPassage
from parley.http.paging import Listing
from parley.http.schemas import Input, Output, Timestamp
from parley.snippets import snippet

Title = Annotated[str, Field(min_length=1, max_length=200)]
ModelName = Annotated[str, Field(min_length=1, max_length=100)]
SystemPrompt = Annotated[str, Field(max_length=32_000)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TAG_LENGTH, strip_whitespace=True), Field(examples=["travel"])]
ProjectId = Annotated[UUID, Field(strict=False)]
FactText = Annotated[str, StringConstraints(min_length=1, max_length=1000, strip_whitespace=True), Field(examples=["I live in Lyon."])]


def _without_repetition(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(_without_repetition)]


# The sort key in the cursors of a list of versions.
VERSION_KEY = TypeAdapter(tuple[Annotated[int, Field(gt=0, lt=2**31)]])


class RollbackIn(Input):
    """The number of the version to return to."""

    version: Annotated[int, Field(ge=1, lt=2**31)]


class ConversationFields(Input):
    """The fields that a conversation is created with and that may change."""

    title: Title | None = None
    model: ModelName | None = None
    system_prompt: SystemPrompt | None = None
    assistant_id: Annotated[UUID, Field(strict=False)] | None = None
    project_id: ProjectId | None = None


class ConversationChanges(ConversationFields):
    """PATCH /conversations/{id}. Omitted fields stay unchanged. Null as `assistant_id` continues without an assistant."""

    is_pinned: bool = False
    is_archived: bool = False
    tags: Tags = Field(default_factory=list)


class ConversationIn(ConversationFields):
    """POST /conversations. An incognito conversation neither adds to memory nor uses it."""

    incognito: bool = False
    tags: Tags = Field(default_factory=list)

    def columns(self) -> dict[str, Any]:
        """Return the fields by their column names."""
        return self.model_dump(exclude={"incognito"}) | {"is_incognito": self.incognito}


class ForkIn(Input):
    """POST /conversations/{id}/fork."""

    upto_seq: Annotated[int, Field(ge=1, lt=2**31)]


class ConversationOut(Output):
    """A conversation. `updated_at` is the time of its last activity. Lists leave out archived conversations; search finds them.

    `assistant_version` is the version of the assistant that the newest turn used. The assistant may no longer exist.
    """

    id: UUID
    title: str | None
    model: str | None
    system_prompt: str | None
    is_pinned: bool
    assistant_id: UUID | None
    assistant_version: int | None
    is_archived: bool
    tags: list[str]
    project_id: UUID | None
    created_at: Timestamp
    updated_at: Timestamp


class OpenConversationOut(ConversationOut):
    """A conversation with its running or waiting turn. Read the turn's events at `/chat/turns/{id}/events`."""

    open_turn_id: UUID | None

    @classmethod
    def of(cls, conversation: Conversation, open_turn_id: UUID | None) -> Self:
        """Render a conversation with its open turn."""
        return cls(**ConversationOut.model_validate(conversation).model_dump(), open_turn_id=open_turn_id)


class MemoryIn(Input):
    """POST /memories and PATCH /memories/{id}."""

    text: FactText


class MemoryOut(Output):
    """A fact about the user. Message `message_id`, number `seq` of conversation `conversation_id`, is the first that states it.

    All three are null for a fact that the user wrote, and after its conversations were deleted.
    If a newer fact replaced this fact, `superseded_by` and `ended_at` are set.
    """

    id: UUID
    text: str
    source: Literal["user", "extracted"]
    conversation_id: UUID | None
    message_id: UUID | None
    seq: int | None
    created_at: Timestamp
    superseded_by: UUID | None
    ended_at: Timestamp | None


class FoundPassageOut(Output):
    """A passage of a past conversation. Scores are comparable only within one search."""

    conversation_id: UUID
    title: str | None
    seq: int
    snippet: str
    score: float
    said_at: Timestamp

    @classmethod
    def of(cls, passage: FoundPassage, query: str) -> Self:
        """Render a passage without its first line, which holds the date."""
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
    """A fact with its relevance score."""

    score: float

    @classmethod
    def of(cls, scored: ScoredMemory) -> Self:
        """Render a scored fact."""
        return cls(**MemoryOut.model_validate(scored.memory).model_dump(), score=round(scored.score, 6))


class FoundPassagesPage(Listing[FoundPassageOut]):
    """One page of passages, and the search mode that found them."""

    mode: SearchMode


class FoundMemoriesPage(Listing[FoundMemoryOut]):
    """One page of facts, and the search mode that found them."""

    mode: SearchMode


class SummaryOut(Output):
    """A summary of the messages up to and including number `upto_seq`."""

    text: str
    upto_seq: int
    created_at: Timestamp


class SummaryRequested(Output):
    """The request was accepted. The summary is written in the background."""

    status: Literal["accepted"] = "accepted"


class DailyUsageOut(Output):
    """The usage of one model on one day (UTC)."""

    day: date
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float


class BudgetOut(Output):
    """The budget of the current month, regardless of the requested period. `reserved_usd` covers turns in progress.

    `pool_left_usd` is what the members of the user's group can still spend together, null without a group that has a budget. `left_usd`
    is never more.
    """

    monthly_usd: float
    spent_usd: float
    reserved_usd: float
    pool_left_usd: float | None
    left_usd: float
    resets_at: Timestamp


class UsagePage(Listing[DailyUsageOut]):
    """One page of daily usage, and the budget."""

    budget: BudgetOut
