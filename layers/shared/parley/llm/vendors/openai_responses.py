"""OpenAI's Responses format: request bodies and streams.

The vendor stores nothing: it returns reasoning encrypted, and we send it back together with the resulting tool calls.
"""

import json
from collections.abc import Iterator
from typing import Any

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
    Thought,
    ToolCall,
    ToolResult,
    Usage,
)
from parley.llm.prompts import grounded_messages
from parley.llm.tokens import estimate_usage
from parley.llm.vendors.errors import VendorError, error_in_stream
from parley.llm.vendors.sdk import event_chunks
from parley.llm.vendors.tool_calls import ToolCallAssembler, checked_arguments, vendor_call_id

_END_EVENTS = {"response.completed", "response.incomplete"}


def request_body(origin: str, model_name: str, request: ModelRequest) -> dict[str, Any]:
    """Return the request body. Only thoughts of `origin` are included."""
    body: dict[str, Any] = {"model": model_name, "input": input_items(origin, request), "stream": True, "store": False}
    body["include"] = ["reasoning.encrypted_content"]
    if request.system:
        body["instructions"] = request.system
    if request.max_output_tokens is not None:
        body["max_output_tokens"] = request.max_output_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
                "strict": tool.strict,
            }
            for tool in request.tools
        ]
        body["tool_choice"] = request.tool_choice
        body |= request.options.chosen({"parallel_tool_calls"})
    body |= request.options.chosen({"top_p"})
    wanted = {"effort": request.options.reasoning_effort, "summary": request.options.reasoning_summary}
    if reasoning := {name: value for name, value in wanted.items() if value}:
        body["reasoning"] = reasoning
    if request.options.verbosity:
        body["text"] = {"verbosity": request.options.verbosity}
    if request.output:
        schema = {"name": request.output.name, "schema": dict(request.output.schema), "strict": request.output.strict}
        body["text"] = body.get("text", {}) | {"format": {"type": "json_schema"} | schema}
    return body


def input_items(origin: str, request: ModelRequest) -> list[dict[str, Any]]:
    """Return the messages in the vendor's format: one item per message, tool call, result and thought."""
    return [item for message in grounded_messages(request) for item in _items(origin, message)]


def _items(origin: str, message: Message) -> Iterator[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Text | Image):
            content.append(_content_part(part, message.role))
            continue
        if content:
            yield {"role": message.role, "content": content}
            content = []
        yield from _item(origin, part)
    if content:
        yield {"role": message.role, "content": content}


def _item(origin: str, part: Part) -> Iterator[dict[str, Any]]:
    match part:
        case ToolCall(id, name, arguments):
            yield {"type": "function_call", "call_id": vendor_call_id(id), "name": name, "arguments": arguments}
        case ToolResult(call_id, text):
            yield {"type": "function_call_output", "call_id": vendor_call_id(call_id), "output": text}
        case Thought(thought_origin, payload) if thought_origin == origin:
            yield json.loads(payload)


def _content_part(part: Text | Image, role: str) -> dict[str, Any]:
    if isinstance(part, Image):
        return {"type": "input_image", "image_url": part.data_url, "detail": part.detail}
    return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}


def read_events(response: httpx2.Response, request: ModelRequest, *, provider: str, origin: str) -> Iterator[ModelEvent]:
    """Yield the response as our events. Raises ProviderFailed if the stream is unreadable or ends early."""
    end, calls, texts, is_refusal = None, list[ToolCall](), list[str](), False
    fragments = ToolCallAssembler()
    for chunk in event_chunks(response, provider=provider, last=_END_EVENTS):
        match chunk.get("type"):
            case "response.output_text.delta" | "response.refusal.delta" as kind:
                is_refusal = is_refusal or kind == "response.refusal.delta"
                texts.append(chunk["delta"])
                yield TextDelta(chunk["delta"], is_refusal=kind == "response.refusal.delta")
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield ReasoningDelta(chunk["delta"] if request.shows_reasoning else "")
            case "response.output_item.added" if chunk["item"]["type"] == "reasoning":
                yield ReasoningDelta("")
            case "response.output_item.added" if chunk["item"]["type"] == "function_call":
                fragments.add(chunk["output_index"], id=chunk["item"]["call_id"], name=chunk["item"]["name"])
            case "response.function_call_arguments.delta":
                fragments.add(chunk["output_index"], arguments=chunk["delta"])
            case "response.reasoning_summary_part.added" if request.shows_reasoning and chunk.get("summary_index"):
                yield ReasoningDelta("\n\n")
            case "response.output_item.done":
                item = chunk["item"]
                if item["type"] == "reasoning":
                    yield _thought(origin, item)
                elif item["type"] == "function_call":
                    calls.append(ToolCall(item["call_id"], item["name"], checked_arguments(provider, item["arguments"], request)))
            case "response.failed":
                raise error_in_stream(provider, VendorError.read(chunk["response"]))
            case "error":
                raise error_in_stream(provider, VendorError.read(chunk))
            case kind if kind in _END_EVENTS:
                end = chunk["response"]
        yield from fragments.deltas(request)
    if end is None:
        raise ProviderFailed(provider, "the stream ended without a completed response")
    reason = _finish_reason(end, has_calls=bool(calls), is_refusal=is_refusal)
    yield from calls if reason == "tool_calls" else ()
    yield Finished(reason, _usage(end["usage"]) if end.get("usage") else estimate_usage(request, "".join(texts)))


def _thought(origin: str, item: dict[str, Any]) -> Thought:
    """Return a reasoning item as a thought: its summary and encrypted content, without its id, because the vendor does not store it."""
    payload = {"type": "reasoning", "summary": item.get("summary") or [], "encrypted_content": item.get("encrypted_content")}
    return Thought(origin, json.dumps(payload))


def _finish_reason(end: dict[str, Any], *, has_calls: bool, is_refusal: bool) -> FinishReason:
    if end.get("status") == "incomplete":
        return "content_filter" if (end.get("incomplete_details") or {}).get("reason") == "content_filter" else "length"
    if has_calls:
        return "tool_calls"
    return "content_filter" if is_refusal else "stop"


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("input_tokens_details") or {}
    cached, written = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    reasoning = (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0
    return Usage(usage["input_tokens"], usage["output_tokens"], cached, written, reasoning_tokens=reasoning)
