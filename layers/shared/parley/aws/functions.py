"""Invokes another function of the stack and returns its response."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from parley.aws.client import aws_client, close_idle_connections, translated_errors
from parley.errors import Unavailable
from parley.observability import current_correlation_id
from parley.observability.invocations import CORRELATION_ID


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
    """Return a client for `invoke_function`. It retries nothing, because a failed call may have taken effect.

    So no connection is used that has been idle: see `close_idle_connections`.
    """
    client = aws_client("lambda", read_timeout_s=read_timeout_s, max_attempts=1, max_pool_connections=max_connections)
    close_idle_connections(client, now_s=now_s)
    return client


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
