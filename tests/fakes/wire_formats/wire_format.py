"""A vendor's wire format: its real provider, and the bytes of an answer."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parley.llm.provider import Provider
from tests.fakes.vendor import Vendor, sends

CALLS = [("call_aaa1", "calculator", '{"expression": "1+1"}'), ("call_bbb2", "weather", '{"city": "Zürich"}')]


@dataclass(frozen=True)
class WireFormat:
    """`texts` makes the pieces of an answer whose usage is 12 in, 4 of them cached, and 3 out; `calls` those of two tool calls."""

    name: str
    make: Callable[..., Provider]
    texts: Callable[..., list[bytes]]
    calls: Callable[[], list[bytes]]
    content_type: str = "text/event-stream"

    def plays(self, vendor: Vendor, pieces: list[bytes], **options: Any) -> None:
        """Let the vendor answer with these pieces; botocore reads as they come only in chunked encoding, which AWS uses."""
        vendor.script = sends(pieces, content_type=self.content_type, is_chunked=self.name == "bedrock", **options)

    def provider(self, vendor: Vendor, *, key: str = "k", timeout_s: float = 5.0) -> Provider:
        """Make the real provider, pointed at the fake vendor."""
        return vendor.closing(self.make(vendor, key, timeout_s))


def sse(document: Any, *, event: str | None = None) -> bytes:
    """One Server-Sent Event, with letters as they are."""
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(document, ensure_ascii=False)}\n\n".encode()


def halves(text: str) -> list[str]:
    """Two pieces of a text."""
    return [text[: len(text) // 2], text[len(text) // 2 :]]
