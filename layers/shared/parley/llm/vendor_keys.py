"""Vendors' API keys: the catalogue names where a key is, `env:NAME` or `secret:name`, never the key itself."""

import time
from collections.abc import Callable, Mapping

from parley.errors import Unavailable
from parley.llm.errors import ProviderMisconfigured
from parley.observability import logger

CACHE_S = 300.0
RETRY_S = 30.0
_TRANSIENT_CODES = {"ThrottlingException", "InternalServiceError", "ServiceUnavailable", "RequestTimeout"}


def is_key_available(reference: str, environment: Mapping[str, str]) -> bool:
    """Tell whether the key is there; one in Secrets Manager is taken to be: to look would cost a call."""
    where, _, name = reference.partition(":")
    return where == "secret" or bool(environment.get(name))


class VendorKeys:
    """Finds keys, and keeps those of Secrets Manager for five minutes: a rotated one is found without a restart."""

    def __init__(self, environment: Mapping[str, str], *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._environment, self._now_s = environment, now_s
        self._cached: dict[str, tuple[float, str]] = {}

    def find(self, reference: str | None) -> str | None:
        """Return the key, None if the reference is none or its variable is empty.

        Where AWS does not answer, a key that is known stays, and is asked for again in half a minute. Raises
        ProviderMisconfigured for a secret that is not there or not ours, Unavailable where AWS does not answer the first time.
        """
        where, _, name = (reference or "").partition(":")
        if where != "secret":
            return self._environment.get(name) or None
        due_s, key = self._cached.get(name, (0.0, ""))
        if not key or self._now_s() >= due_s:
            due_s, key = self._refreshed(name, key)
            self._cached[name] = due_s, key
        return key

    def _refreshed(self, name: str, known: str) -> tuple[float, str]:
        try:
            return self._now_s() + CACHE_S, _fetch_secret(name)
        except Unavailable as exc:
            if not known:
                raise
            logger.warning("a key cannot be read again and stays", secret=name, reason=str(exc))
            return self._now_s() + RETRY_S, known


def _fetch_secret(name: str) -> str:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client_config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    try:
        key = str(boto3.client("secretsmanager", config=client_config).get_secret_value(SecretId=name).get("SecretString", ""))
    except ClientError as exc:
        if exc.response["Error"]["Code"] in _TRANSIENT_CODES:
            raise Unavailable("Secrets Manager") from exc
        raise ProviderMisconfigured("secretsmanager", f"{name}: {exc.response['Error']['Code']}") from exc
    except BotoCoreError as exc:
        raise Unavailable("Secrets Manager") from exc
    if not key.strip():
        raise ProviderMisconfigured("secretsmanager", f"{name}: there is no text in it")
    return key.strip()
