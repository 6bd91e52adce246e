"""OpenAI's Chat Completions format: request bodies and streams."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import httpx2

from parley.llm.errors import ProviderFailed, UnusableAnswer
from parley.llm.messages import (
    Finished,
    FinishReason,
    Image,
    Message,
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    Text,
    TextDelta,
    ToolCall,
    ToolDefinition,
    ToolResult,
    Usage,
)
from parley.llm.prompts import alternating, grounded_messages
from parley.llm.tokens import estimate_usage
from parley.llm.vendors.errors import VendorError, error_in_stream
from parley.llm.vendors.http_client import END_S
from parley.llm.vendors.sdk import event_chunks
from parley.llm.vendors.tool_calls import ToolCallAssembler, vendor_call_id

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "model_length": "length",  # Mistral's, at the end of the model's context
}
# The answer broke off: at Mistral and gateways, at vLLM, and at DeepSeek.
_BROKEN_OFF = {"error", "abort", "insufficient_system_resource"}

# How long a server may take to send the usage after the finish reason, if it sends one at all.
USAGE_S = 5.0


def _unchanged(call_id: str) -> str:
    return call_id


_SAME_NAMES = ("top_p", "frequency_penalty", "presence_penalty", "logit_bias", "seed", "reasoning_effort")
COMPATIBLE_OPTIONS = MappingProxyType({name: name for name in (*_SAME_NAMES, "top_k", "min_p")})
_OPENAI_OPTIONS = MappingProxyType({name: name for name in (*_SAME_NAMES, "verbosity")})


@dataclass(frozen=True, slots=True)
class Dialect:
    """A server's deviations from the common format.

    OpenAI's own models reject `max_tokens`; most other servers accept only that name. Mistral rejects `stream_options` and
    participants' names. OpenAI and Mistral reject long ids of tool calls, which other servers may need unchanged, and take no
    reasoning back. Servers that render requests by the model's template (vLLM, llama.cpp) may refuse roles that do not alternate, so
    every server but OpenAI gets them so. Mistral may refuse a user's message directly after the results of tools. `options` maps our
    options to the server's names; other options are not sent.
    """

    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    asks_usage: bool = True
    call_id: Callable[[str], str] = _unchanged
    required: str = "required"
    has_names: bool = True
    takes_reasoning: bool = True
    alternates: bool = True
    notes_results: bool = False
    options: Mapping[str, str] = COMPATIBLE_OPTIONS


OPENAI_DIALECT = Dialect(
    limit_field="max_completion_tokens",
    call_id=partial(vendor_call_id, max_length=40),
    takes_reasoning=False,
    alternates=False,
    options=_OPENAI_OPTIONS,
)


def request_body(model_name: str, request: ModelRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the request body."""
    body: dict[str, Any] = {"model": model_name, "messages": request_messages(request, dialect), "stream": True}
    if dialect.asks_usage:
        body["stream_options"] = {"include_usage": True}
    if request.max_output_tokens is not None:
        body[dialect.limit_field] = request.max_output_tokens
    if request.temperature is not None:
        body["temperature"] = request.temperature
    body |= {dialect.options[name]: value for name, value in request.options.chosen(dialect.options).items()}
    if request.tools:
        body["tools"] = [{"type": "function", "function": _function(tool)} for tool in request.tools]
        body["tool_choice"] = dialect.required if request.tool_choice == "required" else request.tool_choice
        body |= request.options.chosen({"parallel_tool_calls"})
    if request.output:
        schema = {"name": request.output.name, "schema": dict(request.output.schema), "strict": request.output.strict}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _function(tool: ToolDefinition) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return function | {"strict": True} if tool.strict else function


def request_messages(request: ModelRequest, dialect: Dialect) -> list[dict[str, Any]]:
    """Return the messages in the vendor's format."""
    messages = [*([Message("system", request.system)] if request.system else []), *grounded_messages(request)]
    if dialect.alternates:
        messages = alternating(messages, has_names=dialect.has_names, notes_results=dialect.notes_results)
    return [item for message in messages for item in _message_items(message, dialect)]


