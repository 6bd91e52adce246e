"""The protocol of a tool runner, and its implementation that invokes the Lambda function `toolrunner`."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from parley.aws.functions import InvocationFailed, function_client, invoke_function
from parley.errors import Unavailable
from parley.observability import logger
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import MAX_TIMEOUT_S, ToolSpec

# The function's own timeout of 10 s ends an isolated process that hangs; the rest is for the network.
READ_TIMEOUT_S = 12.0
FRESH_S, LOCAL_FRESH_S = 60.0, 2.0
_CONNECTIONS = 32
_UNAVAILABLE_MESSAGE = "The tool is currently unavailable."


class ToolRunner(Protocol):
    """Runs tools by name. Both methods are thread-safe."""

    def specs(self) -> Sequence[ToolSpec]:
        """Return the deployment's tools, possibly cached. If the runner does not respond, log that and return the last known tools."""
        ...

    def run(self, name: str, arguments: Mapping[str, Any], *, user_id: UUID, timeout_s: float) -> ToolOutcome:
        """Run one tool with validated arguments. Never raises: a crash, a hang and an unknown name are outcomes."""
        ...


class RunnerFailed(Unavailable):
    """The tool runner returned no result. `kind` is Lambda's error type; `public_message` is safe to show to model and user."""

    def __init__(self, kind: str, detail: str, *, public_message: str) -> None:
        super().__init__(f"the tool runner ({kind}: {detail})")
        self.public_message = public_message


class Invoker:
    """A `ToolRunner` that invokes the Lambda function with this name. Thread-safe.

    Nothing is retried, because a failed call may already have taken effect.
    """

    def __init__(self, function_name: str) -> None:
        self._function_name = function_name
        self._lock = threading.Lock()
        self._lambda: Any = None
        self._specs: tuple[ToolSpec, ...] = ()
        self._listed_at_s = float("-inf")

    def specs(self) -> Sequence[ToolSpec]:
        """Return the deployment's tools, cached for one minute, or for two seconds on a developer's machine.

        If the runner does not respond, log that and return the tools of the last successful listing.
        """
        with self._lock:
            if time.monotonic() - self._listed_at_s >= self._fresh_s():
                self._specs = self._listed()
                self._listed_at_s = time.monotonic()
            return self._specs

    def run(self, name: str, arguments: Mapping[str, Any], *, user_id: UUID, timeout_s: float) -> ToolOutcome:
        """Run one tool for this user. Never raises: every failure is an outcome."""
        timeout_s = min(timeout_s, MAX_TIMEOUT_S)
        request = {"op": "run", "name": name, "arguments": dict(arguments), "user_id": str(user_id), "timeout_s": timeout_s}
        try:
            response = self.ask(request, timeout_s=timeout_s)
            ok, content = response["ok"] is True, str(response["content"])
        except (RunnerFailed, LookupError) as exc:
            logger.warning("tool_invocation_failed", tool=name, reason=str(exc))
            ok, content = False, exc.public_message if isinstance(exc, RunnerFailed) else _UNAVAILABLE_MESSAGE
        return ToolOutcome(ok, content)

    def ask(self, request: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Send a request to the runner and return its response, a JSON object. Raises RunnerFailed."""
        began_s = time.monotonic()
        try:
            return invoke_function(self._client(), self._function_name, request)
        except InvocationFailed as exc:
            message = _failure_message(exc.kind, time.monotonic() - began_s, timeout_s)
            raise RunnerFailed(exc.kind, exc.detail, public_message=message) from exc

    def _listed(self) -> tuple[ToolSpec, ...]:
        try:
            response = self.ask({"op": "list"}, timeout_s=MAX_TIMEOUT_S)
            specs = tuple(_listed_spec(item) for item in response["tools"])
        except (RunnerFailed, LookupError, TypeError) as exc:
            logger.warning("tools_not_listed", reason=str(exc))
            return self._specs
        for broken in response.get("broken", ()):
            logger.warning("plugin_load_failed", plugin=broken["plugin"], reason=broken["reason"])
        return specs

    def _client(self) -> Any:
        if self._lambda is None:
            self._lambda = function_client(read_timeout_s=READ_TIMEOUT_S, max_connections=_CONNECTIONS)
        return self._lambda

    def _fresh_s(self) -> float:
        """Return how long a list stays fresh: shorter if Lambda runs on this machine, where a developer waits for a saved plugin."""
        is_local = urlsplit(self._client().meta.endpoint_url).hostname in ("127.0.0.1", "localhost")
        return LOCAL_FRESH_S if is_local else FRESH_S


def _listed_spec(listed: Mapping[str, Any]) -> ToolSpec:
    return ToolSpec(**{**listed, "scopes": tuple(listed.get("scopes", ()))})


def _failure_message(kind: str, took_s: float, timeout_s: float) -> str:
    """Return a message for the model that reveals no internals."""
    if kind == "RequestTooLargeException":
        return "The arguments are too large."
    if kind in ("Sandbox.Timedout", "ReadTimeoutError") or (kind.startswith("Runtime.") and took_s >= timeout_s):
        return f"The tool did not respond within {timeout_s:g} seconds and was stopped."
    return "The tool crashed." if kind.startswith("Runtime.") else _UNAVAILABLE_MESSAGE
