"""Request and response models of the prompt routes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from parley.db.assistants.prompts import MAX_DESCRIPTION_CHARACTERS, MAX_TEXT_CHARACTERS, NAME_PATTERN, Prompt
from parley.db.groups.shares import Fellow
from parley.http.schemas import Input, Output, OwnerOut, Timestamp
from parley.prompt_template import MAX_VALUE_CHARACTERS, MAX_VARIABLES, find_variables

PromptName = Annotated[str, Field(pattern=NAME_PATTERN, examples=["trip"])]
PromptText = Annotated[
    str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, examples=["Plan {{nights:number}} nights in {{city}} for a family."])
]
Description = Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION_CHARACTERS, strip_whitespace=True)]
Value = Annotated[str, Field(max_length=MAX_VALUE_CHARACTERS)]


class PromptIn(Input):
    """POST /prompts. `text` may have up to 20 variables: `{{city}}`, `{{nights:number}}` or `{{tone:choice(formal,friendly)}}`."""

    name: PromptName
    text: PromptText
    description: Description | None = None


class PromptChanges(Input):
    """PATCH /prompts/{id}. Omitted fields stay unchanged. `shared` shares the prompt with everybody, which only admins may do."""

    name: PromptName | None = None
    text: PromptText | None = None
    description: Description | None = None
    shared: bool | None = None

    def settings(self) -> dict[str, str | None]:
        """Return the changed settings of a version. Null clears the description; other fields ignore it."""
        given = self.model_dump(exclude_unset=True, include={"text", "description"})
        return {name: value for name, value in given.items() if value is not None or name == "description"}


class PromptValues(Input):
    """POST /prompts/{id}/fill: a value for each variable; that of a number is a text, too."""

    values: Annotated[dict[str, Value], Field(max_length=MAX_VARIABLES)] = Field(default_factory=dict)


class VariableOut(Output):
    """A variable of a prompt. Only the type `choice` has choices."""

    name: str
    type: Literal["text", "number", "choice"]
    choices: list[str]


class PromptSummaryOut(Output):
    """A prompt in a list, with its variables in the order of their first use. `created_at` is the time of its newest version.

    `shared` means shared with everybody. `owner` is set if a member of a group of the caller shares the prompt.
    """

    id: UUID
    name: str
    version: int
    description: str | None
    variables: list[VariableOut]
    shared: bool
    is_own: bool
    owner: OwnerOut | None
    created_at: Timestamp

    @classmethod
    def of(cls, prompt: Prompt, user_id: UUID, fellows: Mapping[UUID, Fellow]) -> Self:
        """Render a prompt for a user, with its owner if the user may know them."""
        fields: dict[str, Any] = {name: getattr(prompt, name, None) for name in cls.model_fields}
        fellow = fellows.get(prompt.user_id)
        fields |= {"variables": find_variables(prompt.text), "shared": prompt.is_shared, "is_own": prompt.user_id == user_id}
        return cls.model_validate(fields | {"owner": OwnerOut.model_validate(fellow) if fellow else None})


class PromptOut(PromptSummaryOut):
    """A prompt with its text."""

    text: str


class FilledPromptOut(Output):
    """A prompt's text with the given values."""

    text: str


class PromptVersionOut(Output):
    """A version of a prompt. Versions never change."""

    version: int
    description: str | None
    text: str
    created_at: Timestamp
