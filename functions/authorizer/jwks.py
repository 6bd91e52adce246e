"""The public keys, fetched from the API's own `/.well-known/jwks.json` and kept."""

import json
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

import jwt

from parley.errors import Unavailable
from parley.observability import logger

REFETCH_S = 60
RETRY_S = 1  # while there are no keys at all
TIMEOUT_S = 3


class KeySource:
    """Public keys by `kid`. An unknown one is looked for at most once a minute; the last good keys are kept.

    Without any keys they are looked for at most once a second.
    """

    def __init__(self, url: str = "") -> None:
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None

    def for_key_id(self, kid: str, request_context: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
        """Return the known keys, after a look for `kid` if it is not among them.

        Raises Unavailable if there are none at all.
        """
        if kid not in self._keys and self._may_fetch():
            self._fetch(self._url or jwks_url(request_context))
        if not self._keys:
            raise Unavailable("jwks")
        return self._keys

    def _may_fetch(self) -> bool:
        interval_s = REFETCH_S if self._keys else RETRY_S
        return self._fetched_at is None or time.monotonic() - self._fetched_at >= interval_s

    def _fetch(self, url: str) -> None:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - https, or what the deployer set
                self._keys = keys_of(json.load(answer))
        except (OSError, HTTPException, ValueError) as exc:
            logger.warning("cannot fetch the public keys", url=url, reason=repr(exc))
        finally:
            self._fetched_at = time.monotonic()  # the end: a fetch may take longer than the interval


def keys_of(document: Any) -> dict[str, jwt.PyJWK]:
    """Read a key set (RFC 7517). Raises ValueError if it is none, or has no key of the only algorithm we sign with."""
    try:
        keys = {str(key["kid"]): jwt.PyJWK(key, algorithm="ES256") for key in document["keys"] if key.get("alg") == "ES256"}
    except (LookupError, TypeError, AttributeError, jwt.PyJWTError) as exc:
        raise ValueError(f"no key set: {exc!r}") from exc
    if not keys:
        raise ValueError("a key set without a key for ES256")
    return keys


def jwks_url(request_context: Mapping[str, Any]) -> str:
    """Return where this API publishes its keys; on its default domain the stage is part of the path."""
    domain = request_context["domainName"]
    stage = f"/{request_context['stage']}" if ".execute-api." in domain else ""
    return f"https://{domain}{stage}/.well-known/jwks.json"
