"""Base classes of request and response models, and the model of a message."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from parley.clock import rfc3339

MAX_DEPTH = 32
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_RFC3339 = {"type": "string", "format": "date-time"}
Timestamp = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema(_RFC3339, mode="serialization")]


class Input(BaseModel):
    """A request body. Unknown fields are rejected, and types are checked strictly, without coercion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _require_storable(cls, data: Any) -> Any:
        """Reject lone surrogates and NUL, which JSON allows but UTF-8 or PostgreSQL does not, and more than `MAX_DEPTH` levels."""
        _check_storable(data, depth=0)
        return data


class Output(BaseModel):
    """A response body, built from a dataclass or a row."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class MessageOut(Output):
    """A stored message. `text` joins its text parts. Exactly one of the variants with the same `seq` is active."""

    id: UUID
    seq: int
    role: str
    parts: list[dict[str, Any]]
    text: str
    model: str | None
    status: str
    tokens: int
    created_at: Timestamp
    variant: int
    is_active: bool

    @field_validator("parts", mode="before")
    @classmethod
    def _hide_internal_parts(cls, parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Drop parts that are internal or opaque, and the fields with storage keys and trust marks."""
        shown = [part for part in parts if part["type"] not in ("thought", "memory")]
        return [{name: part[name] for name in part if name not in ("key", "is_vouched")} for part in shown]


def _check_storable(value: Any, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise PydanticCustomError("too_deep", "the body is nested too deeply")
    if isinstance(value, str) and (_LONE_SURROGATE.search(value) or "\0" in value):
        raise PydanticCustomError("not_storable", "the text contains NUL or an unpaired surrogate")
    if isinstance(value, dict):
        value = [*value, *value.values()]
    for item in value if isinstance(value, list) else []:
        _check_storable(item, depth=depth + 1)
