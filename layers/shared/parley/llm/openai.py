"""OpenAI, and every server that speaks its Chat Completions."""

import json
from collections.abc import Iterator
from typing import Any, Literal, cast

import httpx2
import openai
from openai.types.chat import ChatCompletionMessageParam

from parley.llm.provider import ProviderBusy, ProviderFailed, ProviderRefused, ProviderTimeout
from parley.llm.types import Event, Finished, FinishReason, Request, TextDelta, Usage

_REASONS: dict[str, FinishReason] = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "content_filter": "content_filter"}
_BUSY = {429, 503, 529}
MAX_RETRY_AFTER_S = 3600.0


class OpenAIProvider:
    """Chat Completions by the vendor's own SDK, its retries off: the caller decides what to repeat.

    `limit_field` is the vendor's word for the output limit: OpenAI's models refuse `max_tokens`, most others know only that.
    """

    def __init__(
        self,
        name: str,
        *,
        api_key: str | None,
        base_url: str | None = None,
        timeout_s: float = 120.0,
        limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens",
    ) -> None:
        self._name, self._limit_field = name, limit_field
        # A server without a key still gets the header that the SDK insists on.
        self._client = openai.OpenAI(api_key=api_key or "none", base_url=base_url, timeout=timeout_s, max_retries=0)

    def stream(self, model_name: str, request: Request) -> Iterator[Event]:
        """Yield the answer as the vendor sends it."""
        try:
            # The raw stream: the SDK's own objects for each chunk cost more than all else that a turn does.
            arguments = self._arguments(model_name, request)
            with self._client.chat.completions.with_streaming_response.create(**arguments) as answer:
                yield from self._events(answer.http_response)
        except (openai.APITimeoutError, httpx2.TimeoutException) as exc:
            raise ProviderTimeout(self._name, "no answer in time") from exc
        except openai.APIStatusError as exc:
            raise self._refusal(exc) from exc
        except (openai.OpenAIError, httpx2.HTTPError, ValueError) as exc:
            raise ProviderFailed(self._name, type(exc).__name__) from exc

    def _arguments(self, model_name: str, request: Request) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": model_name,
            "messages": _messages(request),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.max_output_tokens is not None:
            arguments[self._limit_field] = request.max_output_tokens
        if request.temperature is not None:
            arguments["temperature"] = request.temperature
        return arguments

    def _events(self, response: httpx2.Response) -> Iterator[Event]:
        reason, usage = None, Usage()
        for sse in httpx2.EventSource(response):
            if sse.data == "[DONE]":
                continue  # to the end of the stream: only a connection that was read whole is used again
            text, chunk_reason, chunk_usage = self._read(sse.data)
            if text:
                yield TextDelta(text)
            reason, usage = chunk_reason or reason, chunk_usage or usage
        if reason is None:
            raise ProviderFailed(self._name, "the stream ended without a finish reason")
        yield Finished(_REASONS.get(str(reason), "stop"), usage)

    def _read(self, data: str) -> tuple[Any, Any, Usage | None]:
        """Return a chunk's text, finish reason and usage, as the vendor wrote them."""
        try:
            chunk = json.loads(data)
            usage = _usage(chunk["usage"]) if chunk.get("usage") else None
            choice = chunk["choices"][0] if chunk["choices"] else {"delta": {}}
            return (choice.get("delta") or {}).get("content"), choice.get("finish_reason"), usage
        except (AttributeError, TypeError, LookupError, ValueError) as exc:
            # An `error` object in mid-stream has no choices either.
            raise ProviderFailed(self._name, f"an unreadable chunk: {type(exc).__name__}") from exc

    def _refusal(self, error: openai.APIStatusError) -> ProviderFailed:
        if error.status_code in _BUSY:
            return ProviderBusy(self._name, retry_after_s=_seconds(error.response.headers.get("retry-after")))
        kind = ProviderFailed if error.status_code >= 500 else ProviderRefused
        # Not the vendor's message: it may repeat the prompt, and this text goes to the log.
        return kind(self._name, f"status {error.status_code}, type {error.type!r}, code {error.code!r}, param {error.param!r}")


def _messages(request: Request) -> list[ChatCompletionMessageParam]:
    system = [{"role": "system", "content": request.system}] if request.system else []
    spoken = [{"role": message.role, "content": message.text} for message in request.messages]
    return cast(list[ChatCompletionMessageParam], system + spoken)


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(usage["prompt_tokens"], usage["completion_tokens"], details.get("cached_tokens") or 0)


def _seconds(header: str | None) -> float | None:
    """Read Retry-After; None for an HTTP date, which is rare, and for what is no time to wait."""
    try:
        seconds = float(header or "nan")
    except ValueError:
        return None
    return min(seconds, MAX_RETRY_AFTER_S) if seconds >= 0 else None
