"""Answers of Bedrock's ConverseStream in AWS event stream framing, which botocore can decode but not encode."""

import json
import struct
import zlib

from parley.llm.vendors.bedrock import BedrockProvider
from tests.fakes.wire_formats.wire_format import CALLS, WireFormat, halves

CONTENT_TYPE = "application/vnd.amazon.eventstream"
STRING = 7


def frame(document, *, kind="event", name):
    """Return one message: lengths and their checksum, headers, payload, and a checksum of everything."""
    names = {"event": ":event-type", "exception": ":exception-type"}
    headers = b"".join(
        bytes([len(key)]) + key.encode() + bytes([STRING]) + struct.pack(">H", len(value)) + value.encode()
        for key, value in {":message-type": kind, names[kind]: name, ":content-type": "application/json"}.items()
    )
    payload = json.dumps(document, ensure_ascii=False).encode()
    lengths = struct.pack(">II", len(headers) + len(payload) + 16, len(headers))
    body = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def block(index, *deltas, start=None):
    """Return the messages of one content block."""
    begin = [frame({"contentBlockIndex": index, "start": start}, name="contentBlockStart")] if start else []
    changes = [frame({"contentBlockIndex": index, "delta": delta}, name="contentBlockDelta") for delta in deltas]
    return [*begin, *changes, frame({"contentBlockIndex": index}, name="contentBlockStop")]


def framed(*blocks, reason):
    """Return a complete stream with these content blocks."""
    usage = {"inputTokens": 6, "outputTokens": 3, "totalTokens": 15, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 2}
    end = [frame({"stopReason": reason}, name="messageStop"), frame({"usage": usage, "metrics": {"latencyMs": 1}}, name="metadata")]
    return [frame({"role": "assistant"}, name="messageStart"), *blocks, *end]


def texts(*deltas, reason="end_turn"):
    """Return an answer with these texts."""
    return framed(*block(0, *({"text": text} for text in deltas)), reason=reason)


def calls():
    """Return an answer with a thought and two parallel tool calls."""
    thought = block(0, {"reasoningContent": {"text": "hm"}}, {"reasoningContent": {"signature": "sealed"}})
    uses = [
        message
        for index, (id, name, arguments) in enumerate(CALLS, start=1)
        for message in block(
            index, *({"toolUse": {"input": half}} for half in halves(arguments)), start={"toolUse": {"toolUseId": id, "name": name}}
        )
    ]
    return framed(*thought, *uses, reason="tool_use")


def make(vendor, key, timeout_s):
    """Return the real provider, pointed at the fake vendor."""
    return BedrockProvider("bedrock", region="eu-west-1", endpoint_url=vendor.root, timeout_s=timeout_s, caches=True)


BEDROCK = WireFormat("bedrock", make, texts, calls, content_type=CONTENT_TYPE)
