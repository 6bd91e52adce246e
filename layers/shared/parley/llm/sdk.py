"""What the vendors' SDKs have in common: they are generated alike, and their errors bear the same names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from parley.llm.failures import ProviderFailed, ProviderTimeout
from parley.llm.refusal import VendorError, refusal


@contextmanager
def translated(sdk: Any, provider: str, *, key: str | None) -> Iterator[None]:
    """Turn the errors of `sdk`, and of the HTTP client below it, into ours; `key` is kept out of them."""
    try:
        yield
    except (sdk.APITimeoutError, httpx2.TimeoutException) as exc:
        raise ProviderTimeout(provider, "no answer in time") from exc
    except sdk.APIStatusError as exc:
        retry_after = exc.response.headers.get("retry-after")
        # `from None`: the SDK's error quotes the vendor's body, which may repeat prompt and key.
        raise refusal(provider, exc.status_code, VendorError.read(exc.body), retry_after=retry_after, key=key) from None
    except ProviderFailed:
        raise
    except (sdk.APIError, httpx2.HTTPError, ValueError, LookupError, TypeError, AttributeError) as exc:
        raise ProviderFailed(provider, type(exc).__name__) from exc


def as_it_is(body: Mapping[str, Any], *, insists_on: str) -> dict[str, Any]:
    """Return the arguments by which an SDK sends `body` as it is.

    Else it compares every message with its types, half a millisecond for each: with 200 of them more than all else of a
    turn. `insists_on` names the list that it will not do without, and is given empty.
    """
    seen = {name: body[name] for name in ("model", "stream", "max_tokens") if name in body}
    return seen | {insists_on: [], "extra_body": body}
