"""Anthropic's Messages."""

from collections.abc import Iterator

import anthropic

from parley.llm import anthropic_messages
from parley.llm.http_client import make_client, opened, patience
from parley.llm.line import Answer, Line
from parley.llm.sdk import as_it_is, translated
from parley.llm.tool_names import for_vendor, from_vendor
from parley.llm.types import Event, Request

BASE_URL = "https://api.anthropic.com"


class AnthropicProvider:
    """Messages by the vendor's own SDK, its retries and its traces off: the caller decides what to repeat."""

    def __init__(self, name: str, *, api_key: str | None, base_url: str | None = None, timeout_s: float = 120.0) -> None:
        self._name, self._key = name, api_key
        url = base_url or BASE_URL
        self._client = anthropic.Anthropic(
            api_key=api_key or "none",
            base_url=url,
            max_retries=0,
            timeout=patience(timeout_s),
            http_client=make_client(url, timeout_s=timeout_s),
            open_telemetry=False,
        )

    def close(self) -> None:
        """Close the connections that are kept for the next call."""
        self._client.close()

    def stream(self, model_name: str, request: Request) -> Answer:
        """Yield the answer as the vendor sends it."""
        line = Line()
        return Answer(self._events(line, model_name, request), line)

    def _events(self, line: Line, model_name: str, request: Request) -> Iterator[Event]:
        origin = f"{self._name}/{model_name}"
        with translated(anthropic, self._name, key=self._key):
            arguments = as_it_is(anthropic_messages.arguments(origin, model_name, for_vendor(request)), insists_on="messages")
            with opened(line, self._client.messages.with_streaming_response.create(**arguments)) as response:
                events = anthropic_messages.events(response, request, provider=self._name, origin=origin)
                yield from from_vendor(events, request)
