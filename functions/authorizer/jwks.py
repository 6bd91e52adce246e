"""The public keys that verify tokens, fetched from the API's own `/.well-known/jwks.json` and cached."""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

from parley.auth.public_keys import PublicKey, parse_jwks
from parley.errors import Unavailable
from parley.observability import logger

FRESH_S = 20  # how long a key removed in an emergency still verifies tokens
UNKNOWN_KEY_INTERVAL_S = 60  # the minimum between two fetches for an unknown key
RETRY_S = 1  # the minimum between two fetches while there are no keys
# The first fetch waits for a cold start of the auth function, within the authorizer's own timeout of 10 s. Later fetches
# time out earlier, because the cached keys can serve.
FIRST_TIMEOUT_S, TIMEOUT_S = 7, 3
MAX_BYTES = 256 * 1024


class KeySource:
    """Public keys by `kid`; a lookup refreshes them if they are older than 20 s.

    An unknown `kid` triggers a fetch at most once a minute, so a flood of forged tokens does not become a flood of
    fetches. If a fetch fails, the cached keys serve until the next fetch is due; without any keys, a fetch is tried at
    most once a second.
    """

    def __init__(self, url: str = "", *, region: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._region = url, region
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = float("-inf")
        self._unknown_at = float("-inf")  # the time of the last fetch that did not find the requested key

    def find(self, kid: str, request_context: Mapping[str, Any]) -> PublicKey | None:
        """Return the public key `kid`, or None if it is unknown. Raises Unavailable if no keys could be fetched."""
        if self._is_fetch_due(kid):
            self._fetch(self._url or jwks_url(request_context, region=self._region))
            if kid not in self._keys:
                self._unknown_at = self._clock()
        if not self._keys:
            raise Unavailable("jwks")
        return self._keys.get(kid)

    def _is_fetch_due(self, kid: str) -> bool:
        if kid in self._keys:
            return self._clock() - self._fetched_at >= FRESH_S
        if self._keys:
            return self._clock() - self._unknown_at >= UNKNOWN_KEY_INTERVAL_S
        return self._clock() - self._fetched_at >= RETRY_S

    def _fetch(self, url: str) -> None:
        timeout_s = TIMEOUT_S if self._keys else FIRST_TIMEOUT_S
        try:
            with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310 - https, or the URL in the settings
                self._keys = parse_jwks(json.loads(response.read(MAX_BYTES)))
        except (OSError, HTTPException, ValueError, RecursionError) as exc:
            logger.warning("jwks_fetch_failed", url=url, reason=repr(exc))
        finally:
            self._fetched_at = self._clock()  # after the fetch, which may take longer than the interval


def jwks_url(request_context: Mapping[str, Any], *, region: str) -> str:
    """Return the URL of this API's public keys at its default endpoint.

    The URL is built from the API id and the stage that the gateway reports. It is not built from `domainName`, which repeats the
    client's Host header: a client could name a host that publishes its own keys.
    """
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{request_context['apiId']}.execute-api.{region}.{suffix}/{request_context['stage']}/.well-known/jwks.json"
