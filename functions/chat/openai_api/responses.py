"""A completion in OpenAI's format: one document, or Server-Sent Events that end with `[DONE]`."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from fastapi import Response

from functions.chat.completions.answer_end import until_finished
from functions.chat.completions.completion import CompletionEvent, CompletionStream
from functions.chat.openai_api.errors import stream_error
from functions.chat.openai_api.response_schemas import (
    AssistantMessageOut,
    ChoiceOut,
    CompletionOut,
    CompletionUsageOut,
    FunctionCallOut,
    ToolCallOut,
)
from functions.chat.openai_api.stored_conversation import CONVERSATION_HEADER
from functions.chat.responses import SSE_PING, EventStream, WholeAnswer
from functions.chat.turn.events import Ping
from parley.errors import ParleyError
from parley.llm.messages import Finished, ReasoningDelta, TextDelta, ToolCall, ToolCallDelta, Usage
from parley.observability import logger

type ChunkDelta = tuple[dict[str, Any], str | None, Usage | None]


def completion_response(completion: CompletionStream, *, stream: bool, wants_usage: bool) -> Response:
    """Wait for the first event, so that an earlier failure becomes an error response, then return the encoded events.

    If the vendor is silent for `PING_S`, the first event is a ping: a stream then has status 200 even if the call fails.
    """
    headers = {CONVERSATION_HEADER: str(completion.conversation_id)} if completion.conversation_id else {}
    first = next(completion.events)
    events = until_finished(chain([first], completion.events))
    if stream:
        return EventStream(_sse_chunks(completion, events, wants_usage=wants_usage), completion.events, headers)
    try:
        document = _document(completion, list(events))
        return WholeAnswer(document.model_dump_json(), completion.events, headers, model_ms=completion.model_ms())
    except BaseException:
        completion.events.close()
        raise


def _document(head: CompletionStream, events: list[CompletionEvent]) -> CompletionOut:
    text = "".join(event.text for event in events if isinstance(event, TextDelta) and not event.is_refusal)
    refusal = "".join(event.text for event in events if isinstance(event, TextDelta) and event.is_refusal)
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    calls = [_tool_call(event) for event in events if isinstance(event, ToolCall)]
    finished = next(event for event in events if isinstance(event, Finished))
    message = AssistantMessageOut(
        content=text or (None if calls or refusal else ""),
        refusal=refusal or None,
        reasoning_content=reasoning or None,
        tool_calls=calls or None,
    )
    choice = ChoiceOut(message=message, finish_reason=finished.reason)
    return CompletionOut(
        id=head.id, created=head.created, model=head.model(), choices=[choice], usage=CompletionUsageOut.of(finished.usage)
    )


def _sse_chunks(head: CompletionStream, events: Iterator[CompletionEvent], *, wants_usage: bool) -> Iterator[bytes]:
    """Encode each event as it arrives. A failure becomes the last chunk."""
    usage: dict[str, Any] = {"usage": None} if wants_usage else {}
    try:
        for chunk_delta in _deltas(events):
            if isinstance(chunk_delta, Ping):
                yield SSE_PING
                continue
            delta, reason, final_usage = chunk_delta
            yield _chunk(head, delta, usage, reason)
            if final_usage and wants_usage:
                yield _sse_data(_header_fields(head) | {"choices": [], "usage": CompletionUsageOut.of(final_usage).model_dump()})
        yield b"data: [DONE]\n\n"
    except ParleyError as exc:
        logger.warning("completion_failed", problem=exc.code, reason=str(exc))
        yield _sse_data({"error": stream_error(exc)})
    except Exception:  # the outermost handler of a stream: whatever happened, the client gets an error
        logger.exception("completion_crashed")
        yield _sse_data({"error": stream_error(ParleyError())})


def _deltas(events: Iterator[CompletionEvent]) -> Iterator[ChunkDelta | Ping]:
    """Yield the assistant's role, then the delta of each event. The last delta has the finish reason and the usage.

    A whole call is only yielded if it has not arrived in pieces, which all calls of an answer do, or none.
    """
    has_begun, calls, numbers = False, 0, dict[int, int]()
    for event in events:
        if not has_begun and not isinstance(event, Ping):
            has_begun = True
            yield {"role": "assistant", "content": ""}, None, None
        match event:
            case Ping():
                yield event
            case TextDelta(text):
                yield {"refusal" if event.is_refusal else "content": text}, None, None
            case ReasoningDelta(text):
                yield {"reasoning_content": text}, None, None
            case ToolCallDelta(index, id, name, arguments):
                begins = index not in numbers
                number = numbers.setdefault(index, len(numbers))
                call = _tool_call(ToolCall(id, name, arguments)).model_dump() if begins else {"function": {"arguments": arguments}}
                yield {"tool_calls": [{"index": number} | call]}, None, None
            case ToolCall() if not numbers:
                yield {"tool_calls": [{"index": calls} | _tool_call(event).model_dump()]}, None, None
                calls += 1
            case Finished(reason, final_usage):
                yield {}, reason, final_usage


def _tool_call(call: ToolCall) -> ToolCallOut:
    return ToolCallOut(id=call.id, function=FunctionCallOut(name=call.name, arguments=call.arguments))


def _chunk(head: CompletionStream, delta: dict[str, Any], usage: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _sse_data(_header_fields(head) | {"choices": [choice]} | usage)


def _header_fields(head: CompletionStream) -> dict[str, Any]:
    return {"id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model()}


def _sse_data(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