def _message_items(message: Message, dialect: Dialect) -> Iterator[dict[str, Any]]:
    """Yield one message in the vendor's format, or one message per tool result."""
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": dialect.call_id(part.call_id), "content": part.text}
    extra = {"name": message.name} if message.name and dialect.has_names else {}
    if message.reasoning and dialect.takes_reasoning:
        extra |= {"reasoning_content": message.reasoning}
    calls = [_call(part, dialect) for part in message.parts if isinstance(part, ToolCall)]
    images = [part for part in message.parts if isinstance(part, Image)]
    if calls:
        yield {"role": "assistant", "content": message.text or None, "tool_calls": calls} | extra
    elif images:
        yield {"role": message.role, "content": [_content_part(part) for part in message.parts if isinstance(part, Text | Image)]} | extra
    elif message.role != "tool":
        yield {"role": message.role, "content": message.text} | extra


def _call(call: ToolCall, dialect: Dialect) -> dict[str, Any]:
    return {"id": dialect.call_id(call.id), "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _content_part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    detail = {} if part.detail == "auto" else {"detail": part.detail}
    return {"type": "image_url", "image_url": {"url": part.data_url} | detail}


def read_events(response: httpx2.Response, request: ModelRequest, *, provider: str) -> Iterator[ModelEvent]:
    """Yield the response as our events. Raises ProviderFailed if the stream is unreadable or ends early."""
    reason, usage, calls, texts = None, None, ToolCallAssembler(), list[str]()

    def end_s() -> float | None:
        return (END_S if usage else USAGE_S) if reason else None

    for chunk in event_chunks(response, provider=provider, end_s=end_s):
        if chunk.get("error"):
            raise error_in_stream(provider, VendorError.read(chunk))
        events, chunk_reason = _read(chunk, calls, provider)
        for event in events:
            texts.append(event.text)
            yield event if isinstance(event, TextDelta) or request.shows_reasoning else ReasoningDelta("")
        yield from calls.deltas(request)
        reason = chunk_reason or reason
        usage = _usage(chunk["usage"]) if chunk.get("usage") else usage
    if reason is None:
        raise ProviderFailed(provider, "the stream ended without a finish reason")
    if str(reason) in _BROKEN_OFF:
        raise ProviderFailed(provider, f"broke off: finish reason {reason!r}")
    # Some servers end tool calls with "stop". Calls that ran into the output limit are incomplete.
    has_calls = bool(calls) and str(reason) in {"tool_calls", "stop"}
    if has_calls:
        yield from calls.whole(provider, request)
    finish_reason = "tool_calls" if has_calls else _FINISH_REASONS.get(str(reason), "stop")
    yield Finished(finish_reason, usage or estimate_usage(request, "".join(texts)))


def _read(chunk: dict[str, Any], calls: ToolCallAssembler, provider: str) -> tuple[list[TextDelta | ReasoningDelta], Any]:
    """Return a chunk's texts and finish reason, and add its fragments of tool calls to `calls`."""
    try:
        choice = chunk["choices"][0] if chunk["choices"] else {}
        delta = choice.get("delta") or {}
        for position, fragment in enumerate(delta.get("tool_calls") or ()):
            function = fragment.get("function") or {}
            index = fragment.get("index")
            calls.add(
                position if index is None else index, id=fragment.get("id"), name=function.get("name"), arguments=function.get("arguments")
            )
        return list(_texts(delta)), choice.get("finish_reason")
    except (AttributeError, TypeError, LookupError) as exc:
        raise UnusableAnswer(provider, f"an unreadable chunk: {type(exc).__name__}") from exc


def _texts(delta: dict[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
    """Yield the texts of a delta.

    DeepSeek and vLLM send reasoning as `reasoning_content`, OpenRouter and newer vLLM as `reasoning`, and Mistral as parts of the
    content.
    """
    content, reasoning = delta.get("content"), delta.get("reasoning_content") or delta.get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        yield ReasoningDelta(reasoning)
    if isinstance(content, str) and content:
        yield TextDelta(content)
    for part in content if isinstance(content, list) else ():
        if part.get("type") == "text" and part["text"]:
            yield TextDelta(part["text"])
        if part.get("type") == "thinking" and (thought := "".join(piece.get("text") or "" for piece in part["thinking"])):
            yield ReasoningDelta(thought)
    if isinstance(refusal := delta.get("refusal"), str) and refusal:
        yield TextDelta(refusal, is_refusal=True)


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    cached, written = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return Usage(usage["prompt_tokens"], usage.get("completion_tokens") or 0, cached, written, reasoning_tokens=reasoning)
