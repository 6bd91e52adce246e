"""OpenAI's Chat Completions, which Mistral speaks too."""

from parley.llm.vendors import mistral
from parley.llm.vendors.openai import OpenAIProvider
from tests.fakes.vendor import USAGE
from tests.fakes.wire_formats.wire_format import CALLS, WireFormat, halves, sse


def chunk(delta, *, finish=None, usage=None):
    """One event."""
    return sse({"choices": [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": usage})


def texts(*given, finish="stop", usage=USAGE):
    """An answer of these texts; `usage=None` tells none."""
    counts = [chunk({}, usage=usage)] if usage else []
    return [*(chunk({"content": text}) for text in given), chunk({}, finish=finish), *counts, b"data: [DONE]\n\n"]


def calls():
    """Two calls at once, their arguments in pieces and interleaved."""
    starts = [
        chunk({"tool_calls": [{"index": n, "id": id, "function": {"name": name, "arguments": ""}}]})
        for n, (id, name, _) in enumerate(CALLS)
    ]
    pieces = [
        chunk({"tool_calls": [{"index": n, "function": {"arguments": half}}]})
        for side in (0, 1)
        for n, (*_, written) in enumerate(CALLS)
        for half in [halves(written)[side]]
    ]
    return [*starts, *pieces, chunk({}, finish="tool_calls"), chunk({}, usage=USAGE), b"data: [DONE]\n\n"]


def make(vendor, key, timeout_s):
    return OpenAIProvider("openai", api_key=key, base_url=vendor.url, timeout_s=timeout_s)


def make_mistral(vendor, key, timeout_s):
    return OpenAIProvider("mistral", api_key=key, base_url=vendor.url, timeout_s=timeout_s, dialect=mistral.DIALECT)


OPENAI = WireFormat("openai", make, texts, calls)
MISTRAL = WireFormat("mistral", make_mistral, texts, calls)
