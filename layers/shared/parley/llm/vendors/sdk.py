"""What the vendors' SDKs share: generated alike, with the same error names and the same raw event streams.

The raw stream is read instead of the SDKs' own objects, which cost more per chunk than everything else in a turn.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from parley.llm.errors import ProviderFailed, ProviderTimeout
from parley.llm.vendors.errors import VendorError, error_for_status


@contextmanager
def translated_errors(sdk: Any, provider: str, *, key: str | None) -> Iterator[None]:
    """Turn the errors of `sdk`, and of the HTTP client below it, into ours; `key` is kept out of them."""
    try:
        yield
    except (sdk.APITimeoutError, httpx2.TimeoutException) as exc:
        raise ProviderTimeout(provider, "no answer in time") from exc
    except sdk.APIStatusError as exc:
        retry_after = exc.response.headers.get("retry-after")
        # `from None`: the SDK's error quotes the vendor's body, which may repeat prompt and key.
        raise error_for_status(provider, exc.status_code, VendorError.read(exc.body), retry_after=retry_after, key=key) from None
    except ProviderFailed:
        raise
    except (sdk.APIError, httpx2.HTTPError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ProviderFailed(provider, type(exc).__name__) from exc


def raw_arguments(body: Mapping[str, Any], *, insists_on: str) -> dict[str, Any]:
    """Return the arguments by which an SDK sends `body` as it is.

    Else it compares every message with its types, half a millisecond for each: with 200 of them more than all else of a
    turn. `insists_on` names the list that it will not do without, and is given empty.
    """
    seen = {name: body[name] for name in ("model", "stream", "max_tokens") if name in body}
    return seen | {insists_on: [], "extra_body": body}


def event_chunks(response: httpx2.Response, *, provider: str) -> Iterator[dict[str, Any]]:
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
