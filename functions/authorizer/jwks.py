"""The public keys, fetched from the API's own `/.well-known/jwks.json` and kept."""

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

import jwt

from parley.errors import Unavailable
from parley.observability import logger

REFETCH_S = 60
TIMEOUT_S = 3


class KeySource:
    """Public keys by `kid`. An unknown one is looked for at most once a minute; the last good keys are kept."""

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
        return not self._keys or self._fetched_at is None or time.monotonic() - self._fetched_at >= REFETCH_S

    def _fetch(self, url: str) -> None:
        self._fetched_at = time.monotonic()
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - https, or what the deployer set
                found = json.load(answer)["keys"]
            self._keys = {key["kid"]: jwt.PyJWK(key, algorithm="ES256") for key in found if key.get("alg") == "ES256"}
        except (OSError, ValueError, KeyError, jwt.PyJWTError) as exc:
            logger.warning("cannot fetch the public keys", url=url, reason=repr(exc))


def jwks_url(request_context: Mapping[str, Any]) -> str:
    """Return where this API publishes its keys; on its default domain the stage is part of the path."""
    domain = request_context["domainName"]
    stage = f"/{request_context['stage']}" if ".execute-api." in domain else ""
    return f"https://{domain}{stage}/.well-known/jwks.json"
