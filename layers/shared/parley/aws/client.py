"""boto3 clients with short timeouts, and the translation of AWS's errors into ours.

boto3 is imported when the first client is created: functions that never call AWS save the 0.2 s of the import.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from parley.snapshots import before_snapshot

CONNECT_TIMEOUT_S = 2.0
# Several threads can share a client, but a session must not create two clients at the same time.
_session_lock = threading.Lock()


def aws_client(service: str, *, read_timeout_s: float, max_attempts: int = 2, **config: Any) -> Any:
    """Return a new boto3 client of `service`; `config` are further fields of `botocore.config.Config`. Thread-safe."""
    from botocore.config import Config

    # With a fixed user agent, botocore does not build a long one for every call, which takes a fifth of the call's CPU.
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": read_timeout_s, "user_agent": "parley"} | config
    with _session_lock:
        return _session().client(service, config=Config(retries={"total_max_attempts": max_attempts}, **options))


@contextmanager
def translated_errors(error_for: Callable[[str, Exception], Exception]) -> Iterator[None]:
    """Replace any `error` of botocore by the exception that `error_for(code, error)` returns.

    `code` is AWS's error code, or empty if AWS did not respond. The error's message may repeat parameters of the call.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        raise error_for(str(exc.response.get("Error", {}).get("Code", "")), exc) from exc
    except BotoCoreError as exc:
        raise error_for("", exc) from exc


@cache
def _session() -> Any:
    import boto3

    return boto3.session.Session()


before_snapshot(_session.cache_clear)
