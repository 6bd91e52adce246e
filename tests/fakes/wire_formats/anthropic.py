"""Answers in the format of Anthropic's Messages API."""

from parley.llm.vendors.anthropic import AnthropicProvider
from tests.fakes.wire_formats.wire_format import CALLS, WireFormat, halves, sse

STARTED = {"input_tokens": 6, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2, "output_tokens": 1}
ENDED = {"output_tokens": 3}


def event(type, **fields):
    """Return one event."""
    return sse({"type": type} | fields, event=type)


def framed(*blocks, reason, started=STARTED, ended=ENDED):
    """Return a complete stream with these content blocks."""
    end = event("message_delta", delta={"stop_reason": reason}, usage=ended)
    return [event("message_start", message={"id": "m", "usage": started}), event("ping"), *blocks, end, event("message_stop")]


def block(index, start, *deltas):
    """Return the events of one content block."""
    changes = [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    return [event("content_block_start", index=index, content_block=start), *changes, event("content_block_stop", index=index)]


def texts(*deltas, reason="end_turn", started=STARTED, ended=ENDED):
    """Return an answer with these texts. A usage of None is not sent."""
    events = [{"type": "text_delta", "text": text} for text in deltas]
    return framed(*block(0, {"type": "text", "text": ""}, *events), reason=reason, started=started, ended=ended)


def calls():
    """Return an answer with a thought and two parallel tool calls."""
    thought = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "sealed"},
    )
    uses = [
        event_bytes
        for index, (id, name, arguments) in enumerate(CALLS, start=1)
        for event_bytes in block(
            index,
            {"type": "tool_use", "id": id, "name": name, "input": {}},
            *({"type": "input_json_delta", "partial_json": half} for half in halves(arguments)),
        )
    ]
    return framed(*thought, *uses, reason="tool_use")


def make(vendor, key, timeout_s):
    """Return the real provider, pointed at the fake vendor."""
    return AnthropicProvider("anthropic", api_key=key, base_url=vendor.root, timeout_s=timeout_s)


ANTHROPIC = WireFormat("anthropic", make, texts, calls)
