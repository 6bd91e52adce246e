"""botocore's clients with short timeouts, and the translation of AWS's errors into ours.

botocore is imported when the first client is created: functions that never call AWS save the 0.1 s of the import. boto3 would create
the same clients, and import 56 modules more.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from parley.late_imports import uncollected
from parley.snapshots import before_snapshot

CONNECT_TIMEOUT_S = 2.0
# Several threads can share a client, but a session must not create two clients at the same time.
_session_lock = threading.Lock()


def aws_client(service: str, *, read_timeout_s: float, max_attempts: int = 2, endpoint_url: str | None = None, **config: Any) -> Any:
    """Return a new client of `service`; `config` are further fields of `botocore.config.Config`. Thread-safe."""
    with _session_lock, uncollected():
        return _new_client(service, endpoint_url, read_timeout_s=read_timeout_s, max_attempts=max_attempts, **config)


def _new_client(service: str, endpoint_url: str | None, *, read_timeout_s: float, max_attempts: int, **config: Any) -> Any:
    from botocore.config import Config

    # With a fixed user agent, botocore does not build a long one for every call, which takes a fifth of the call's CPU.
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": read_timeout_s, "user_agent": "parley"} | config
    config_of_client = Config(retries={"total_max_attempts": max_attempts}, **options)
    return _session().create_client(service, endpoint_url=endpoint_url, config=config_of_client)


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
    import botocore.session

    return botocore.session.Session()


before_snapshot(_session.cache_clear)
