"""What the memory routes take and give."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from parley.http.schemas import Input, Output, Timestamp

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
