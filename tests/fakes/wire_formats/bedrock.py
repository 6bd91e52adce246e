"""Bedrock's ConverseStream in AWS event stream framing, which botocore can only read."""

import json
import struct
import zlib

from parley.llm.vendors.bedrock import BedrockProvider
from tests.fakes.wire_formats.wire_format import CALLS, WireFormat, halves

CONTENT_TYPE = "application/vnd.amazon.eventstream"
STRING = 7


def frame(document, *, kind="event", name):
    """One message: lengths and their checksum, headers, payload, checksum of all."""
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
    """One content block."""
    begin = [frame({"contentBlockIndex": index, "start": start}, name="contentBlockStart")] if start else []
    changes = [frame({"contentBlockIndex": index, "delta": delta}, name="contentBlockDelta") for delta in deltas]
    return [*begin, *changes, frame({"contentBlockIndex": index}, name="contentBlockStop")]


def framed(*blocks, reason):
    """A whole stream around the blocks."""
    usage = {"inputTokens": 6, "outputTokens": 3, "totalTokens": 15, "cacheReadInputTokens": 4, "cacheWriteInputTokens": 2}
    end = [frame({"stopReason": reason}, name="messageStop"), frame({"usage": usage, "metrics": {"latencyMs": 1}}, name="metadata")]
    return [frame({"role": "assistant"}, name="messageStart"), *blocks, *end]


def texts(*given, reason="end_turn"):
    """An answer of these texts."""
    return framed(*block(0, *({"text": text} for text in given)), reason=reason)


def calls():
    """A thought, and two calls at once."""
    thought = block(0, {"reasoningContent": {"text": "hm"}}, {"reasoningContent": {"signature": "sealed"}})
    uses = [
        piece
        for index, (id, name, written) in enumerate(CALLS, start=1)
        for piece in block(
            index, *({"toolUse": {"input": half}} for half in halves(written)), start={"toolUse": {"toolUseId": id, "name": name}}
        )
    ]
    return framed(*thought, *uses, reason="tool_use")


def make(vendor, key, timeout_s):
    return BedrockProvider("bedrock", region="eu-west-1", endpoint_url=vendor.root, timeout_s=timeout_s, caches=True)


BEDROCK = WireFormat("bedrock", make, texts, calls, content_type=CONTENT_TYPE)
