"""botocore's clients with short timeouts, and the translation of AWS's errors into ours.

botocore is imported when the first client is created: functions that never call AWS save the 0.1 s of the import. boto3 would create
the same clients, and import 56 modules more.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from parley.late_imports import uncollected
from parley.snapshots import before_snapshot

CONNECT_TIMEOUT_S = 2.0
MAX_IDLE_S = 5.0
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


def close_idle_connections(client: Any, *, now_s: Callable[[], float] = time.time) -> None:
    """Let the client, which does not repeat failed calls, close its connections before a call after `MAX_IDLE_S` without one.

    AWS drops idle connections, and a frozen worker does not notice: https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html
    """
    client.meta.events.register("before-send", _IdleConnections(client, now_s).close)


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


class _IdleConnections:
    """The connections of a client. Thread-safe: `close` does not end connections with a call in progress.

    `now_s` is the time of day, because a monotonic clock may stand still while the worker is frozen.
    """

    def __init__(self, client: Any, now_s: Callable[[], float]) -> None:
        self._client, self._now_s = client, now_s
        self._lock, self._used_at_s = threading.Lock(), now_s()

    def close(self, **_event: Any) -> None:
        """Close the connections before a call if the last call began more than `MAX_IDLE_S` ago."""
        with self._lock:
            now_s = self._now_s()
            if abs(now_s - self._used_at_s) > MAX_IDLE_S:
                self._client.close()
            self._used_at_s = now_s


@cache
def _session() -> Any:
    import botocore.session

    return botocore.session.Session()


before_snapshot(_session.cache_clear)
