"""Stored parts and images as LLM messages.

Images of a message are fetched only when the request is sent, so that no transaction is open meanwhile.
"""

import json
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass, replace

from functions.chat.turn.images import Images
from parley.db.turn.message_parts import MessagePart
from parley.llm import messages as llm
from parley.llm.prompts import untrusted_result
from parley.llm.tokens import PER_IMAGE, PER_MESSAGE, estimate_tokens
from parley.tools.outcome import truncate_result

IMAGE_NOTE = "[image]"
_LOST_IMAGE_NOTE = "[image: no longer available]"
_NO_RESULT = "Not run: the answer ended before this call."
# Some vendors reject a user's message directly after a tool's.
_ENDED_NOTE = "(The answer ended here.)"


@dataclass(frozen=True, slots=True)
class UnfetchedImage(llm.Image):
    """An image whose bytes are not fetched yet."""

    key: str = ""


def message_content(text: str, images: Sequence[MessagePart], *, are_shown: bool) -> str | list[llm.Part]:
    """Return the content of a user's message: its images, or a note in place of each, and its text."""
    if not images or not are_shown:
        return "\n".join([*[IMAGE_NOTE for _ in images], *([text] if text else [])])
    shown: list[llm.Part] = [UnfetchedImage(image["media_type"], b"", image["key"]) for image in images]
    return [*shown, llm.Text(text)] if text else shown


def fetch_images(request: llm.ModelRequest, images: Images, cache: MutableMapping[str, bytes | None]) -> llm.ModelRequest:
    """Return the request with the bytes of its images, read from the cache or, once, from the bucket.

    An image that is missing or unreadable becomes a note.
    """
    return replace(request, messages=[_fetch_message_images(message, images, cache) for message in request.messages])


def _fetch_message_images(message: llm.Message, images: Images, cache: MutableMapping[str, bytes | None]) -> llm.Message:
    if not any(isinstance(part, UnfetchedImage) for part in message.parts):
        return message
    return replace(
        message, content=[_fetch_image(part, images, cache) if isinstance(part, UnfetchedImage) else part for part in message.parts]
    )


def _fetch_image(part: UnfetchedImage, images: Images, cache: MutableMapping[str, bytes | None]) -> llm.Part:
    if part.key not in cache:
        cache[part.key] = images.load(part.key)
    content = cache[part.key]
    return llm.Text(_LOST_IMAGE_NOTE) if content is None else llm.Image(part.media_type, content)


def answer_messages(parts: Sequence[MessagePart], *, with_thoughts: bool = False, max_bytes: int | None = None) -> list[llm.Message]:
    """Return an answer as messages: each round's text and tool calls, then the results of these calls.

    Each result is truncated to `max_bytes`. Sources are left out.
    """
    return [
        message
        for round_parts in _split_rounds([part for part in parts if part["type"] != "source"])
        for message in _round_messages(round_parts, with_thoughts=with_thoughts, max_bytes=max_bytes)
    ]


def ended_answer_messages(parts: Sequence[MessagePart]) -> list[llm.Message]:
    """Return an answer that has ended as messages, the last of which is the assistant's."""
    messages = answer_messages(parts)
    return [*messages, llm.Message("assistant", _ENDED_NOTE)] if messages and messages[-1].role == "tool" else messages


def message_tokens(message: llm.Message) -> int:
    """Return a generous estimate of a message's tokens."""
    images = sum(isinstance(part, llm.Image) for part in message.parts)
    return PER_MESSAGE + images * PER_IMAGE + sum(estimate_tokens(text) - PER_MESSAGE for text in _message_texts(message))


def _message_texts(message: llm.Message) -> Iterator[str]:
    for part in message.parts:
        match part:
            case llm.Text(text) | llm.ToolResult(_, text) | llm.Thought(_, text):
                yield text
            case llm.ToolCall(_, name, arguments):
                yield f"{name} {arguments}"


def _split_rounds(parts: Sequence[MessagePart]) -> Iterator[list[MessagePart]]:
    """Yield the parts of each round; a round ends with its last tool result."""
    round_parts: list[MessagePart] = []
    for part in parts:
        if round_parts and round_parts[-1]["type"] == "tool_result" and part["type"] != "tool_result":
            yield round_parts
            round_parts = []
        round_parts.append(part)
    if round_parts:
        yield round_parts


def _round_messages(round_parts: list[MessagePart], *, with_thoughts: bool, max_bytes: int | None) -> Iterator[llm.Message]:
    """Yield the assistant's message and, if it calls tools, the message with their results."""
    assistant_parts = [part for part in map(_assistant_part, round_parts) if part and (with_thoughts or not isinstance(part, llm.Thought))]
    if assistant_parts:
        yield llm.Message("assistant", assistant_parts)
    results = {part["call_id"]: part for part in round_parts if part["type"] == "tool_result"}
    call_ids = [part.id for part in assistant_parts if isinstance(part, llm.ToolCall)]
    if call_ids:
        yield llm.Message("tool", [_tool_result(call_id, results.get(call_id), max_bytes) for call_id in call_ids])


def _assistant_part(part: MessagePart) -> llm.Part | None:
    match part:
        case {"type": "text", "text": text}:
            return llm.Text(text) if text else None
        case {"type": "thought", "origin": origin, "payload": payload}:
            return llm.Thought(origin, payload)
        case {"type": "tool_call", "call_id": call_id, "name": name, "arguments": arguments}:
            return llm.ToolCall(call_id, name, json.dumps(arguments, ensure_ascii=False, separators=(",", ":")))
    return None


def _tool_result(call_id: str, part: MessagePart | None, max_bytes: int | None) -> llm.ToolResult:
    if part is None:
        return llm.ToolResult(call_id, _NO_RESULT, is_error=True)
    content = part["content"] if max_bytes is None else truncate_result(part["content"], max_bytes=max_bytes)
    return llm.ToolResult(call_id, untrusted_result(content), is_error=not part["ok"])
