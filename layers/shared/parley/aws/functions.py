"""Invokes another function of the stack and returns its response."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from parley.aws.client import aws_client, translated_errors
from parley.errors import Unavailable
from parley.observability import current_correlation_id
from parley.observability.invocations import CORRELATION_ID

MAX_IDLE_S = 5.0


class InvocationFailed(Unavailable):
    """The function returned no response. `kind` is the error's type, as AWS or the function names it; `detail` is for logs only."""

    def __init__(self, function: str, kind: str, detail: str) -> None:
        super().__init__(f"the function {function} ({kind}: {detail})")
        self.kind, self.detail = kind, detail


class FunctionStarter:
    """Starts a function without waiting for it. The client is created with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._client: Any = None

    def __call__(self, request: Mapping[str, Any]) -> None:
        """Send a JSON object to the function. Raises InvocationFailed if Lambda has not accepted it."""
        self._client = self._client or function_client(read_timeout_s=5, max_connections=10)
        payload = json.dumps({**request, CORRELATION_ID: current_correlation_id()}).encode()
        with translated_errors(lambda code, error: InvocationFailed(self._name, code or type(error).__name__, str(error))):
            self._client.invoke(FunctionName=self._name, InvocationType="Event", Payload=payload)


def function_client(*, read_timeout_s: float, max_connections: int, now_s: Callable[[], float] = time.time) -> Any:
    """Return a client for `invoke_function`. Nothing is retried, because a failed call may already have taken effect.

    So after `MAX_IDLE_S` without a call, old connections are closed: Lambda drops idle ones, and a frozen worker does not notice
    (https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html).
    """
    client = aws_client("lambda", read_timeout_s=read_timeout_s, max_attempts=1, max_pool_connections=max_connections)
    client.meta.events.register("before-send.lambda", _IdleConnections(client, now_s).close)
    return client


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


def invoke_function(client: Any, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send a JSON object to the function and return the object that it responds with. Raises InvocationFailed. Thread-safe."""
    try:
        with translated_errors(lambda code, error: InvocationFailed(name, code or type(error).__name__, str(error))):
            payload = json.dumps({**request, CORRELATION_ID: current_correlation_id()})
            response = client.invoke(FunctionName=name, Payload=payload.encode())
            body = json.loads(response["Payload"].read())
    except (ValueError, TypeError, RecursionError) as exc:
        raise InvocationFailed(name, type(exc).__name__, str(exc)) from exc
    if "FunctionError" in response or not isinstance(body, dict):
        failure = body if isinstance(body, dict) else {}
        raise InvocationFailed(name, str(failure.get("errorType", "Unreadable")), str(failure.get("errorMessage", "")))
    return body
