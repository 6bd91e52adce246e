"""Answers in the format of OpenAI's Responses API."""

from parley.llm.vendors.openai import OpenAIProvider
from tests.fakes.wire_formats.wire_format import CALLS, WireFormat, halves, sse

USAGE = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15, "input_tokens_details": {"cached_tokens": 4}}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}


def ended(status="completed", **fields):
    """Return the last event."""
    return sse({"type": f"response.{status}", "response": {"status": status, "usage": USAGE} | fields})


def added(item, index=0):
    """Return the event with which an output item begins."""
    return sse({"type": "response.output_item.added", "output_index": index, "item": item})


def done(item):
    """Return a completed output item."""
    return sse({"type": "response.output_item.done", "item": item})


def texts(*deltas):
    """Return an answer with these texts."""
    created = sse({"type": "response.created", "response": {"status": "in_progress"}})
    return [created, *(sse({"type": "response.output_text.delta", "delta": text}) for text in deltas), ended()]


def calls():
    """Return an answer with a thought and two parallel tool calls."""
    items = [{"type": "function_call", "call_id": id, "name": name, "arguments": arguments} for id, name, arguments in CALLS]
    return [done(REASONING), *(event for index, item in enumerate(items, start=1) for event in call(index, item)), ended()]


def call(index, item):
    """Return the events of one tool call, whose arguments arrive in two pieces."""
    type = "response.function_call_arguments.delta"
    return [
        added(item | {"arguments": ""}, index),
        *(sse({"type": type, "output_index": index, "delta": half}) for half in halves(item["arguments"])),
        done(item),
    ]


def make(vendor, key, timeout_s):
    """Return the real provider, pointed at the fake vendor."""
    return OpenAIProvider("openai", api_key=key, base_url=vendor.url, timeout_s=timeout_s, api="responses")


RESPONSES = WireFormat("responses", make, texts, calls)
