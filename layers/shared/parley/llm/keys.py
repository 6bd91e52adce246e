"""The vendors' keys: the catalogue names where they are, `env:NAME` or `secret:name`, never what they are."""

import time
from collections.abc import Callable, Mapping

from parley.errors import Unavailable
from parley.llm.failures import ProviderMisconfigured

KEPT_S = 300.0


def is_at_hand(reference: str, environment: Mapping[str, str]) -> bool:
    """Tell whether the key is there; one in Secrets Manager is taken to be: to look would cost a call."""
    where, _, name = reference.partition(":")
    return where == "secret" or bool(environment.get(name))


class Keys:
    """Finds keys, and keeps those of Secrets Manager for five minutes: a rotated one is found without a restart."""

    def __init__(self, environment: Mapping[str, str], *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._environment, self._now_s = environment, now_s
        self._kept: dict[str, tuple[float, str]] = {}

    def find(self, reference: str | None) -> str | None:
        """Return the key, None if the reference is none or its variable is empty.

        Raises ProviderMisconfigured for a secret that is not there or not ours, Unavailable where AWS does not answer.
        """
        where, _, name = (reference or "").partition(":")
        if where != "secret":
            return self._environment.get(name) or None
        fetched_s, key = self._kept.get(name, (0.0, ""))
        if not key or self._now_s() - fetched_s >= KEPT_S:
            key = _fetch(name)
            self._kept[name] = self._now_s(), key
        return key


def _fetch(name: str) -> str:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        key = str(boto3.client("secretsmanager").get_secret_value(SecretId=name).get("SecretString", ""))
    except ClientError as exc:
        raise ProviderMisconfigured("secretsmanager", f"{name}: {exc.response['Error']['Code']}") from exc
    except BotoCoreError as exc:
        raise Unavailable("Secrets Manager") from exc
    if not key.strip():
        raise ProviderMisconfigured("secretsmanager", f"{name}: there is no text in it")
    return key.strip()
