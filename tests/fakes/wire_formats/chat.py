"""Answers in the format of OpenAI's Chat Completions API, which Mistral uses too."""

from parley.llm.vendors import mistral
from parley.llm.vendors.openai import OpenAIProvider
from tests.fakes.vendor import USAGE
from tests.fakes.wire_formats.wire_format import CALLS, WireFormat, halves, sse


def chunk(delta, *, finish=None, usage=None):
    """Return one event."""
    return sse({"choices": [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": usage})


def texts(*deltas, finish="stop", usage=USAGE):
    """Return an answer with these texts. A usage of None is not sent."""
    counts = [chunk({}, usage=usage)] if usage else []
    return [*(chunk({"content": text}) for text in deltas), chunk({}, finish=finish), *counts, b"data: [DONE]\n\n"]


def calls():
    """Return an answer with two parallel tool calls whose arguments arrive interleaved."""
    starts = [
        chunk({"tool_calls": [{"index": n, "id": id, "function": {"name": name, "arguments": ""}}]})
        for n, (id, name, _) in enumerate(CALLS)
    ]
    argument_deltas = [
        chunk({"tool_calls": [{"index": n, "function": {"arguments": half}}]})
        for side in (0, 1)
        for n, (*_, arguments) in enumerate(CALLS)
        for half in [halves(arguments)[side]]
    ]
    return [*starts, *argument_deltas, chunk({}, finish="tool_calls"), chunk({}, usage=USAGE), b"data: [DONE]\n\n"]


def make(vendor, key, timeout_s):
    """Return the real OpenAI provider, pointed at the fake vendor."""
    return OpenAIProvider("openai", api_key=key, base_url=vendor.url, timeout_s=timeout_s)


def make_mistral(vendor, key, timeout_s):
    """Return the real Mistral provider, pointed at the fake vendor."""
    return OpenAIProvider("mistral", api_key=key, base_url=vendor.url, timeout_s=timeout_s, dialect=mistral.DIALECT)


OPENAI = WireFormat("openai", make, texts, calls)
MISTRAL = WireFormat("mistral", make_mistral, texts, calls)
