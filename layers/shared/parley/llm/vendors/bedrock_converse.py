"""Bedrock's Converse format: call arguments and streams."""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from parley.llm.errors import ProviderFailed, UnusableAnswer
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
    Thought,
    ToolCall,
    ToolResult,
    Usage,
)
from parley.llm.prompts import alternating, grounded_messages, with_system_first
from parley.llm.tokens import estimate_usage
from parley.llm.vendors.tool_calls import ToolCallAssembler, arguments_object, vendor_call_id

OPENAI_URL = "https://bedrock-runtime.{region}.amazonaws.com/openai/v1"  # the endpoint for Bedrock API keys
_CACHE_POINT: dict[str, Any] = {"cachePoint": {"type": "default"}}
_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}


def converse_arguments(origin: str, model_name: str, request: ModelRequest, *, caches: bool) -> dict[str, Any]:
    """Return the arguments of `converse_stream`."""
    request = with_system_first(request)
    call: dict[str, Any] = {"modelId": model_name, "messages": request_messages(origin, request)}
    point = [_CACHE_POINT] if caches else []
    if request.system:
        call["system"] = [{"text": request.system}, *point]
    limits = {"maxTokens": request.max_output_tokens, "temperature": request.temperature, "topP": request.options.top_p}
    if set_limits := {name: limit for name, limit in limits.items() if limit is not None}:
        call["inferenceConfig"] = set_limits
    # The API has no tool choice "none", and requires the tools if earlier messages contain tool calls.
    if request.tools and (request.tool_choice != "none" or _has_tool_calls(request)):
        call["toolConfig"] = {"tools": [*map(_tool, request.tools), *point], "toolChoice": _choice(request)}
    if request.output:
        schema = {"name": request.output.name, "schema": json.dumps(dict(request.output.schema))}
        call["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
    return call


def _tool(tool: Any) -> dict[str, Any]:
    return {"toolSpec": {"name": tool.name, "description": tool.description, "inputSchema": {"json": dict(tool.parameters)}}}


def _has_tool_calls(request: ModelRequest) -> bool:
    return any(isinstance(part, ToolCall) for message in request.messages for part in message.parts)


def _choice(request: ModelRequest) -> dict[str, Any]:
    return {"any": {}} if request.tool_choice == "required" else {"auto": {}}


def request_messages(origin: str, request: ModelRequest) -> list[dict[str, Any]]:
    """Return the messages in the vendor's format, in which tool results have the role `user`. The vendor requires that roles alternate."""
    said = [message for message in grounded_messages(request) if _content(origin, message)]
    messages = alternating((replace(message, role="user") if message.role == "tool" else message for message in said), has_names=False)
    return [{"role": message.role, "content": _content(origin, message)} for message in messages]


def _content(origin: str, message: Message) -> list[dict[str, Any]]:
    return [block for part in message.parts for block in _block(origin, part)]


def _block(origin: str, part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case Text(text) if text.strip():  # the vendor rejects blank text
            yield {"text": text}
        case Image(media_type, data):
            yield {"image": {"format": media_type.removeprefix("image/"), "source": {"bytes": data}}}
        case ToolCall(id, name):
            yield {"toolUse": {"toolUseId": vendor_call_id(id), "name": name, "input": arguments_object(part)}}
        case ToolResult(call_id, text, is_error):
            status = "error" if is_error else "success"
            yield {"toolResult": {"toolUseId": vendor_call_id(call_id), "content": [{"text": text or " "}], "status": status}}
        case Thought(thought_origin, payload) if thought_origin == origin:
            yield {"reasoningContent": _reasoning_content(json.loads(payload))}


def read_events(stream: Iterable[dict[str, Any]], request: ModelRequest, *, provider: str, origin: str) -> Iterator[ModelEvent]:
    """Yield the response as our events. Raises ProviderFailed if the stream is unreadable or ends early."""
    reader = _ConverseReader(origin)
    for event in stream:
        yield from reader.read(event)
        yield from reader.calls.deltas(request)
    if reader.reason is None:
        raise ProviderFailed(provider, "the stream ended without messageStop")
    if reader.reason.startswith("malformed"):
        raise UnusableAnswer(provider, reader.reason)
    if reader.reason == "tool_use":
        yield from reader.calls.whole(provider, request)
    yield Finished(_FINISH_REASONS.get(reader.reason, "stop"), reader.usage or estimate_usage(request, "".join(reader.texts)))


class _ConverseReader:
    """The state that builds up while a stream is read."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self.calls = ToolCallAssembler()
        self.reason: str | None = None
        self.usage: Usage | None = None
        self.texts: list[str] = []
        self._thoughts: dict[int, dict[str, str]] = {}

    def read(self, event: dict[str, Any]) -> Iterator[ModelEvent]:
        """Read one vendor event and yield our events."""
        for kind, body in event.items():
            match kind:
                case "contentBlockStart":
                    use = body["start"].get("toolUse") or {}
                    self.calls.add(body["contentBlockIndex"], id=use.get("toolUseId"), name=use.get("name"))
                case "contentBlockDelta":
                    yield from self._delta(body["contentBlockIndex"], body["delta"])
                case "contentBlockStop" if thought := self._thoughts.pop(body["contentBlockIndex"], None):
                    yield Thought(self._origin, json.dumps(thought))
                case "messageStop":
                    self.reason = body["stopReason"]
                case "metadata":
                    self.usage = _usage(body["usage"])

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[ModelEvent]:
        if text := delta.get("text"):
            self.texts.append(text)
            yield TextDelta(text)
        if use := delta.get("toolUse"):
            self.calls.add(index, arguments=use.get("input"))
        if reasoning := delta.get("reasoningContent"):
            thought = self._thoughts.setdefault(index, {})
            for name in ("text", "signature"):
                if name in reasoning:
                    thought[name] = thought.get(name, "") + reasoning[name]
            if "redactedContent" in reasoning:
                thought["redacted"] = base64.b64encode(reasoning["redactedContent"]).decode()
            yield ReasoningDelta("")


def _reasoning_content(thought: dict[str, str]) -> dict[str, Any]:
    if "redacted" in thought:
        return {"redactedContent": base64.b64decode(thought["redacted"])}
    return {"reasoningText": thought}


def _usage(usage: dict[str, Any]) -> Usage:
    """Return the usage. This vendor's `inputTokens` exclude cached tokens; ours include them."""
    cached, written = usage.get("cacheReadInputTokens") or 0, usage.get("cacheWriteInputTokens") or 0
    return Usage(usage["inputTokens"] + cached + written, usage["outputTokens"], cached, written)
