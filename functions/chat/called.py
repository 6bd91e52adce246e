"""A call of a tool as this turn knows it."""

import json
import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Self

from functions.chat.errors import UnusableArguments
from parley.db.turn.message_parts import MessagePart
from parley.ids import new_id
from parley.llm import messages as llm
from parley.llm.provider import storable

_DEEPEST = 32


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """A call whose arguments can be stored; with `is_sound` false, the model wrote some that cannot be."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    is_sound: bool = True

    @classmethod
    def of(cls, call: llm.ToolCall, *, taken: Container[str]) -> Self:
        """Read a model's call. It keeps the vendor's id, unless that is `taken`: some vendors count anew in each answer."""
        call_id = f"call_{new_id().hex}" if call.id in taken else call.id
        try:
            return cls(call_id, call.name, _plain(json.loads(call.arguments), depth=0))
        except (UnusableArguments, RecursionError):
            return cls(call_id, call.name, {}, is_sound=False)

    @classmethod
    def stored(cls, part: MessagePart) -> Self:
        """Read a call that was stored."""
        return cls(part["call_id"], part["name"], part["arguments"])


def _plain(value: Any, *, depth: int) -> Any:
    """Return JSON that PostgreSQL takes too. Raises UnusableArguments for what is too deep or no number."""
    if depth > _DEEPEST or (isinstance(value, float) and not math.isfinite(value)):
        raise UnusableArguments
    match value:
        case str():
            return storable(value)
        case list():
            return [_plain(item, depth=depth + 1) for item in value]
        case dict():
            return {storable(name): _plain(item, depth=depth + 1) for name, item in value.items()}
    return value
