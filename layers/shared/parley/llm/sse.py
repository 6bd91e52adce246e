"""Server-Sent Events of a vendor, as JSON objects.

The raw stream: the SDKs' own objects for each chunk cost more than all else that a turn does.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx2

from parley.llm.failures import ProviderFailed


def chunks(response: httpx2.Response, *, provider: str) -> Iterator[dict[str, Any]]:
    """Yield each event's data to the end of the stream: only a connection that was read whole is used again.

    Raises ProviderFailed for data that is no JSON object.
    """
    for event in httpx2.EventSource(response):
        if event.data == "[DONE]" or not event.data:
            continue
        try:
            chunk = json.loads(event.data)
        except ValueError as exc:
            raise ProviderFailed(provider, "an unreadable chunk: no JSON") from exc
        if not isinstance(chunk, dict):
            raise ProviderFailed(provider, f"an unreadable chunk: {type(chunk).__name__}")
        yield chunk
