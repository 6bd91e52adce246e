"""The words of Anthropic's Messages: what is sent, and what comes back."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2

from parley.llm.failures import ProviderFailed
from parley.llm.grounding import grounded
from parley.llm.refusal import VendorError, broken
from parley.llm.sse import chunks
from parley.llm.tokens import estimate_usage
from parley.llm.tool_calls import ToolCalls
from parley.llm.types import (
    Event,
    Finished,
    FinishReason,
    Image,
    Message,
    Part,
    Request,
    Text,
    TextDelta,
    Thought,
    ToolCall,
    ToolResult,
    Usage,
)

DEFAULT_MAX_TOKENS = 4096  # Messages insists on a limit
_CACHED = {"cache_control": {"type": "ephemeral"}}
_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def arguments(origin: str, model_name: str, request: Request) -> dict[str, Any]:
    """Return the body of the request. Tools and system prompt, the stable prefix, are marked for the vendor's cache."""
    body: dict[str, Any] = {"model": model_name, "messages": messages(origin, request), "stream": True}
    body["max_tokens"] = request.max_output_tokens or DEFAULT_MAX_TOKENS
    if request.system:
        body["system"] = [{"type": "text", "text": request.system} | _CACHED]
    if request.temperature is not None:
        body["temperature"] = min(request.temperature, 1.0)  # the vendor's scale ends there, others' at 2
    if request.tools:
        tools = [{"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)} for tool in request.tools]
        body["tools"] = [*tools[:-1], tools[-1] | _CACHED]
        body["tool_choice"] = {"type": _CHOICES[request.tool_choice]}
    if request.output:
        body["output_config"] = {"format": {"type": "json_schema", "schema": dict(request.output.schema)}}
    return body


def messages(origin: str, request: Request) -> list[dict[str, Any]]:
    """Return the context in the vendor's words; results of tools are the user's."""
    said = [{"role": _role(message), "content": _content(origin, message)} for message in grounded(request)]
    return [message for message in said if message["content"]]


def _role(message: Message) -> str:
    return "assistant" if message.role == "assistant" else "user"


def _content(origin: str, message: Message) -> list[dict[str, Any]]:
    return [block for part in message.parts for block in _block(origin, part)]


def _block(origin: str, part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text) if text:  # the vendor refuses an empty one
            yield {"type": "text", "text": text}
        case Image(media_type):
            yield {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": part.base64}}
        case ToolCall(id, name, written):
            yield {"type": "tool_use", "id": id, "name": name, "input": json.loads(written)}
        case ToolResult(call_id, text, is_error):
            yield {"type": "tool_result", "tool_use_id": call_id, "content": text, "is_error": is_error}
        case Thought(by, payload) if by == origin:
            yield json.loads(payload)


def events(response: httpx2.Response, request: Request, *, provider: str, origin: str) -> Iterator[Event]:
    """Yield what comes back as our events. Raises ProviderFailed for a stream that is not one, or has no end."""
    reading = _Reading(origin)
    for chunk in chunks(response, provider=provider):
        if chunk.get("type") == "error":
            raise broken(provider, VendorError.read(chunk))
        yield from reading.read(chunk)
    if not reading.is_ended or reading.reason is None:
        raise ProviderFailed(provider, "the stream ended without message_stop")
    if reading.reason == "tool_use":
        yield from reading.calls.whole(provider)
    usage = reading.usage() if reading.counts else estimate_usage(request, "".join(reading.texts))
    yield Finished(_REASONS.get(reading.reason, "stop"), usage)


class _Reading:
    """What has come so far."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.calls = ToolCalls()
        self.counts: dict[str, int] = {}
        self.reason: str | None = None
        self.is_ended = False
        self.texts: list[str] = []
        self._thoughts: dict[int, dict[str, str]] = {}

    def read(self, chunk: dict[str, Any]) -> Iterator[Event]:
        """Take one event of the vendor's."""
        match chunk.get("type"):
            case "message_start":
                self._count(chunk["message"].get("usage"))
            case "content_block_start":
                yield from self._start(chunk["index"], chunk["content_block"])
            case "content_block_delta":
                yield from self._delta(chunk["index"], chunk["delta"])
            case "content_block_stop" if thought := self._thoughts.pop(chunk["index"], None):
                yield Thought(self._origin, json.dumps(thought))
            case "message_delta":
                self.reason = chunk["delta"].get("stop_reason") or self.reason
                self._count(chunk.get("usage"))
            case "message_stop":
                self.is_ended = True

    def _start(self, index: int, block: dict[str, Any]) -> Iterator[Event]:
        match block["type"]:
            case "tool_use":
                self.calls.add(index, id=block["id"], name=block["name"])
            case "thinking":
                self._thoughts[index] = {"type": "thinking", "thinking": block["thinking"], "signature": block.get("signature") or ""}
            case "redacted_thinking":
                self._thoughts[index] = {"type": "redacted_thinking", "data": block["data"]}
            case "text" if block.get("text"):
                self.texts.append(block["text"])
                yield TextDelta(block["text"])

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[Event]:
        match delta["type"]:
            case "text_delta":
                self.texts.append(delta["text"])
                yield TextDelta(delta["text"])
            case "input_json_delta":
                self.calls.add(index, arguments=delta["partial_json"])
            case "thinking_delta":
                self._thoughts[index]["thinking"] += delta["thinking"]
            case "signature_delta":
                self._thoughts[index]["signature"] += delta["signature"]

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Note cumulative counts; the end repeats those that have changed."""
        self.counts |= {name: count for name, count in (usage or {}).items() if isinstance(count, int)}

    def usage(self) -> Usage:
        """Sum up: this vendor's `input_tokens` are only those beside the cache."""
        cached, written = self.counts.get("cache_read_input_tokens", 0), self.counts.get("cache_creation_input_tokens", 0)
        return Usage(self.counts.get("input_tokens", 0) + cached + written, self.counts.get("output_tokens", 0), cached, written)
