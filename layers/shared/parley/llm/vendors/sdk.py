"""Helpers for the OpenAI and Anthropic SDKs. One tool generated both, so error names and raw event streams are alike.

The raw stream is read because the SDKs' typed events cost more per chunk than everything else in a turn.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from parley.llm.errors import ProviderFailed, ProviderTimeout, UnusableAnswer
from parley.llm.vendors.errors import VendorError, error_for_status
from parley.llm.vendors.http_client import END_S, ended_soon


@contextmanager
def translated_errors(sdk: Any, provider: str, *, key: str | None) -> Iterator[None]:
    """Translate the errors of `sdk` and of its HTTP client into ours, without `key` in their messages."""
    try:
        yield
    except (sdk.APITimeoutError, httpx2.TimeoutException) as exc:
        raise ProviderTimeout(provider, "no response in time", is_outage=_is_unreachable(exc)) from exc
    except sdk.APIStatusError as exc:
        retry_after = exc.response.headers.get("retry-after")
        # `from None`: the SDK's error quotes the vendor's body, which may repeat prompt and key.
        raise error_for_status(provider, exc.status_code, VendorError.read(exc.body), retry_after=retry_after, key=key) from None
    except ProviderFailed:
        raise
    except (sdk.APIResponseValidationError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise UnusableAnswer(provider, type(exc).__name__) from exc
    except (sdk.APIError, httpx2.HTTPError) as exc:
        raise ProviderFailed(provider, type(exc).__name__, is_outage=_is_unreachable(exc)) from exc


def _is_unreachable(error: Exception) -> bool:
    """Return whether no connection could be made. The SDKs keep the HTTP client's error as the cause of their own."""
    return isinstance(error.__cause__ or error, httpx2.ConnectError | httpx2.ConnectTimeout)


def raw_arguments(body: Mapping[str, Any], *, required_list: str) -> dict[str, Any]:
    """Return arguments that make an SDK send `body` unchanged.

    With normal arguments, the SDK checks every message against its types, which takes 0.5 ms per message: with 200 messages, more than
    the rest of a turn. `required_list` is the SDK's required list argument; it is passed empty and replaced by `body`.
    """
    arguments = {name: body[name] for name in ("model", "stream", "max_tokens") if name in body}
    return arguments | {required_list: [], "extra_body": body}


def event_chunks(
    response: httpx2.Response, *, provider: str, last: Collection[str] = (), end_s: Callable[[], float | None] = lambda: None
) -> Iterator[dict[str, Any]]:
    """Yield the data of each event. Reads to the end of the stream, because only a fully read connection can be reused.

    `[DONE]` and the types in `last` end an answer. Some servers then break the connection, or leave it open without a word. If an
    answer may be complete without them, `end_s`, which is asked after each chunk, returns the seconds to wait for more.
    Raises ProviderFailed for data that is not a JSON object.
    """
    with ended_soon(response) as end_soon:
        for event in httpx2.EventSource(response):
            if event.data == "[DONE]":
                end_soon(END_S)
                continue
            if not event.data:
                continue
            chunk = _parsed_chunk(event.data, provider)
            yield chunk
            seconds = END_S if chunk.get("type") in last else end_s()
            if seconds is not None:
                end_soon(seconds)


def _parsed_chunk(text: str, provider: str) -> dict[str, Any]:
    try:
        chunk = json.loads(text)
    except ValueError as exc:
        raise UnusableAnswer(provider, "an unreadable chunk: not JSON") from exc
    if not isinstance(chunk, dict):
        raise UnusableAnswer(provider, f"an unreadable chunk: {type(chunk).__name__}")
    return chunk
