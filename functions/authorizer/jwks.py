"""The public keys, fetched from the API's own `/.well-known/jwks.json` and kept for a while."""

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any

from parley.auth.public_keys import PublicKey, parse_jwks
from parley.errors import Unavailable
from parley.observability import logger

FRESH_S = 20  # a key that was taken out for an emergency verifies no longer than this
SEEK_S = 60  # between two looks for a key that nobody knows
RETRY_S = 1  # while there are no keys at all
# With nothing to go on, it waits for the auth function's cold start, within its own time-out of 10 s; with keys, it rather keeps them.
FIRST_TIMEOUT_S, TIMEOUT_S = 7, 3
MAX_BYTES = 256 * 1024


class KeySource:
    """Public keys by `kid`, fetched again on use when they are older than 20 s.

    An unknown `kid` is looked for at most once a minute, so that no flood of forged tokens becomes one of fetches. When
    fetching fails, the last good keys serve until the next one is due; without any, it is tried at most once a second.
    """

    def __init__(self, url: str = "", *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = float("-inf")
        self._sought_at = float("-inf")

    def find(self, kid: str, request_context: Mapping[str, Any]) -> PublicKey | None:
        """Return the key of that name, or None if there is none. Raises Unavailable if there are no keys at all."""
        if self._is_fetch_due(kid):
            self._fetch(self._url or jwks_url(request_context))
            if kid not in self._keys:
                self._sought_at = self._clock()
        if not self._keys:
            raise Unavailable("jwks")
        return self._keys.get(kid)

    def _is_fetch_due(self, kid: str) -> bool:
        if kid in self._keys:
            return self._clock() - self._fetched_at >= FRESH_S
        if self._keys:
            return self._clock() - self._sought_at >= SEEK_S
        return self._clock() - self._fetched_at >= RETRY_S

    def _fetch(self, url: str) -> None:
        timeout_s = TIMEOUT_S if self._keys else FIRST_TIMEOUT_S
        try:
            with urllib.request.urlopen(url, timeout=timeout_s) as answer:  # noqa: S310 - https, or what the deployer set
                self._keys = parse_jwks(json.loads(answer.read(MAX_BYTES)))
        except (OSError, HTTPException, ValueError, RecursionError) as exc:
            logger.warning("cannot fetch the public keys", url=url, reason=repr(exc))
        finally:
            self._fetched_at = self._clock()  # the end: a fetch may take longer than the interval


def jwks_url(request_context: Mapping[str, Any]) -> str:
    """Return where this API publishes its keys; on its default domain the stage is part of the path."""
    domain = request_context["domainName"]
    stage = f"/{request_context['stage']}" if ".execute-api." in domain else ""
    return f"https://{domain}{stage}/.well-known/jwks.json"
