"""An answer in OpenAI's words: one document, or Server-Sent Events that end with `[DONE]`."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from fastapi import Response

from functions.chat.answers import PING, EventStream
from functions.chat.compat.answering import Answering, Said
from functions.chat.compat.conversing import HEADER
from functions.chat.compat.errors import error_body
from functions.chat.compat.outputs import AssistantOut, CalledOut, CallOut, ChoiceOut, CompletionOut, UsageOut
from functions.chat.events import Ping
from parley.clock import utc_now
from parley.errors import ParleyError
from parley.ids import new_id
from parley.llm.messages import Finished, TextDelta, ToolCall, Usage
from parley.observability import logger

type Delta = tuple[dict[str, Any], str | None, Usage | None]


@dataclass(frozen=True, slots=True)
class Head:
    """What all chunks of an answer share."""

    model: Callable[[], str]
    id: str = field(default_factory=lambda: f"chatcmpl-{new_id().hex}")
    created: int = field(default_factory=lambda: int(utc_now().timestamp()))


def answer(answering: Answering, *, stream: bool, wants_usage: bool) -> Response:
    """Wait for the first event, so that what fails before it has its own status, and encode what follows.

    A vendor that is silent for long is bridged by comments, and then the status of a stream is 200 whatever comes.
    """
    headers = {HEADER: str(answering.conversation_id)} if answering.conversation_id else {}
    first = next(answering.events)
    events = chain([first], answering.events)
    if stream:
        return EventStream(_sse(Head(answering.model), events, wants_usage=wants_usage), answering.events, headers)
    said = list(events)
    return Response(_document(Head(answering.model), said).model_dump_json(), media_type="application/json", headers=headers)


def _document(head: Head, events: list[Said]) -> CompletionOut:
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    calls = [_call(event) for event in events if isinstance(event, ToolCall)]
    finished = next(event for event in events if isinstance(event, Finished))
    message = AssistantOut(content=text or (None if calls else ""), tool_calls=calls or None)
    choice = ChoiceOut(message=message, finish_reason=finished.reason)
    return CompletionOut(id=head.id, created=head.created, model=head.model(), choices=[choice], usage=UsageOut.of(finished.usage))


def _sse(head: Head, events: Iterator[Said], *, wants_usage: bool) -> Iterator[bytes]:
    """Encode each event as it comes; a failure is the last of them."""
    usage: dict[str, Any] = {"usage": None} if wants_usage else {}
    try:
        for said in _deltas(events):
            if isinstance(said, Ping):
                yield PING
                continue
            delta, reason, counted = said
            yield _chunk(head, delta, usage, reason)
            if counted and wants_usage:
                yield _data(_fields(head) | {"choices": [], "usage": UsageOut.of(counted).model_dump()})
        yield b"data: [DONE]\n\n"
    except ParleyError as exc:
        logger.warning("an answer broke off", problem=exc.code, reason=str(exc))
        yield _data(error_body(exc))
    except Exception:  # the outermost handler of a stream: whatever happened, the client is told
        logger.exception("an answer broke")
        yield _data(error_body(ParleyError()))


def _deltas(events: Iterator[Said]) -> Iterator[Delta | Ping]:
    """Yield whose words follow, then each event's delta; the last with the reason of the end, and what it took."""
    has_begun, calls = False, 0
    for event in events:
        if not has_begun and not isinstance(event, Ping):
            has_begun = True
            yield {"role": "assistant", "content": ""}, None, None
        match event:
            case Ping():
                yield event
            case TextDelta(text):
                yield {"content": text}, None, None
            case ToolCall():
                yield {"tool_calls": [{"index": calls} | _call(event).model_dump()]}, None, None
                calls += 1
            case Finished(reason, counted):
                yield {}, reason, counted


def _call(call: ToolCall) -> CallOut:
    return CallOut(id=call.id, function=CalledOut(name=call.name, arguments=call.arguments))


def _chunk(head: Head, delta: dict[str, Any], usage: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _data(_fields(head) | {"choices": [choice]} | usage)


def _fields(head: Head) -> dict[str, Any]:
    return {"id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model()}


def _data(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()
