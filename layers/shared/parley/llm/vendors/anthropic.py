"""Anthropic's Messages API: requests, streams and the provider."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2

from parley.llm.errors import ProviderFailed
from parley.llm.messages import (
    Finished,
    FinishReason,
    Image,
    Message,
    ModelEvent,
    ModelRequest,
    Part,
    ReasoningDelta,
    Text,
    TextDelta,
    Thinking,
    Thought,
    ToolCall,
    ToolResult,
    Usage,
)
from parley.llm.prompts import grounded_messages, opening_note, with_system_first
from parley.llm.provider import CancelHandle, ProviderStream
from parley.llm.tokens import estimate_usage
from parley.llm.vendors.errors import VendorError, error_in_stream
from parley.llm.vendors.http_client import call_timeouts, make_client, opened_response
from parley.llm.vendors.sdk import event_chunks, raw_arguments, translated_errors
from parley.llm.vendors.tool_calls import ToolCallAssembler, arguments_object, vendor_call_id, with_own_names, with_vendor_names

BASE_URL = "https://api.anthropic.com"
DEFAULT_MAX_TOKENS = 4096  # the API requires a limit
_CACHE_MARK = {"cache_control": {"type": "ephemeral"}}
_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

_TOOL_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def request_body(origin: str, model_name: str, request: ModelRequest) -> dict[str, Any]:
    """Return the request body. The stable prefix, tools and system prompt, is marked for the vendor's cache."""
    request = with_system_first(request)
    body: dict[str, Any] = {"model": model_name, "messages": request_messages(origin, request), "stream": True}
    body["max_tokens"] = request.max_output_tokens or DEFAULT_MAX_TOKENS
    if request.system:
        body["system"] = [{"type": "text", "text": request.system} | _CACHE_MARK]
    if request.temperature is not None:
        body["temperature"] = min(request.temperature, 1.0)  # the vendor's maximum; other vendors accept up to 2
    body |= request.options.chosen({"top_p", "top_k"})
    if request.tools:
        tools = [{"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)} for tool in request.tools]
        body["tools"] = [*tools[:-1], tools[-1] | _CACHE_MARK]
        body["tool_choice"] = {"type": _TOOL_CHOICES[request.tool_choice]}
        if request.options.parallel_tool_calls is False and request.tool_choice != "none":
            body["tool_choice"]["disable_parallel_tool_use"] = True
    if request.output:
        body["output_config"] = {"format": {"type": "json_schema", "schema": dict(request.output.schema)}}
    if request.caches_messages:
        body |= _CACHE_MARK  # the vendor marks the last block
    return _with_thinking(body, request.thinking) if request.thinking else body


def _with_thinking(body: dict[str, Any], thinking: Thinking) -> dict[str, Any]:
    """Return the body with the client's wish for reasoning, whose budget must be smaller than the limit of the answer."""
    if thinking.mode:
        budget = {} if thinking.budget_tokens is None else {"budget_tokens": min(thinking.budget_tokens, body["max_tokens"] - 1)}
        display = {"display": thinking.display} if thinking.display else {}
        body["thinking"] = {"type": thinking.mode} | budget | display
    if thinking.effort:
        body["output_config"] = body.get("output_config", {}) | {"effort": thinking.effort}
    return body


def request_messages(origin: str, request: ModelRequest) -> list[dict[str, Any]]:
    """Return the messages in the vendor's format, in which tool results have the role `user`. The vendor requires that the user begins."""
    converted = [{"role": _role(message), "content": _content(origin, message)} for message in grounded_messages(request)]
    messages = [message for message in converted if message["content"]]
    if not messages or messages[0]["role"] != "user":
        messages.insert(0, {"role": "user", "content": [{"type": "text", "text": opening_note(is_empty=not messages)}]})
    return messages


def _role(message: Message) -> str:
    return "assistant" if message.role == "assistant" else "user"


def _content(origin: str, message: Message) -> list[dict[str, Any]]:
    return [block for part in message.parts for block in _block(origin, part)]


def _block(origin: str, part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text) if text.strip():  # the vendor rejects blank text
            yield {"type": "text", "text": text}
        case Image(media_type):
            yield {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": part.base64}}
        case ToolCall(id, name):
            yield {"type": "tool_use", "id": vendor_call_id(id), "name": name, "input": arguments_object(part)}
        case ToolResult(call_id, text, is_error):
            yield {"type": "tool_result", "tool_use_id": vendor_call_id(call_id), "content": text, "is_error": is_error}
        case Thought(thought_origin, payload) if thought_origin == origin:
            yield json.loads(payload)


def read_events(response: httpx2.Response, request: ModelRequest, *, provider: str, origin: str) -> Iterator[ModelEvent]:
    """Yield the response as our events. Raises ProviderFailed if the stream is unreadable or ends early."""
    reader = _MessagesReader(origin, shows_reasoning=request.shows_reasoning)
    for chunk in event_chunks(response, provider=provider, last={"message_stop"}):
        if chunk.get("type") == "error":
            raise error_in_stream(provider, VendorError.read(chunk))
        yield from reader.read(chunk)
        yield from reader.calls.deltas(request)
    if not reader.is_ended or reader.reason is None:
        raise ProviderFailed(provider, "the stream ended without message_stop")
    if reader.reason == "tool_use":
        yield from reader.calls.whole(provider, request)
    usage = reader.usage() if reader.counts else estimate_usage(request, "".join(reader.texts))
    yield Finished(_FINISH_REASONS.get(reader.reason, "stop"), usage)


class _MessagesReader:
    """The state that builds up while a stream is read."""

    def __init__(self, origin: str, *, shows_reasoning: bool) -> None:
        self._origin, self._shows_reasoning = origin, shows_reasoning
        self.calls = ToolCallAssembler()
        self.counts: dict[str, int] = {}
        self.reason: str | None = None
        self.is_ended = False
        self.texts: list[str] = []
        self._thoughts: dict[int, dict[str, str]] = {}

    def read(self, chunk: dict[str, Any]) -> Iterator[ModelEvent]:
        """Read one vendor event and yield our events."""
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

    def _start(self, index: int, block: dict[str, Any]) -> Iterator[ModelEvent]:
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

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[ModelEvent]:
        match delta["type"]:
            case "text_delta":
                self.texts.append(delta["text"])
                yield TextDelta(delta["text"])
            case "input_json_delta":
                self.calls.add(index, arguments=delta["partial_json"])
            case "thinking_delta":
                self._thoughts[index]["thinking"] += delta["thinking"]
                yield ReasoningDelta(delta["thinking"] if self._shows_reasoning else "")
            case "signature_delta":
                self._thoughts[index]["signature"] += delta["signature"]

    def _count(self, usage: dict[str, Any] | None) -> None:
        """Update the counts, which are cumulative. The final event repeats those that have changed."""
        details = (usage or {}).get("output_tokens_details") or {}
        self.counts |= {name: count for name, count in ((usage or {}) | details).items() if isinstance(count, int)}

    def usage(self) -> Usage:
        """Return the usage. This vendor's `input_tokens` exclude cached tokens; ours include them."""
        cached, written = self.counts.get("cache_read_input_tokens", 0), self.counts.get("cache_creation_input_tokens", 0)
        return Usage(
            self.counts.get("input_tokens", 0) + cached + written,
            self.counts.get("output_tokens", 0),
            cached,
            written,
            reasoning_tokens=self.counts.get("thinking_tokens", 0),
        )


class AnthropicProvider:
    """The Messages API through the vendor's SDK, without the SDK's traces and retries, because the router retries."""

    def __init__(self, name: str, *, api_key: str | None, base_url: str | None = None, timeout_s: float = 120.0) -> None:
        self._name, self._key = name, api_key
        url = base_url or BASE_URL
        self._client = anthropic.Anthropic(
            api_key=api_key or "none",
            base_url=url,
            max_retries=0,
            timeout=call_timeouts(timeout_s),
            http_client=make_client(url, timeout_s=timeout_s),
            open_telemetry=False,
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()

    def stream(self, model_name: str, request: ModelRequest) -> ProviderStream:
        """Return the answer's event stream."""
        handle = CancelHandle()
        return ProviderStream(self._events(handle, model_name, request), handle)

    def _events(self, handle: CancelHandle, model_name: str, request: ModelRequest) -> Iterator[ModelEvent]:
        origin = f"{self._name}/{model_name}"
        with translated_errors(anthropic, self._name, key=self._key):
            arguments = raw_arguments(request_body(origin, model_name, with_vendor_names(request)), required_list="messages")
            with opened_response(handle, self._client.messages.with_streaming_response.create(**arguments)) as response:
                events = read_events(response, request, provider=self._name, origin=origin)
                yield from with_own_names(events, request)
