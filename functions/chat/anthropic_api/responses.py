"""A message in Anthropic's format: one document, or Server-Sent Events that end with `message_stop` or `error`."""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from fastapi import Response

from functions.chat.anthropic_api.errors import REQUEST_ID_HEADER, anthropic_error_body
from functions.chat.anthropic_api.response_schemas import (
    AnthropicMessageOut,
    AnthropicUsageOut,
    StopReason,
    TextBlockOut,
    ThinkingBlockOut,
    ToolUseBlockOut,
)
from functions.chat.completions.answer_end import until_finished
from functions.chat.completions.call_sequence import in_sequence, is_object
from functions.chat.completions.completion import CompletionEvent, CompletionStream
from functions.chat.completions.opaque_content import pack_thought
from functions.chat.responses import SSE_PING, EventStream, WholeAnswer
from functions.chat.turn.events import Ping
from parley.errors import ParleyError
from parley.http.schemas import Output
from parley.llm.errors import UnusableAnswer
from parley.llm.messages import Finished, FinishReason, ModelRequest, ReasoningDelta, TextDelta, Thought, ToolCall, ToolCallDelta, Usage
from parley.llm.tokens import estimate_request_tokens
from parley.llm.vendors.tool_calls import arguments_object
from parley.observability import logger

type MessageEvent = dict[str, Any]

_STOP_REASONS: Mapping[FinishReason, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_PING: MessageEvent = {"type": "ping"}


def message_response(completion: CompletionStream, request: ModelRequest, *, stream: bool, request_id: str) -> Response:
    """Wait for the first event, so that an earlier failure becomes an error response, then return the encoded events.

    If the vendor is silent for `PING_S`, the first event is a ping: a stream then has status 200 even if the call fails.
    """
    headers = {REQUEST_ID_HEADER: request_id}
    first = next(completion.events)
    events = message_events(completion, in_sequence(until_finished(chain([first], completion.events))), request)
    if stream:
        return EventStream(_sse_events(events, request_id), completion.events, headers)
    try:
        message = whole_message(events)
        return WholeAnswer(message.model_dump_json(), completion.events, headers, model_ms=completion.model_ms())
    except BaseException:
        completion.events.close()
        raise


def _sse_events(events: Iterator[MessageEvent | Ping], request_id: str) -> Iterator[bytes]:
    """Encode each event as it arrives. A failure becomes the last event."""
    try:
        for event in events:
            yield SSE_PING if isinstance(event, Ping) else _sse_event(event)
    except ParleyError as exc:
        logger.warning("completion_failed", problem=exc.code, reason=str(exc))
        yield _sse_event(anthropic_error_body(exc, request_id))
    except Exception:  # the outermost handler of a stream: the client always gets an error
        logger.exception("completion_crashed")
        yield _sse_event(anthropic_error_body(ParleyError(), request_id))


def _sse_event(event: MessageEvent) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def message_events(completion: CompletionStream, events: Iterable[CompletionEvent], request: ModelRequest) -> Iterator[MessageEvent | Ping]:
    """Yield the events of a message: a start, the events of each content block, and the stop reason with the usage.

    Until the vendor sends something, a `Ping` is yielded as it is: the message names its model only when this is known. The usage of
    the start is an estimate, and that of the end is the vendor's.
    """
    blocks, has_begun, is_refused = _ContentBlocks(keeps_thoughts=bool(request.tools)), False, False
    for event in events:
        if not has_begun and isinstance(event, Ping):
            yield event
            continue
        if not has_begun:
            has_begun = True
            yield _message_start(completion, request)
        match event:
            case Finished():
                yield from blocks.close()
                yield from _message_end(event, is_refused=is_refused)
            case Ping():
                yield _PING
            case _:
                is_refused = is_refused or (isinstance(event, TextDelta) and event.is_refusal)
                yield from blocks.write(event)


def whole_message(events: Iterable[MessageEvent | Ping]) -> AnthropicMessageOut:
    """Return the message that the events build up."""
    message: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for event in events:
        match event:
            case {"type": "message_start", "message": started}:
                message = dict(started)
            case {"type": "content_block_start", "content_block": block}:
                message["content"].append(dict(block))
            case {"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": part}}:
                inputs[index] = inputs.get(index, "") + part
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                (name,) = delta.keys() - {"type"}
                message["content"][index][name] += delta[name]
            case {"type": "message_delta", "delta": delta, "usage": usage}:
                message |= delta | {"usage": message["usage"] | usage}
    for index, text in inputs.items():
        message["content"][index]["input"] = json.loads(text)
    return AnthropicMessageOut.model_validate(message)


