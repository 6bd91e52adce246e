"""Base classes of request and response models, and the models that several functions share."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from parley.clock import rfc3339

MAX_DEPTH = 32
MAX_VALUES = 50_000
TOO_MANY_VALUES: Final = "the body has too many values; send fewer or shorter lists"
MAX_REPEATED_TEXT = 32_768
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")

_RFC3339 = {"type": "string", "format": "date-time"}
Timestamp = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema(_RFC3339, mode="serialization")]


class Input(BaseModel):
    """A request body. Unknown fields are rejected, and types are checked strictly, without coercion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _require_storable(cls, data: Any) -> Any:
        """Reject lone surrogates and NUL, which JSON allows but UTF-8 or PostgreSQL does not.

        Also reject more than `MAX_DEPTH` levels or `MAX_VALUES` values: validation takes time and memory for each value.
        """
        _check_bounds(data, depth=0, values_left=MAX_VALUES, checks_text=True)
        return data


class ForgivingInput(Input):
    """A request body in which NUL and lone surrogates are replaced by U+FFFD instead of being rejected.

    For clients that send back text of any origin: an agent's session would end with the first such text. `max_values` is the
    highest number of values in the body.
    """

    max_values: ClassVar[int] = MAX_VALUES

    @model_validator(mode="before")
    @classmethod
    def _require_storable(cls, data: Any) -> Any:
        """Replace the characters, and reject a body that is too deep or has too many values."""
        # The bounds come first: a list that is far too long is refused by its length, before any of its items is looked at.
        _check_bounds(data, depth=0, values_left=cls.max_values, checks_text=False)
        return _storable(data)


class Output(BaseModel):
    """A response body, built from a dataclass or a row."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class ShareIn(Input):
    """A group of the caller, to share an object with or to stop sharing it with."""

    group_id: Annotated[UUID, Field(strict=False)]


class ShareOut(Output):
    """A group with which an object is shared."""

    group_id: UUID
    name: str
    created_at: Timestamp


class OwnerOut(Output):
    """The user who shares an object with a group of the caller."""

    email: str
    display_name: str | None


class MessageOut(Output):
    """A stored message. `text` joins its text parts. Exactly one of the variants with the same `seq` is active.

    If `text` has more than 32,768 characters, a text part has the offsets `start` and `end` of its text in `text` instead
    of the text itself, so that long texts are sent only once.
    """

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
        """Drop internal and opaque parts, and drop storage keys and trust marks from the other parts."""
        shown = [part for part in parts if part["type"] not in ("thought", "memory")]
        return _with_text_once([{name: part[name] for name in part if name not in ("key", "is_vouched")} for part in shown])


class UsageOut(Output):
    """Tokens and cost of a turn. A cost of zero means that the model has no price."""

    input_tokens: int
    output_tokens: int
    cost_usd: float


class FeedbackOut(Output):
    """The user's rating of an answer, and the reason, if given."""

    rating: Literal["good", "bad"]
    reason: str | None


class HistoryMessageOut(MessageOut):
    """A stored message. An answer has the usage and the duration of its turn; a question or a copy in a fork has neither.

    `feedback` is null if the user has not rated the answer.
    """

    usage: UsageOut | None
    total_ms: float | None
    feedback: FeedbackOut | None

    @classmethod
    def of_history(cls, message: object, *, usage: UsageOut | None, total_ms: float | None, feedback: FeedbackOut | None = None) -> Self:
        """Render a stored message with the figures of its turn and its rating."""
        plain = MessageOut.model_validate(message)
        # Constructed, because the validators of `parts` must not run twice.
        return cls.model_construct(**dict(plain), usage=usage, total_ms=total_ms, feedback=feedback)


def _with_text_once(parts: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """If the joined text is long, replace each text by its offsets there, counted in characters (Unicode code points)."""
    lengths = [len(part["text"]) if part["type"] == "text" else 0 for part in parts]
    ends = list(accumulate(lengths))
    if not ends or ends[-1] <= MAX_REPEATED_TEXT:
        return parts
    return [
        {"type": "text", "start": end - length, "end": end} if part["type"] == "text" else part
        for part, length, end in zip(parts, lengths, ends, strict=True)
    ]


def has_too_many_keys(body: bytes) -> bool:
    """Return whether a JSON text has more than `MAX_VALUES` keys. Does not parse the text, and may miss keys.

    A quote inside a text is escaped, so a quote before a colon ends a key unless a backslash precedes it.
    """
    return len(body) > MAX_VALUES and body.count(b'":') - body.count(b'\\":') > MAX_VALUES


def _storable(value: Any) -> Any:
    """Return a JSON value with the characters replaced in all its texts."""
    if isinstance(value, str):
        return _NOT_STORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


def _check_bounds(value: Any, *, depth: int, values_left: int, checks_text: bool) -> int:
    """Check the depth and number of a JSON value's nested values and keys, and with `checks_text` their characters.

    Returns how many more values the body may have.
    """
    if depth > MAX_DEPTH:
        raise PydanticCustomError("too_deep", "the body is nested too deeply")
    if checks_text and isinstance(value, str) and _NOT_STORABLE.search(value):
        raise PydanticCustomError("not_storable", "the text contains NUL or an unpaired surrogate")
    if isinstance(value, dict):
        value = [*value, *value.values()]
    items = value if isinstance(value, list) else []
    if (values_left := values_left - len(items)) < 0:
        raise PydanticCustomError("too_many_values", TOO_MANY_VALUES)
    for item in items:
        values_left = _check_bounds(item, depth=depth + 1, values_left=values_left, checks_text=checks_text)
    return values_left
