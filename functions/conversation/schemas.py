"""What the conversation routes take and give."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from parley.http.schemas import Input, Output, Timestamp

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
