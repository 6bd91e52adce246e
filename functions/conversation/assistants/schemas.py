"""Request and response models of the assistant routes."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from functions.conversation.schemas import ModelName
from parley.db.assistants.assistants import Assistant, AssistantVersion, MemoryScope
from parley.db.groups.shares import Fellow
from parley.http.schemas import Input, Output, OwnerOut, Timestamp

MAX_STARTERS = 6
_EMOJI_CATEGORIES = {"So", "Sk", "Me"}
# Characters that only join or vary the symbols around them, and the digits of keycaps.
_EMOJI_JOINTS = {"\u200d", "\ufe0f", *"#*0123456789"}


def _require_emoji(text: str) -> str:
    """Return the text, or raise PydanticCustomError if it is not an emoji: text could pretend to be a part of the page."""
    symbols = [character for character in text if unicodedata.category(character) in _EMOJI_CATEGORIES]
    others = [character for character in text if character not in symbols and character not in _EMOJI_JOINTS]
    if others or not symbols:
        raise PydanticCustomError("emoji", "must be an emoji")
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True), Field(examples=["Contract reader"])]
Picture = Annotated[str, Field(min_length=1, max_length=12, examples=["\U0001f4dc"]), AfterValidator(_require_emoji)]
Description = Annotated[str, StringConstraints(max_length=300, strip_whitespace=True)]
Instructions = Annotated[str, Field(max_length=32_000)]
ToolNames = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=100)]
DocumentIds = Annotated[list[Annotated[UUID, Field(strict=False)]], Field(max_length=100)]
Starter = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]
Starters = Annotated[list[Starter], Field(max_length=MAX_STARTERS)]


class AssistantIn(Input):
    """POST /assistants.

    `tools` and `documents` are true for all that the caller has, false for none, or a list of names or ids. With `memory` "none", its
    conversations neither use memory nor add to it.
    """

    name: Name
    picture: Picture | None = None
    description: Description | None = None
    instructions: Instructions = ""
    model: ModelName | None = None
    tools: bool | ToolNames = True
    documents: bool | DocumentIds = False
    memory: MemoryScope = "all"
    starters: Starters = Field(default_factory=list)

    def settings(self) -> dict[str, Any]:
        """Return the settings as stored."""
        return _stored(self.model_dump())


class AssistantChanges(Input):
    """PATCH /assistants/{id}. Omitted fields stay unchanged. `shared` shares the assistant with everybody, which only admins may do."""

    name: Name | None = None
    picture: Picture | None = None
    description: Description | None = None
    instructions: Instructions | None = None
    model: ModelName | None = None
    tools: bool | ToolNames | None = None
    documents: bool | DocumentIds | None = None
    memory: MemoryScope | None = None
    starters: Starters | None = None
    shared: bool | None = None

    def settings(self) -> dict[str, Any]:
        """Return the changed settings as stored. Null clears the picture, the description and the model; other fields ignore it."""
        given = self.model_dump(exclude_unset=True, exclude={"shared"})
        return _stored({name: value for name, value in given.items() if value is not None or name in ("picture", "description", "model")})


def _stored(settings: Mapping[str, Any]) -> dict[str, Any]:
    documents = settings.get("documents")
    return dict(settings) | ({"documents": [str(id) for id in dict.fromkeys(documents)]} if isinstance(documents, list) else {})


class AssistantSummaryOut(Output):
    """An assistant in a list. `created_at` is the time of its newest version.

    `shared` means shared with everybody. `owner` is set if a member of a group of the caller shares the assistant.
    """

    id: UUID
    version: int
    name: str
    picture: str | None
    description: str | None
    model: str | None
    starters: list[str]
    shared: bool
    is_own: bool
    owner: OwnerOut | None
    created_at: Timestamp

    @classmethod
    def of(cls, assistant: Assistant, user_id: UUID, fellows: Mapping[UUID, Fellow]) -> Self:
        """Render an assistant for a user, with those of the owners whom the user may know."""
        fields = {name: getattr(assistant, name, None) for name in cls.model_fields}
        fellow = fellows.get(assistant.user_id)
        owner = OwnerOut.model_validate(fellow) if fellow else None
        return cls.model_validate(fields | {"shared": assistant.is_shared, "is_own": assistant.user_id == user_id, "owner": owner})


class AssistantOut(AssistantSummaryOut):
    """An assistant with all its settings."""

    instructions: str
    tools: bool | list[str]
    documents: bool | list[UUID]
    memory: Literal["all", "none"]


class AssistantVersionOut(Output):
    """A version of an assistant. Versions never change."""

    version: int
    name: str
    picture: str | None
    description: str | None
    instructions: str
    model: str | None
    tools: bool | list[str]
    documents: bool | list[UUID]
    memory: Literal["all", "none"]
    starters: list[str]
    created_at: Timestamp

    @classmethod
    def of(cls, version: AssistantVersion) -> Self:
        """Render a version."""
        return cls.model_validate(version)
