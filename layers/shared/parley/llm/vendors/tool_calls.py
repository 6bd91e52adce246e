"""Tool calls in vendors' formats: assembly from fragments, and names and ids that vendors accept.

A name such as `server.tool` is replaced in requests and restored in responses.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from parley.ids import new_id
from parley.llm.errors import UnusableAnswer
from parley.llm.messages import Message, ModelEvent, ModelRequest, ToolCall, ToolCallDelta


@dataclass(slots=True)
class _PartialToolCall:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    shown: int = 0
    given_id: str = ""

    def is_followed_by(self, id: str | None, name: str | None, arguments: str | None) -> bool:
        """Whether a fragment at the same index begins another call.

        It has a name then, and another id. Where an id is missing, it has arguments although those of this call are complete.
        """
        if not name or not self.name:
            return False
        if id and self.id:
            return id != self.id
        return bool(arguments) and _parsed_object("".join(self.arguments)) is not None


class ToolCallAssembler:
    """Collects fragments of tool calls by the vendor's index until the answer has ended.

    Ollama and Gemini may give all calls of an answer the same index. A call that begins at an index in use gets the next free one.
    """

    def __init__(self) -> None:
        self._by_index: dict[int, _PartialToolCall] = {}
        self._moved: dict[int, int] = {}
        self._changed: dict[int, _PartialToolCall] = {}
        self._taken_ids: set[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._by_index)

    def add(self, index: int, *, id: str | None = None, name: str | None = None, arguments: str | None = None) -> None:
        """Add a fragment. Id and name arrive once, arguments in any number of fragments."""
        number = self._moved.get(index, index)
        if (open_call := self._by_index.get(number)) and open_call.is_followed_by(id, name, arguments):
            number = self._moved[index] = max(self._by_index) + 1
        call = self._changed[number] = self._by_index.setdefault(number, _PartialToolCall())
        call.id, call.name = call.id or id or "", call.name or name or ""
        if arguments:
            call.arguments.append(arguments)

    def deltas(self, request: ModelRequest) -> Iterator[ToolCallDelta]:
        """Yield the fragments added since the last call, if the request shows deltas. A call begins once its name is known."""
        changed, self._changed = self._changed, {}
        for index, call in changed.items() if request.shows_call_deltas else ():
            if call.name:
                yield ToolCallDelta(index, self._id_of(call, request), call.name, "".join(call.arguments[call.shown :]))
                call.shown = len(call.arguments)

    def whole(self, provider: str, request: ModelRequest) -> list[ToolCall]:
        """Return the complete calls, in order, with their arguments as of `checked_arguments`."""
        return [
            ToolCall(self._id_of(call, request), call.name, checked_arguments(provider, "".join(call.arguments), request))
            for _, call in sorted(self._by_index.items())
            if call.name or call.arguments
        ]

    def _id_of(self, call: _PartialToolCall, request: ModelRequest) -> str:
        """Return the vendor's id, or a new one if there is none or an earlier call has it, because some servers repeat their ids."""
        if not call.given_id:
            if self._taken_ids is None:
                self._taken_ids = {part.id for message in request.messages for part in message.parts if isinstance(part, ToolCall)}
            call.given_id = call.id if call.id and call.id not in self._taken_ids else f"call_{new_id().hex}"
            self._taken_ids.add(call.given_id)
        return call.given_id


def checked_arguments(provider: str, text: str, request: ModelRequest) -> str:
    """Return `text`, or `{}` if it is empty.

    Raises UnusableAnswer if it is not a JSON object, unless the client runs the tools and decides what to do with it.
    """
    text = text or "{}"
    if not request.client_runs_tools and _parsed_object(text) is None:
        raise UnusableAnswer(provider, "the arguments of a tool call are not a JSON object")
    return text


def arguments_object(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments for vendors that take only objects. Other text is wrapped as Anthropic's docs advise."""
    parsed = _parsed_object(call.arguments)
    return {"INVALID_JSON": call.arguments} if parsed is None else parsed


def _parsed_object(text: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def vendor_call_id(call_id: str, *, max_length: int = 64) -> str:
    """Return the id of a tool call if vendors accept it, else one with a digest. Ids in the history may come from another vendor.

    Anthropic's models accept letters, digits, `_` and `-`, and OpenAI at most 40 characters in Chat Completions, 64 elsewhere.
    """
    if _ACCEPTED_NAME.fullmatch(call_id) and len(call_id) <= max_length:
        return call_id
    return f"call_{sha256(call_id.encode()).hexdigest()[:_ID_DIGEST_LETTERS]}"


# The intersection of OpenAI's, Anthropic's, Mistral's and Bedrock's rules.
_ACCEPTED_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNACCEPTED_LETTER = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST_LETTERS = 8
_ID_DIGEST_LETTERS = 32


def vendor_name(name: str) -> str:
    """Return the name if all vendors accept it, else a similar, unique name with a digest.

    The result depends on the name alone, so a tool has the same name in every request, as prompt caches require.
    """
    if _ACCEPTED_NAME.fullmatch(name):
        return name
    digest = sha256(name.encode()).hexdigest()[:_DIGEST_LETTERS]
    return f"{_UNACCEPTED_LETTER.sub('_', name)[: 63 - _DIGEST_LETTERS]}_{digest}"


def with_vendor_names(request: ModelRequest) -> ModelRequest:
    """Return the request with vendor names for its tools and for the tool calls in its messages."""
    names = [(tool, vendor_name(tool.name)) for tool in request.tools]
    tools = [tool if tool.name == name else replace(tool, name=name) for tool, name in names]
    return replace(request, tools=tools, messages=[_renamed_message(message) for message in request.messages])


def with_own_names(events: Iterable[ModelEvent], request: ModelRequest) -> Iterator[ModelEvent]:
    """Yield the events with our tool names restored in tool calls. An unknown name is left unchanged."""
    own_names = {vendor_name(tool.name): tool.name for tool in request.tools}
    for event in events:
        yield replace(event, name=own_names.get(event.name, event.name)) if isinstance(event, ToolCall | ToolCallDelta) else event


def _renamed_message(message: Message) -> Message:
    if isinstance(message.content, str):
        return message
    parts = [replace(part, name=vendor_name(part.name)) if isinstance(part, ToolCall) else part for part in message.parts]
    return replace(message, content=parts)
