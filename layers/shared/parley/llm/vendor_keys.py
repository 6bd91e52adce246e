"""API keys of vendors. The catalogue contains references to keys, `env:NAME` or `secret:name`, never a key itself.

The variable of `env:NAME` contains the key, for a laptop, or a reference to a secret, `secret:name`.
"""

import time
from collections.abc import Callable, Mapping

from parley.aws.secrets import SecretUnreadable, read_secret
from parley.errors import Unavailable
from parley.llm.errors import ProviderMisconfigured
from parley.observability import logger

CACHE_S = 300.0
RETRY_S = 30.0
_REFERENCE = "secret:"


def is_key_available(reference: str, environment: Mapping[str, str]) -> bool:
    """Return whether the key exists. A secret is assumed to exist, because looking it up would cost a call."""
    where, _, name = reference.partition(":")
    return where == "secret" or bool(environment.get(name))


class VendorKeys:
    """Looks up keys and caches secrets for five minutes, so that a rotated key takes effect without a restart."""

    def __init__(self, environment: Mapping[str, str], *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._environment, self._now_s = environment, now_s
        self._cached: dict[str, tuple[float, str]] = {}

    def find(self, reference: str | None) -> str | None:
        """Return the key, or None if there is no reference or its variable is empty.

        If Secrets Manager does not respond, a cached key stays in use and is looked up again after 30 seconds. Raises
        ProviderMisconfigured if the secret does not exist or access to it is denied, and Unavailable if Secrets Manager does not
        respond and no key is cached.
        """
        where, _, name = (reference or "").partition(":")
        if where != "secret":
            value = self._environment.get(name) or ""
            if not value.startswith(_REFERENCE):
                return value or None
            name = value.removeprefix(_REFERENCE)
        expires_s, key = self._cached.get(name, (0.0, ""))
        if not key or self._now_s() >= expires_s:
            expires_s, key = self._refreshed(name, key)
            self._cached[name] = expires_s, key
        return key

    def _refreshed(self, name: str, cached: str) -> tuple[float, str]:
        try:
            return self._now_s() + CACHE_S, _fetch_secret(name)
        except Unavailable as exc:
            if not cached:
                raise
            logger.warning("vendor_key_not_refreshed", secret=name, reason=str(exc))
            return self._now_s() + RETRY_S, cached


def _fetch_secret(name: str) -> str:
    try:
        return read_secret(name)
    except SecretUnreadable as exc:
        raise ProviderMisconfigured("secretsmanager", str(exc)) from exc
