"""Stored answers as models are given them: each round is the assistant's message with its calls, then one with their results."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from functions.chat.tool_round import cut
from parley.db.turn.message_parts import MessagePart
from parley.llm import messages as llm
from parley.llm.prompts import untrusted_result
from parley.llm.tokens import PER_IMAGE, PER_MESSAGE, estimate_tokens

_NO_RESULT = "Not run: the answer ended before."
# Some vendors take no user's message right behind a tool's.
_ENDED = "(The answer ended here.)"


def expanded(parts: Sequence[MessagePart], *, with_thoughts: bool = False, most_bytes: int | None = None) -> list[llm.Message]:
    """Return an answer as messages, each call with its result; results are cut to `most_bytes` each. Sources are no words of it."""
    said_parts = [part for part in parts if part["type"] != "source"]
    return [message for said in _rounds(said_parts) for message in _messages(said, with_thoughts=with_thoughts, most_bytes=most_bytes)]


def told(parts: Sequence[MessagePart]) -> list[llm.Message]:
    """Return an answer that has ended as messages, the last of them the assistant's."""
    messages = expanded(parts)
    return [*messages, llm.Message("assistant", _ENDED)] if messages and messages[-1].role == "tool" else messages


def message_tokens(message: llm.Message) -> int:
    """Return a generous guess of what a message takes."""
    images = sum(isinstance(part, llm.Image) for part in message.parts)
    return PER_MESSAGE + images * PER_IMAGE + sum(estimate_tokens(text) - PER_MESSAGE for text in _texts(message))


def _texts(message: llm.Message) -> Iterator[str]:
    for part in message.parts:
        match part:
            case llm.Text(text) | llm.ToolResult(_, text) | llm.Thought(_, text):
                yield text
            case llm.ToolCall(_, name, arguments):
                yield f"{name} {arguments}"


def _rounds(parts: Sequence[MessagePart]) -> Iterator[list[MessagePart]]:
    """Split behind each group of results."""
    said: list[MessagePart] = []
    for part in parts:
        if said and said[-1]["type"] == "tool_result" and part["type"] != "tool_result":
            yield said
            said = []
        said.append(part)
    if said:
        yield said


def _messages(said: list[MessagePart], *, with_thoughts: bool, most_bytes: int | None) -> Iterator[llm.Message]:
    spoken = [part for part in map(_spoken, said) if part and (with_thoughts or not isinstance(part, llm.Thought))]
    if spoken:
        yield llm.Message("assistant", spoken)
    results = {part["call_id"]: part for part in said if part["type"] == "tool_result"}
    calls = [part.id for part in spoken if isinstance(part, llm.ToolCall)]
    if calls:
        yield llm.Message("tool", [_result(call_id, results.get(call_id), most_bytes) for call_id in calls])


def _spoken(part: MessagePart) -> llm.Part | None:
    match part:
        case {"type": "text", "text": text}:
            return llm.Text(text) if text else None
        case {"type": "thought", "origin": origin, "payload": payload}:
            return llm.Thought(origin, payload)
        case {"type": "tool_call", "call_id": call_id, "name": name, "arguments": arguments}:
            return llm.ToolCall(call_id, name, _json(arguments))
    return None


def _result(call_id: str, part: MessagePart | None, most_bytes: int | None) -> llm.ToolResult:
    if part is None:
        return llm.ToolResult(call_id, _NO_RESULT, is_error=True)
    content = part["content"] if most_bytes is None else cut(part["content"], most_bytes=most_bytes)
    return llm.ToolResult(call_id, untrusted_result(content), is_error=not part["ok"])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
