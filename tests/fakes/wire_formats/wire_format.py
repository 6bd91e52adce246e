"""A vendor's wire format: its real provider and the bytes of its answers."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parley.llm.provider import Provider
from tests.fakes.vendor import Vendor, sends

CALLS = [("call_aaa1", "calculator", '{"expression": "1+1"}'), ("call_bbb2", "weather", '{"city": "Zürich"}')]


@dataclass(frozen=True)
class WireFormat:
    """Builders for one vendor. `make` returns a provider, `texts` an answer with texts, and `calls` an answer with two tool calls.

    By default, the answer of `texts` reports 12 input tokens, 4 of them cached, and 3 output tokens.
    """

    name: str
    make: Callable[..., Provider]
    texts: Callable[..., list[bytes]]
    calls: Callable[[], list[bytes]]
    content_type: str = "text/event-stream"

    def plays(self, vendor: Vendor, pieces: list[bytes], **options: Any) -> None:
        """Script the vendor to answer with these pieces.

        Bedrock's pieces are sent in chunked encoding, as on AWS: only then does botocore read them as they arrive.
        """
        vendor.script = sends(pieces, content_type=self.content_type, is_chunked=self.name == "bedrock", **options)

    def provider(self, vendor: Vendor, *, key: str = "k", timeout_s: float = 60.0) -> Provider:
        """Return the real provider, pointed at the fake vendor."""
        return vendor.closing(self.make(vendor, key, timeout_s))


def sse(document: Any, *, event: str | None = None) -> bytes:
    """Return one Server-Sent Event with unescaped Unicode."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def halves(text: str) -> list[str]:
    """Split a text into two pieces."""
    return [text[: len(text) // 2], text[len(text) // 2 :]]