@dataclass(slots=True)
class _OpenCall:
    """A tool call whose block is open. Its pieces are sent as they arrive if they begin an object, and withheld otherwise."""

    id: str
    withheld: str = ""
    is_object: bool = False

    def shown(self, piece: str) -> str:
        """Return the text to send now that this piece has arrived."""
        if self.is_object:
            return piece
        self.withheld += piece
        self.is_object = self.withheld.lstrip().startswith("{")
        return self.withheld if self.is_object else ""


class _ContentBlocks:
    """Writes the deltas of a completion as content blocks, one after the other.

    A thought ends its block of reasoning with its signature. A thought whose reasoning is not shown has a block without text, but only
    with `keeps_thoughts`: other clients expect an answer that begins with its text.
    """

    def __init__(self, *, keeps_thoughts: bool) -> None:
        self._keeps_thoughts = keeps_thoughts
        self._index = -1
        self._open: Literal["text", "thinking"] | _OpenCall | None = None

    def write(self, event: TextDelta | ReasoningDelta | Thought | ToolCallDelta | ToolCall) -> Iterator[MessageEvent]:
        """Yield the events of a delta, of a thought or of a tool call.

        Raises UnusableAnswer if a call turns out not to be an object after its pieces were sent.
        """
        match event:
            case TextDelta(text):
                yield from self._continue("text", TextBlockOut(text=""))
                yield self._delta(type="text_delta", text=text)
            case ReasoningDelta(text):
                yield from self._continue("thinking", ThinkingBlockOut(thinking="", signature=""))
                yield self._delta(type="thinking_delta", thinking=text)
            case Thought() if self._open == "thinking" or self._keeps_thoughts:
                yield from self._continue("thinking", ThinkingBlockOut(thinking="", signature=""))
                yield self._delta(type="signature_delta", signature=pack_thought(event))
                yield from self.close()
            case ToolCallDelta(_, id, name, arguments):
                call = yield from self._continue_call(id, name)
                if shown := call.shown(arguments):
                    yield self._delta(type="input_json_delta", partial_json=shown)
            case ToolCall(id, name):
                call = yield from self._continue_call(id, name)
                yield from self._end_call(call, event)

    def _continue_call(self, id: str, name: str) -> Generator[MessageEvent, None, _OpenCall]:
        """Return the open call. If another call or none is open, end what is open and start a block first."""
        if not isinstance(self._open, _OpenCall) or self._open.id != id:
            yield from self.close()
            yield from self._start(ToolUseBlockOut(id=id, name=name, input={}))
            self._open = _OpenCall(id)
        return self._open

    def _end_call(self, call: _OpenCall, whole: ToolCall) -> Iterator[MessageEvent]:
        if not call.is_object:
            yield self._delta(type="input_json_delta", partial_json=json.dumps(arguments_object(whole), ensure_ascii=False))
        elif not is_object(whole.arguments):
            raise UnusableAnswer("the model", "the arguments of a streamed tool call are not a JSON object")
        yield from self.close()

    def close(self) -> Iterator[MessageEvent]:
        """Yield the end of the open block, if there is one."""
        if self._open:
            self._open = None
            yield self._stop()

    def _continue(self, kind: Literal["text", "thinking"], block: Output) -> Iterator[MessageEvent]:
        """If no block of this kind is open, end the open block and start one of this kind."""
        if self._open == kind:
            return
        yield from self.close()
        self._open = kind
        yield from self._start(block)

    def _start(self, block: Output) -> Iterator[MessageEvent]:
        self._index += 1
        yield {"type": "content_block_start", "index": self._index, "content_block": block.model_dump()}
        if self._index == 0:
            yield _PING  # as Anthropic's API does

    def _delta(self, **delta: str) -> MessageEvent:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _stop(self) -> MessageEvent:
        return {"type": "content_block_stop", "index": self._index}


def _message_start(completion: CompletionStream, request: ModelRequest) -> MessageEvent:
    message = AnthropicMessageOut(
        id=f"msg_{completion.id.rpartition('-')[2]}",
        model=completion.model(),
        content=[],
        stop_reason=None,
        usage=AnthropicUsageOut.of(Usage(estimate_request_tokens(request))),
    )
    return {"type": "message_start", "message": message.model_dump()}


def _message_end(finished: Finished, *, is_refused: bool) -> Iterator[MessageEvent]:
    reason: StopReason = _STOP_REASONS[finished.reason]
    if reason == "end_turn":
        reason = "stop_sequence" if finished.stop_sequence is not None else "refusal" if is_refused else reason
    usage = AnthropicUsageOut.of(finished.usage).model_dump(exclude={"cache_creation", "inference_geo", "service_tier"})
    delta = {"stop_reason": reason, "stop_sequence": finished.stop_sequence, "stop_details": None, "container": None}
    yield {"type": "message_delta", "delta": delta, "usage": usage}
    yield {"type": "message_stop"}
